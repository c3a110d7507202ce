"""An aigw with a configuration and plugins of one's own, started as a user would start it.

Owns the file, the installed plugins, the command line. What is asked of it is not known here.
"""

import os
import shutil
import sys
from pathlib import Path

from .processes import free_port, start, wait_for
from .wire import KEY, chat_body

HERE = Path(__file__).parent


def install(folder, plugins):
    """Make plugins found as installed ones are: by the entry point of a distribution on the path.

    plugins: {name: "module:attribute"}; modules stand beside this file. Returns the folder for PYTHONPATH.
    """
    found = folder / "plugins"
    announced = found / "aigw_benchmark-1.dist-info"
    announced.mkdir(parents=True, exist_ok=True)
    (announced / "METADATA").write_text("Metadata-Version: 2.1\nName: aigw-benchmark\nVersion: 1\n")
    lines = [f"{name} = {target}\n" for name, target in plugins.items()]
    (announced / "entry_points.txt").write_text("[aigw.plugins]\n" + "".join(lines))
    for module in {target.partition(":")[0] for target in plugins.values()}:
        shutil.copy(HERE / f"{module}.py", found)
    return found


def start_aigw(core, folder, config, *, plugins=None, nice=0):
    """Start `python -m aigw` on a core, without waiting for it; return (process, port)."""
    folder.mkdir(parents=True, exist_ok=True)
    path, port = folder / "aigw.toml", free_port()
    path.write_text(config)
    paths = [str(install(folder, plugins or {})), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "aigw", "--config", path, "--port", port]
    if nice:
        command = ["nice", "-n", nice, *command]
    settings = {"PYTHONPATH": os.pathsep.join(paths), "AIGW_API_KEY": ""}
    return start(core, *command, log=folder / "aigw.log", cwd=folder, **settings), port


def wait_for_aigw(process, port, folder, *, patience_s=30.0):
    """Wait for its first 200; return the seconds. Raises OSError with what it said last as a note."""
    try:
        return wait_for(
            port, "/v1/chat/completions", chat_body(), key=KEY, process=process, patience_s=patience_s
        )
    except OSError as error:
        error.add_note((folder / "aigw.log").read_text()[-2000:])
        raise

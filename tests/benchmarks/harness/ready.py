"""The interpreter that has what the benchmarks need: this one, or one made once and kept.

Imports nothing that may be missing.
"""

import os
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("aigw", "aiohttp", "attrs", "httptools", "uvloop")
ROOT = Path(__file__).parents[3]


def ensure():
    """Return if this interpreter has everything; otherwise start the program anew with one that has.

    That one is a virtual environment in the user's cache folder, with this tree installed as it stands.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if not missing:
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "aigw" / f"benchmarks-{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    print(f"not installed here: {', '.join(missing)}; {folder} is used", file=sys.stderr)
    if folder == Path(sys.prefix):
        raise SystemExit("and lacks them, too: remove it, and start again")
    if not _is_ready(python):
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[fast]"], check=True)
    os.execv(python, [str(python), *sys.argv])


def _is_ready(python):
    """Tell whether that interpreter is there, has everything, and has this very tree."""
    told = f"import {', '.join(NEEDED)}; print(aigw.__file__)"
    try:
        done = subprocess.run([python, "-c", told], check=True, capture_output=True, text=True, cwd="/")
    except (OSError, subprocess.CalledProcessError):
        return False
    return Path(done.stdout.strip()).is_relative_to(ROOT)

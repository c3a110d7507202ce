"""How each gateway is configured and started: rows of a table, one row a gateway.

Owns configuration files and command lines, nothing that measures. All of them are given one core, one
worker, and the mock provider at `upstream`, which they know as the model `wire.MODEL`.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from attrs import field, frozen

from .processes import start, wait_for
from .wire import KEY, MODEL, chat_body

HERE = Path(__file__).parent.parent

AIGW = """
[server]
access_log = false
[auth]
keys = [{{ key_hash = "sha256:{digest}", tenant = "bench" }}]
[state]
path = "{folder}/state.db"
[providers.one]
base_url = "{upstream}/v1"
[providers.two]
base_url = "{upstream}/v1"
[models.{model}]
targets = [
    {{ provider = "one", model = "m-1", weight = 3 }},
    {{ provider = "two", model = "m-2", weight = 1 }},
]
"""

NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_max_body_size 64m;
    client_body_buffer_size 1m;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    upstream provider {{ server {address}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""

LITELLM = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}

# An entry point as pip writes it, so that aigw finds the plugin the way it finds every other.
PLUGIN_METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: aigw-counting\nVersion: 1\n",
    "entry_points.txt": "[aigw.plugins]\ncounting = counting_plugin:Counting\n",
}


@frozen
class Gateway:
    """One gateway under test.

    launch: (folder, upstream, port) -> (command, environment); None for the provider itself, asked directly.
    patience_s: how long it may take to start. only: the scenarios it takes part in, all by default.
    """

    name: str
    title: str
    launch: object = None
    patience_s: float = 20.0
    only: tuple[str, ...] | None = None


@frozen
class Running:
    """A gateway that answers. process: None for the provider itself. started_s: until its first 200."""

    gateway: Gateway
    port: int
    process: object = None
    started_s: float = 0.0
    idle_mb: list[float] = field(factory=list)

    @property
    def pid(self):
        return self.process and self.process.pid


def start_provider(core, port, *, log=None):
    """Start the mock provider."""
    return start(core, sys.executable, HERE / "mock_provider.py", port, log=log)


def start_gateway(gateway, core, folder, upstream, port):
    """Start one, without waiting for it; what it says goes to a file in `folder`."""
    command, environment = gateway.launch(folder, upstream, port)
    return start(core, *command, log=folder / f"{gateway.name}.log", cwd=folder, **environment)


def wait_for_gateway(gateway, process, port, folder):
    """Wait for its first 200; return the seconds.

    Raises TimeoutError or ChildProcessError; what the gateway said last is among the error's notes.
    """
    path, patience_s = "/v1/chat/completions", gateway.patience_s
    try:
        return wait_for(port, path, chat_body(), key=KEY, process=process, patience_s=patience_s)
    except OSError as error:
        error.add_note((folder / f"{gateway.name}.log").read_text()[-2000:])
        raise


def launch_bare(folder, upstream, port):
    return [sys.executable, HERE / "bare_proxy.py", upstream, port], {}


def launch_aigw(folder, upstream, port):
    """Run it as a user would: `python -m aigw`, a configuration file, an installed plugin."""
    config, found = folder / "aigw.toml", folder / "plugins" / "aigw_counting-1.dist-info"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    config.write_text(AIGW.format(digest=digest, folder=folder, upstream=upstream, model=MODEL))
    found.mkdir(parents=True, exist_ok=True)
    for name, text in PLUGIN_METADATA.items():
        (found / name).write_text(text)
    shutil.copy(Path(__file__).parent / "counting_plugin.py", found.parent)
    paths = [str(found.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "aigw", "--config", config, "--port", port]
    return command, {"PYTHONPATH": os.pathsep.join(paths), "AIGW_API_KEY": ""}


def launch_nginx(folder, upstream, port):
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, address=upstream.removeprefix("http://")))
    return [shutil.which("nginx"), "-p", folder, "-c", config, "-e", "stderr"], {}


def launch_litellm(program):
    """Return how to launch it; `program` is its command."""

    def launch(folder, upstream, port):
        config = folder / "litellm.json"  # it reads YAML, of which JSON is a part
        targets = [
            {
                "model_name": MODEL,
                "litellm_params": {
                    "model": f"openai/m-{number}",
                    "api_base": f"{upstream}/v1",
                    "api_key": "none",
                    "weight": weight,
                },
            }
            for number, weight in ((1, 3), (2, 1))
        ]
        tree = {"model_list": targets, "general_settings": {"master_key": KEY}}
        config.write_text(json.dumps(tree))
        command = [program, "--config", config, "--host", "127.0.0.1", "--port", port, "--num_workers", 1]
        return command, LITELLM

    return launch


def known_gateways(litellm=None):
    """Return the gateways of this machine by name, the references first.

    litellm: a virtual environment to take LiteLLM from, rather than from the path.
    """
    program = Path(litellm) / "bin" / "litellm" if litellm else shutil.which("litellm")
    rows = [
        Gateway("direct", "no gateway", only=("a1", "a64", "c50", "c", "d")),
        Gateway("bare", "bare aiohttp proxy", launch_bare),
        Gateway("aigw", "aigw", launch_aigw),
    ]
    if shutil.which("nginx"):
        rows.append(Gateway("nginx", "nginx", launch_nginx))
    if program:
        rows.append(Gateway("litellm", "LiteLLM", launch_litellm(program), patience_s=120.0))
    return {row.name: row for row in rows}

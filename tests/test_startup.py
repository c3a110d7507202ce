"""What a process that serves has loaded once it has answered: nothing that only others need."""

import ast
import asyncio
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from support.served import CLEAN, PATIENCE_S

import aigw

# Each is loaded where somebody first asks for it. Loaded by all who start, it costs every start milliseconds
# and megabytes.
FEATURES = {
    "aigw.explain.command",
    "aigw.responses.loop",
    "aigw.responses.mcp.toolbox",
    "aigw.responses.websocket_connection",
    "aigw.supervisor",
    "aigw.upstream.chaos",
    "aigw.upstream.demo",
    "aigw.upstream.replay",
}
THIRD_PARTIES = {
    "aiohttp_cors", "anthropic", "cryptography", "genai_prices", "httpx", "httpx2", "jsonschema", "mcp",
    "openai", "pydantic", "pytest", "xml", "yaml",
}  # fmt: skip
SERVE_AND_TELL = """
import atexit, runpy, sys
atexit.register(lambda: print(*sys.modules))
runpy.run_module("aigw", run_name="__main__", alter_sys=True)
"""


async def loaded(folder, http, config):
    """Serve in a process, have it answer a chat request, and return the names of all that it loaded."""
    installed = [plugin.name for plugin in entry_points(group="aigw.plugins")]  # theirs is not what is tested
    (folder / "aigw.toml").write_text(f"{config}\n[plugins]\ndisabled = {installed}\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", SERVE_AND_TELL, "--port", "0",
        cwd=folder, env=CLEAN, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            log = await process.stderr.readuntil(b" (stop with")
            url = log.decode().rpartition("listens on ")[2].split()[0]
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            async with http.post(f"{url}/v1/chat/completions", json=body) as response:
                assert response.status == 200
            process.terminate()
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return set(told.decode().split())


async def test_a_chat_request_is_answered_without_what_only_other_features_need(tmp_path, http, upstream):
    upstream.answer()
    config = f'[providers.up]\nbase_url = "{upstream.url}"\n[models.m]\ntargets = ["up/m"]\n'
    found = await loaded(tmp_path, http, config)
    assert "aigw.gateway" in found
    assert not (FEATURES | THIRD_PARTIES) & found


async def test_the_demo_provider_is_loaded_when_it_answers_and_nothing_else_with_it(tmp_path, http):
    found = await loaded(tmp_path, http, "")
    assert (FEATURES | THIRD_PARTIES) & found == {"aigw.upstream.demo"}


def test_what_must_not_be_loaded_has_not_been_renamed():
    root = Path(aigw.__file__).parents[1]
    places = [root / name.replace(".", "/") for name in FEATURES]
    assert all(place.is_dir() or place.with_suffix(".py").is_file() for place in places)


def test_the_collector_rests_while_all_is_imported_and_runs_again_behind():
    code = "import gc, aigw.__main__; assert gc.isenabled(); assert gc.get_freeze_count() > 10_000"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=PATIENCE_S)


def test_importing_the_library_alone_loads_nothing_of_it():
    code = """
import sys, aigw
assert {name for name in sys.modules if name.startswith("aigw")} == {"aigw", "aigw.version"}
assert "aiohttp" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=PATIENCE_S)


def test_every_public_name_is_there_when_asked_for():
    tree = ast.parse(Path(aigw.__file__).read_text(encoding="utf-8"))
    block = next(
        node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    )
    typed = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("aigw.")
        for alias in node.names
    }
    assert typed == aigw._HOMES
    assert set(aigw.__all__) == {*typed, "__version__", "make_app"}
    for name in aigw.__all__:
        assert getattr(aigw, name) is not None
    assert set(aigw.__all__) <= set(dir(aigw))


def test_a_module_below_is_there_without_being_imported():
    code = "import aigw; assert aigw.config.Secret('s'); assert not hasattr(aigw, '_nothing')"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=PATIENCE_S)


@pytest.mark.parametrize("name", ["nothing", "_HOME", "__wrapped__"])
def test_a_name_that_is_not_public_is_told_as_python_tells_it(name):
    with pytest.raises(AttributeError, match=f"module 'aigw' has no attribute '{name}'"):
        getattr(aigw, name)

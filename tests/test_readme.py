"""What README shows is run as it stands there, but for keys and the port."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import aigw_jwt
import aigw_redact
import aigw_request_log
import pytest
from aiohttp import web

import aigw
from aigw.assemble import assemble, read_config
from aigw.hooks.loader import Found
from aigw.hooks.table import HOOK_NAMES

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
KEPT = ("PATH", "LANG", "HOME", "PYTHONPATH", "XDG_STATE_HOME")
CLEAN = {name: os.environ[name] for name in KEPT if name in os.environ}
ENV = {"TEAM_A_KEY": "team-a-key", "OPENAI_API_KEY": "sk-placeholder"}
PLUGINS = {"jwt": aigw_jwt.Jwt, "redact": aigw_redact.Redact, "request-log": aigw_request_log.RequestLog}
LOCAL = "http://localhost:8080"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def block(language, word):
    (found,) = (text for text in blocks(language) if word in text)
    return found


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A gateway as README starts it, on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "aigw", "--port", "0"],
        cwd=tmp_path_factory.mktemp("empty"),
        env=CLEAN,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        lines = iter(process.stderr.readline, "")
        yield next(found[1] for line in lines if (found := re.search(r"listens on (\S+) ", line)))
        process.terminate()


def test_curl_gets_what_readme_shows(url):
    path, body, shown = re.search(
        r"curl -s localhost:8080(\S+) .*?-d '(.*?)'\n(.*?)\n\n", README, re.DOTALL
    ).groups()
    request = urllib.request.Request(url + path, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        answer = json.load(response)
    wanted = json.loads(re.sub(r"\n +", " ", shown))
    for name in ("id", "created"):
        assert type(answer.pop(name)) is type(wanted.pop(name))
    assert answer == wanted


SDKS = ("chat.completions", "import anthropic")


@pytest.mark.parametrize("sdk", SDKS)
def test_an_sdk_gets_an_answer(url, sdk):
    code = block("python", sdk)
    assert LOCAL in code
    code = code.replace(LOCAL, url)
    done = subprocess.run(
        [sys.executable, "-c", code], env=CLEAN, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.stdout.startswith('Hello! You said: "Hello there".'), done.stderr


def test_the_configuration_is_sound_and_leads_where_it_says(tmp_path):
    (tmp_path / "aigw.toml").write_text(block("toml", "[server]"), encoding="utf-8")
    config = read_config(None, ENV, tmp_path)
    installed = {name: Found(name, "here", lambda plugin=plugin: plugin) for name, plugin in PLUGINS.items()}
    made = assemble(config, ENV, installed=installed)
    gateway = made.gateway
    assert list(gateway.hooks.plugins) == ["jwt", "redact", "keys", "metrics", "access-log"]
    for name, targets in {
        "fast": ["openai/gpt-5-mini", "local/qwen3"],
        "default": ["openai/gpt-5-mini", "local/qwen3"],
        "local/llama": ["local/llama"],
        "mini": ["openai/gpt-5-nano"],
        "gpt-5": ["openai/gpt-5"],
        "openai/gpt-5": ["openai/gpt-5"],
    }.items():
        assert list(map(str, gateway.models.resolve(name).targets)) == targets
    assert made.notes == ()


def test_responses_are_kept_as_it_says(url):
    code = block("python", "previous_response_id").replace(LOCAL, url)
    done = subprocess.run(
        [sys.executable, "-c", code], env=CLEAN, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.stdout.splitlines()[-1] == "3 items came before the second answer", done.stderr


def test_the_settings_of_state_are_sound(tmp_path):
    (tmp_path / "aigw.toml").write_text(block("toml", "[state]"), encoding="utf-8")
    config = read_config(None, {}, tmp_path)
    assert (config.state.kind, config.state.max_bytes) == ("sqlite", 2**30)


@pytest.mark.parametrize("word", ["[routing]", "[providers.tape]"])
def test_what_it_says_of_routing_and_tests_can_be_configured(tmp_path, word):
    (tmp_path / "aigw.toml").write_text(block("toml", word), encoding="utf-8")
    env = {"KEY_A": "sk-placeholder-a", "KEY_B": "sk-placeholder-b", "OPENAI_API_KEY": "sk-placeholder"}
    gateway = assemble(read_config(None, env, tmp_path), env, installed={}).gateway
    assert {"fast", "flaky"} & {*gateway.models.names(), *gateway.models.providers}


async def test_the_python_runs(monkeypatch, aiohttp_client):
    run = []
    monkeypatch.setattr(web, "run_app", run.append)
    space = {"gateway": aigw.Gateway()}
    for code in blocks("python"):
        if LOCAL not in code:
            exec(code, space)  # one after the other, as one reads them
    assert [route.resource.canonical for route in run[0].router.routes()]
    gateway = space["gateway"]
    assert str(gateway.models.resolve("gpt-4").targets[0]) == "openai/gpt-4-turbo"
    other = aigw.Gateway()
    other.models.register("parrot", space["Parrot"]("parrot", apis=["chat"]))
    other.hooks.register(space["Polite"]())
    client = await aiohttp_client(other.make_app())
    body = {"model": "parrot", "messages": [{"role": "user", "content": "hi"}]}
    async with client.post("/v1/chat/completions", json=body) as response:
        assert (await response.json())["choices"][0]["message"]["content"] == "hi"


def test_every_python_block_is_run_by_one_of_these():
    assert len(blocks("python")) == 6


def test_every_hook_is_in_the_table():
    rows = re.findall(r"^\| `(\w+)\(", README, re.MULTILINE)
    assert rows == list(HOOK_NAMES)


def test_every_room_is_in_the_table():
    table = README[README.index("| Room | Owns |") : README.index("Imports point only downward")]
    rooms = {
        path.name
        for path in Path(aigw.__file__).parent.iterdir()
        if not path.name.startswith(("_", ".")) and path.name != "py.typed"
    }
    named = {name.strip("/").rpartition("/")[2] for name in re.findall(r"`([\w/.]+)`", table)}
    assert rooms - named == {"version.py"}

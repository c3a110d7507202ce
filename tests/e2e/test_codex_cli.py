"""The codex command-line client runs a tool through a gateway whose provider speaks another format.

Needs `npm install -g @openai/codex`, or its path in AIGW_CODEX. It runs a shell command of the script's
choice (`echo`) in a folder of its own.
"""

import json

import pytest
from support.scripted import USAGE_CHUNK, chunk, sse

import aigw
from aigw.config import AuthConfig, Config, KeyConfig, Secret
from e2e.commands import installed, run

CODEX = installed("AIGW_CODEX", "codex")
pytestmark = pytest.mark.skipif(
    CODEX is None, reason="codex is not installed: npm install -g @openai/codex, or set AIGW_CODEX"
)
SETTINGS = """
model = "m"
model_provider = "aigw"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.aigw]
name = "aigw"
base_url = "{url}/v1"
env_key = "AIGW_KEY"
wire_api = "responses"
supports_websockets = {websockets}
"""
ARGUMENTS = json.dumps({"cmd": "echo horse-$((40+2))"})


def call(number, arguments):
    """The chunk of a chat stream that calls codex's tool for the shell."""
    function = {"name": "exec_command", "arguments": arguments}
    delta = {"tool_calls": [{"index": 0, "id": f"call_{number}", "type": "function", "function": function}]}
    return {**chunk(), "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


@pytest.fixture
def gateway(upstream):
    config = Config(auth=AuthConfig(keys=(KeyConfig(key=Secret("sk-client"), name="codex"),)))
    made = aigw.Gateway(config)
    provider = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=("chat",))
    made.models.register("m", provider, rewrite="up-model")
    return made


@pytest.mark.parametrize("transport", ["http", "websocket"])
async def test_codex_completes_a_turn_that_uses_its_shell(
    upstream, gateway, complete, serve, tmp_path, transport
):
    upstream.stream(sse(call(1, ARGUMENTS), chunk(finish="tool_calls"), USAGE_CHUNK))
    upstream.stream(sse(call(2, ARGUMENTS), chunk(finish="tool_calls"), USAGE_CHUNK))
    upstream.stream(sse(chunk("The shell has "), chunk("spoken."), chunk(finish="stop"), USAGE_CHUNK))
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    websockets = str(transport == "websocket").lower()
    settings = SETTINGS.format(url=await serve(gateway), websockets=websockets)
    (home / "config.toml").write_text(settings, encoding="utf-8")
    command = (
        CODEX,
        "exec",
        "--strict-config",
        "--json",
        "--skip-git-repo-check",
        "--sandbox",
        "danger-full-access",
        "Go.",
    )
    code, out, errors = await run(*command, home=home, work=work, CODEX_HOME=str(home), AIGW_KEY="sk-client")
    events = [json.loads(line) for line in out.splitlines()]
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    assert code == 0, (out, errors)
    ran = [item for item in items if item["type"] == "command_execution"]
    assert [item["aggregated_output"].strip() for item in ran] == ["horse-42", "horse-42"]
    assert [item["text"] for item in items if item["type"] == "agent_message"] == ["The shell has spoken."]
    assert events[-1]["type"] == "turn.completed"
    assert events[-1]["usage"]["output_tokens"] == 6

    last = upstream.seen[2].json["messages"]
    assert [message["role"] for message in last[-4:]] == ["assistant", "tool", "assistant", "tool"]
    assert "horse-42" in json.dumps(last[-1])
    assert "Go." in json.dumps(last[-5])
    turns = [record for record in complete if record.api == "responses"]
    assert {turn.status for turn in turns} == {200}
    assert {turn.key_name for turn in turns} == {"codex"}
    opened = [record for record in complete if record.api == "websocket"]
    assert (transport == "websocket") == bool(opened)

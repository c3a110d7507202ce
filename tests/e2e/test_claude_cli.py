"""The claude command-line client runs a tool through a gateway whose provider speaks another format.

Needs `npm install -g @anthropic-ai/claude-code`, or its path in AIGW_CLAUDE. It runs a shell command of the
script's choice (`echo`) in a folder of its own.
"""

import json

import pytest
from support.scripted import USAGE_CHUNK, chunk, sse

import aigw
from aigw.config import AuthConfig, Config, KeyConfig, Secret
from e2e.commands import installed, run

CLAUDE = installed("AIGW_CLAUDE", "claude")
pytestmark = pytest.mark.skipif(
    CLAUDE is None,
    reason="claude is not installed: npm install -g @anthropic-ai/claude-code, or set AIGW_CLAUDE",
)
ARGUMENTS = json.dumps({"command": "echo horse-$((40+2))", "description": "Ask the shell"})
TOOL_CALL = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "Bash", "arguments": ARGUMENTS},
}


@pytest.fixture
def gateway(upstream):
    config = Config(auth=AuthConfig(keys=(KeyConfig(key=Secret("sk-client"), name="claude"),)))
    made = aigw.Gateway(config)
    provider = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=("chat",))
    made.models.register("claude-*", provider, rewrite="up-model")
    return made


async def test_claude_completes_a_turn_that_uses_its_shell(upstream, gateway, complete, serve, tmp_path):
    called = {
        **chunk(),
        "choices": [{"index": 0, "delta": {"tool_calls": [TOOL_CALL]}, "finish_reason": None}],
    }
    upstream.stream(sse(called, chunk(finish="tool_calls"), USAGE_CHUNK))
    upstream.stream(sse(chunk("The shell has "), chunk("spoken."), chunk(finish="stop"), USAGE_CHUNK))
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    command = (
        CLAUDE,
        "-p",
        "Go.",
        "--output-format",
        "json",
        "--allowedTools",
        "Bash",
        "--model",
        "claude-sonnet-4-5",
    )
    code, out, errors = await run(
        *command,
        home=home,
        work=work,
        ANTHROPIC_BASE_URL=await serve(gateway),
        ANTHROPIC_AUTH_TOKEN="sk-client",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_AUTOUPDATER="1",
    )
    assert code == 0, (out, errors)
    result = json.loads(out)
    assert (result["is_error"], result["result"]) == (False, "The shell has spoken.")
    asked = [seen.json["messages"] for seen in upstream.seen]
    assert any("horse-42" in json.dumps(message) for message in asked[-1] if message["role"] == "tool")
    assert {record.status for record in complete} == {200}
    assert {record.key_name for record in complete} == {"claude"}

"""Plugins run up to the call; nothing is opened, asked, kept or looked up."""

import json

from support.explained import CONFIG, HI, names, reasons
from support.plugins import Noted

import aigw


class Reserved:
    def settle(self, record):
        pass


async def test_plugins_run_in_their_order_up_to_the_call_and_not_behind_it(ask):
    ran = []

    async def setup(gateway):
        ran.append("setup")
        yield

    async def admit(exchange):
        ran.append("admit")
        return Reserved()

    async def rewrite_request(exchange, payload):
        payload.edit()["messages"] = [*payload.fields["messages"], {"role": "user", "content": "more"}]

    async def before_call(exchange, attempt, call):
        call.headers["x-plugin"] = f"number {attempt.number}"

    async def choose_targets(exchange, targets):
        return list(reversed(targets))

    async def on_error(exchange, error):
        ran.append("on_error")

    def on_complete(record):
        ran.append("on_complete")

    plugin = Noted("nosy", setup=setup, admit=admit, rewrite_request=rewrite_request, before_call=before_call,
                   choose_targets=choose_targets, on_error=on_error, on_complete=on_complete)  # fmt: skip
    tree = await ask({"model": "both", "messages": HI}, plugins=[plugin])
    assert ran == ["admit"]
    assert names(tree) == ["ant/claude-x", "up/llama"]
    assert [target["call"]["headers"]["x-plugin"] for target in tree["targets"]] == ["number 1", "number 2"]
    assert "more" in json.dumps(tree["targets"][1]["call"]["body"])
    assert tree["hooks"]["before_call"] == ["nosy"]
    assert tree["reservations"] == ["Reserved"]
    assert 'plugin "nosy" leaves ant/claude-x, up/llama' in reasons(tree)
    assert any("setup was not run" in note and "nosy" in note for note in tree["notes"])


async def test_a_plugin_that_refuses_is_heard_and_so_is_one_that_retells(ask):
    async def admit(exchange):
        raise aigw.ClientError("no more today", kind=aigw.ErrorKind.RATE_LIMITED, retry_after_s=3)

    async def on_error(exchange, error):
        return aigw.ClientError(f"{error.message}, {exchange.identity.tenant}", kind=error.kind)

    tree = await ask(
        {"model": "both", "messages": HI}, plugins=[Noted("quota", admit=admit, on_error=on_error)]
    )
    assert tree["answer"]["status"] == 429
    assert tree["answer"]["body"]["error"]["message"] == "no more today, team-a"


async def test_a_provider_of_its_own_kind_and_one_behind_a_wrapper_are_shown(ask):
    config = CONFIG + (
        '[providers.flaky]\nkind = "chaos"\noptions = { of = "up", faults = [{ kind = "status" }] }\n'
        '[models.odd]\nstrategy = "priority"\ntargets = ["flaky/llama", "demo/x"]\n'
    )
    tree = await ask({"model": "odd", "messages": HI}, config=config)
    flaky, demo = (target["call"] for target in tree["targets"])
    assert (flaky["behind"], flaky["headers"]["Authorization"]) == (["flaky"], "Bearer ***")
    assert (demo["url"], demo["body"]["model"]) == (None, "x")


async def test_mcp_servers_are_not_asked_for_their_tools(ask, upstream):
    tool = {
        "type": "mcp",
        "server_label": "files",
        "server_url": f"{upstream.url}/mcp",
        "require_approval": "never",
    }
    config = CONFIG + f'[responses]\nmcp_allowed = ["{upstream.url}/*"]\n'
    tree = await ask({"model": "claude", "input": "hi", "tools": [tool]}, config=config)
    assert tree["sent"]
    assert any("MCP servers are not asked" in note and "files" in note for note in tree["notes"])


class Own(aigw.BaseProvider):
    """A plugin's provider that keeps what is asked of it."""

    def __init__(self):
        super().__init__("own-kind", apis=["chat"])
        self.asked = []

    async def open(self):
        self.asked.append("open")

    async def call(self, call):
        self.asked.append("call")
        return aigw.Answer.json({})

    async def models(self):
        self.asked.append("models")
        return ["m"]


async def test_a_plugins_provider_is_neither_opened_nor_asked(ask):
    provider = Own()
    plugin = Noted("own", provide=lambda registry: registry.provider(provider))
    tree = await ask({"model": "own-kind/m", "messages": HI}, plugins=[plugin])
    assert (names(tree), tree["targets"][0]["call"]["url"]) == (["own-kind/m"], None)
    tree = await ask(path="/v1/models", plugins=[plugin])
    assert (tree["sent"], tree["answer"]["status"]) == (True, 200)
    assert "fast" in {row["id"] for row in tree["answer"]["body"]["data"]}
    assert provider.asked == []


async def test_what_is_kept_is_said_not_to_be_looked_up(ask):
    tree = await ask({"model": "res", "input": "hi", "previous_response_id": "resp_1"})
    assert tree["answer"]["status"] in {400, 404}
    assert any("not looked up" in note for note in tree["notes"])

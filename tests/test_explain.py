"""`aigw explain`: what would become of a request, told by the chain itself, and nobody called."""

import json
import logging
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.plugins import Noted

import aigw
from aigw.cli import main
from aigw.config import AuthConfig, KeyConfig, Secret, loads
from aigw.explain.asked import Flags, read_request
from aigw.explain.dry_run import dry_run
from aigw.explain.masking import mask_for
from aigw.explain.report import report
from aigw.hooks.loader import Found

KEY = "sk-caller-secret-1"
BEARER = f"Authorization: Bearer {KEY}"
SECRETS = (KEY, "sk-other-secret-2", "sk-up-secret-3", "sk-ant-secret-4", "header-secret-5", "query-secret-6",
           "sk-pool-secret-7", "sk-pool-secret-8", "proxy-secret-9")  # fmt: skip

CONFIG = """
[auth]
keys = [
  { key = "sk-caller-secret-1", tenant = "team-a", name = "ci" },
  { key = "sk-other-secret-2", tenant = "team-b", models = ["claude"] },
]
[providers.up]
base_url = "UP/v1"
api_key = "sk-up-secret-3"
apis = ["chat"]
headers = { x-extra = "header-secret-5" }
query = { sig = "query-secret-6" }
[providers.ant]
base_url = "UP"
kind = "anthropic"
api_key = "sk-ant-secret-4"
apis = ["messages"]
[providers.gem]
base_url = "UP/v1beta"
kind = "gemini"
api_keys = [{ key = "sk-pool-secret-7", name = "a" }, { key = "sk-pool-secret-8", name = "b" }]
apis = ["gemini"]
[providers.res]
base_url = "UP/v1"
proxy = "http://user:proxy-secret-9@127.0.0.1:9"
api_key = "sk-up-secret-3"
apis = ["responses"]
[models.fast]
targets = [{ provider = "up", model = "llama", weight = 3 }, { provider = "ant", model = "claude-x" }]
aliases = ["quick"]
fallbacks = ["gem-model"]
rules = [{ name = "long", use = "claude", when = { min_context_tokens = 5000 } }]
[models.claude]
targets = ["ant/claude-x"]
on_context_length = ["gem-model"]
[models.gem-model]
targets = ["gem/gemini-x"]
[models.res]
targets = ["res/model-r"]
[models."own/*"]
targets = ["up/*"]
[models.both]
strategy = "priority"
targets = [{ provider = "up", model = "llama", max_in_flight = 4 }, "ant/claude-x"]
shadow = { target = "gem-model", percent = 10 }
retry = { retries = 3, backoff_s = 30.0, max_backoff_s = 60.0, patience_s = 90.0 }
[[routing.rules]]
name = "beta testers"
use = "gem-model"
models = ["fast"]
when = { header = { x-beta = "1" } }
[[routing.rules]]
name = "team b"
use = "res"
models = ["claude"]
when = { tenant = "team-b" }
"""

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def ask(upstream):
    """Explain a request; nobody is called, whatever comes of it, and no secret is told."""

    async def run(
        body=None, *, path=None, headers=(BEARER,), config=CONFIG, plugins=(), method=None, env=None
    ):
        data = None if body is None else body if isinstance(body, str) else json.dumps(body)
        asked = read_request(Flags(None, path, method, tuple(headers), data), _no_file)
        settings = loads(_toml(config, upstream.url), env or {}, known_providers=None)
        installed = {plugin.name: Found(plugin.name, "test", lambda made=plugin: lambda: made)
                     for plugin in plugins}  # fmt: skip
        done = await dry_run(asked, settings, env or {}, installed=installed)
        credential = done.exchange.credential if done.exchange else None
        tree = report(done, mask_for(done.gateway.config, env or {}, credential))
        assert upstream.seen == []
        told = json.dumps(tree)
        assert [secret for secret in SECRETS if secret in told] == []
        return tree

    return run


def _no_file(name):
    raise AssertionError(f"nothing names the file {name}")


def _toml(text, url):
    import tomllib

    return tomllib.loads(text.replace("UP", url))


def names(tree):
    return [target["target"] for target in tree["targets"]]


def reasons(tree):
    return [each["reason"] for each in tree["decisions"] if not each["target"]]


FORMATS = {
    "chat": ({"messages": HI, "temperature": 0.5}, "/v1/chat/completions"),
    "messages": ({"messages": HI, "max_tokens": 64, "system": "be kind"}, "/v1/messages"),
    "responses": ({"input": "hi", "temperature": 0.5}, "/v1/responses"),
    "gemini": (
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        "/v1beta/models/{}:generateContent",
    ),
}
NATIVE = {"chat": "own/llama", "messages": "claude", "gemini": "gem-model", "responses": "res"}


@pytest.mark.parametrize("model", NATIVE.values())
@pytest.mark.parametrize("client", FORMATS)
async def test_any_format_is_explained_at_any_provider(ask, client, model):
    body, path = FORMATS[client]
    tree = await ask({"model": model, **body}, path=path.format(model))
    assert tree["sent"]
    (target,) = tree["targets"]
    call = target["call"]
    assert call["translated"] is (NATIVE[client] != model)
    assert tree["request"]["format"] == client
    assert NATIVE[target["format"]] == model
    said = {**call["body"]}
    assert "hi" in json.dumps(said)
    if model != "gem-model":
        assert said["model"] in {"llama", "claude-x", "model-r"}
    shown = [value for name, value in call["headers"].items()
             if name.lower() in {"authorization", "x-api-key", "x-goog-api-key"}]  # fmt: skip
    assert shown in (["Bearer ***"], ["***"])


@pytest.mark.parametrize("client", FORMATS)
async def test_a_path_is_guessed_from_the_body(ask, client):
    body, path = FORMATS[client]
    tree = await ask({"model": "res", **body})
    assert tree["request"]["path"] == path.format("res")
    assert tree["request"]["path_is_guessed"]


async def test_what_is_told_is_what_is_sent(upstream, http, aiohttp_client):
    """The same request, once explained and once made."""
    upstream.answer()
    config = loads(_toml(CONFIG, upstream.url), {}, known_providers=None)
    body = {"model": "own/llama", "stream": False, "messages": HI, "unknown_field": [1]}
    flags = Flags(None, "/v1/chat/completions?x=1", None, (BEARER, "OpenAI-Beta: b"), json.dumps(body))
    done = await dry_run(read_request(flags, _no_file), config, {}, installed={})
    (outgoing,) = done.noted.calls.values()
    assert upstream.seen == []
    app = aigw.assemble.assemble(config, {}, installed={}).gateway.make_app()
    client = await aiohttp_client(app)
    sent = {"Authorization": f"Bearer {KEY}", "OpenAI-Beta": "b", "Content-Type": "application/json"}
    answer = await client.post(flags.path, data=flags.data.encode(), headers=sent)
    assert answer.status == 200
    (seen,) = upstream.seen
    assert (seen.body, seen.method) == (outgoing.call.body, "POST")
    assert outgoing.url == f"{upstream.url}{seen.path}?{seen.query}"
    theirs = {name.lower(): value for name, value in seen.headers.items()}
    for name, value in outgoing.call.headers.items():
        assert theirs[name.lower()] == value


async def test_the_caller_is_named(ask):
    tree = await ask({"model": "claude", "messages": HI})
    assert tree["caller"] == {"tenant": "team-a", "name": "ci", "models": ["*"], "is_admin": False}
    assert tree["hooks"]["authenticate"] == ["keys"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        ({"model": "claude", "messages": HI}, (), 401, "no API key was sent"),
        ({"model": "claude", "messages": HI}, ("x-api-key: sk-stranger-0",), 401, "not known here"),
        (
            {"model": "fast", "messages": HI},
            ("x-api-key: sk-other-secret-2",),
            403,
            "not allowed for this key",
        ),
        ({"model": "claud", "messages": HI}, (BEARER,), 404, 'did you mean "claude"?'),
        ({"messages": HI}, (BEARER,), 400, '"model" is missing'),
        ("{broken", (BEARER,), 400, "not valid JSON"),
        ({"model": "claude", "messages": HI}, (BEARER, "Content-Type: text/plain"), 415, "text/plain"),
        ({"model": "claude", "messages": HI}, (BEARER, "x-aigw-fallbacks: nope"), 404, "no such model"),
    ],
)
async def test_a_refusal_is_what_the_client_would_see(ask, body, headers, status, words):
    tree = await ask(body, path="/v1/chat/completions", headers=headers)
    assert not tree["sent"]
    assert tree["targets"] == []
    assert tree["answer"]["status"] == status
    assert words in tree["answer"]["body"]["error"]["message"]
    assert (tree["caller"] is None) is (status == 401)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/messages", {"type": "error"}),
        ("/v1/chat/completions", {}),
        ("/v1beta/models/nope:generateContent", {}),
    ],
)
async def test_a_refusal_has_the_clients_own_shape(ask, path, told):
    tree = await ask({"model": "nope", "messages": HI, "contents": []}, path=path)
    error = tree["answer"]["body"]["error"]
    assert tree["answer"]["body"].items() >= told.items()
    assert ("status" in error) is ("v1beta" in path)


async def test_a_url_that_is_none_is_refused(ask):
    tree = await ask({"model": "claude"}, path="/v2/chat")
    assert (tree["sent"], tree["answer"]["status"], tree["caller"]) == (False, 404, None)


async def test_an_alias_and_a_pattern_lead_to_their_entry(ask):
    tree = await ask({"model": "quick", "messages": HI})
    assert (tree["request"]["entry"], len(tree["targets"])) == ("fast", 3)
    tree = await ask({"model": "own/qwen", "messages": HI})
    assert (tree["request"]["entry"], names(tree)) == ("own/*", ["up/qwen"])


async def test_targets_stand_in_their_order_with_their_chances(ask):
    tree = await ask({"model": "fast", "messages": HI})
    told = {target["target"]: target for target in tree["targets"]}
    assert names(tree)[2] == "gem/gemini-x"
    assert {name: each["chance"] for name, each in told.items()} == {
        "up/llama": 0.75, "ant/claude-x": 0.25, "gem/gemini-x": 1.0}  # fmt: skip
    assert [told["up/llama"]["group"], told["gem/gemini-x"]["group"]] == [1, 2]
    assert told["up/llama"]["why"] == [f"group 1, weighted: number {names(tree).index('up/llama') + 1}"]
    assert "fallbacks: gem-model" in reasons(tree)
    assert told["gem/gemini-x"]["call"]["keys"] == ["a", "b"]


async def test_nothing_waits_for_a_retry_and_every_target_is_shown_once(ask):
    tree = await ask({"model": "both", "messages": HI})
    assert names(tree) == ["up/llama", "ant/claude-x"]
    assert all(target["refused"] is None for target in tree["targets"])
    assert tree["targets"][0]["limits"] == {"max_in_flight": 4}
    assert [target["chance"] for target in tree["targets"]] == [1.0, 0.0]
    assert tree["otherwise"]["shadow"] == {"model": "gem-model", "percent": 10.0}


async def test_a_hedged_request_is_shown_as_any_other(ask):
    config = CONFIG + "[routing.hedge]\nafter_s = 0.5\n"
    tree = await ask({"model": "both", "messages": HI}, config=config)
    assert names(tree) == ["up/llama", "ant/claude-x"]
    assert all(target["call"] for target in tree["targets"])


async def test_fallbacks_of_the_request_come_before_those_of_the_configuration(ask):
    tree = await ask({"model": "fast", "messages": HI, "fallbacks": ["res"]})
    assert names(tree)[2:] == ["res/model-r", "gem/gemini-x"]
    assert all("fallbacks" not in target["call"]["body"] for target in tree["targets"])


async def test_a_rule_by_header_is_told_and_followed(ask):
    tree = await ask({"model": "fast", "messages": HI}, headers=(BEARER, "x-beta: 1"))
    assert names(tree) == ["gem/gemini-x"]
    assert reasons(tree)[:2] == [
        "rule long does not hold: about 2 tokens of input are too few",
        "rule beta testers holds: gem-model serves it",
    ]


async def test_a_rule_by_tenant_is_told_and_followed(ask):
    tree = await ask({"model": "claude", "messages": HI}, headers=("x-api-key: sk-other-secret-2",))
    assert names(tree) == ["res/model-r"]
    tree = await ask({"model": "claude", "messages": HI})
    assert reasons(tree) == ['rule team b does not hold: tenant is "team-a"']
    assert tree["otherwise"]["on_context_length"] == ["gem-model"]


async def test_what_another_format_cannot_hold_is_told(ask):
    tree = await ask({"model": "claude", "messages": HI, "seed": 4, "logit_bias": {"3": 1}})
    (target,) = tree["targets"]
    assert target["call"]["dropped"] == ["sampling.logit_bias", "sampling.seed"]
    assert "seed" not in target["call"]["body"]


async def test_under_strict_what_would_be_dropped_goes_to_another_target(ask):
    body = {"model": "both", "messages": HI, "seed": 4}
    tree = await ask(body, headers=(BEARER, "x-aigw-strict: 1"))
    first, second = tree["targets"]
    assert first["call"]["body"]["seed"] == 4
    assert second["call"] is None
    assert "cannot hold sampling.seed" in second["refused"]["message"]
    assert tree["request"]["strict"]
    tree = await ask({**body, "model": "claude"}, headers=(BEARER, "x-aigw-strict: 1"))
    assert (tree["sent"], tree["answer"]["status"]) == (False, 400)
    assert "cannot hold sampling.seed" in tree["answer"]["body"]["error"]["message"]


async def test_what_a_profile_changes_is_told(ask):
    profile = (
        '[profiles.odd]\nmodels = ["claude-x"]\ndrop = ["sampling.temperature"]\nmax_output_tokens = 9\n'
    )
    body = {"model": "claude", "messages": HI, "temperature": 0.3, "max_tokens": 100}
    tree = await ask(body, config=CONFIG + profile)
    call = tree["targets"][0]["call"]
    assert call["profile"] == {"name": "odd", "changed": ["sampling.temperature", "max_output_tokens"]}
    assert call["body"]["max_tokens"] == 9


async def test_a_target_that_cannot_answer_is_left_out(ask):
    tree = await ask({"model": "fast", "input": "hi"}, path="/v1/embeddings")
    assert [each["target"] for each in tree["left_out"]] == ["up/llama", "ant/claude-x"]
    tree = await ask({"model": "both", "prompt": "hi"}, path="/v1/completions")
    assert not tree["sent"]


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


async def test_a_background_response_is_explained_as_it_will_be_asked(ask):
    tree = await ask({"model": "res", "input": "hi", "background": True})
    assert "background" not in tree["targets"][0]["call"]["body"]


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


async def test_secrets_stay_out_wherever_they_stand(ask):
    body = {"model": "own/llama", "messages": [{"role": "user", "content": " ".join(SECRETS)}],
            "metadata": {KEY: "query-secret-6"}}  # fmt: skip
    tree = await ask(body, path=f"/v1/chat/completions?key={KEY}&other={KEY}",
                     headers=(BEARER, "x-note: sk-up-secret-3"))  # fmt: skip
    call = tree["targets"][0]["call"]
    assert "sig=***" in call["url"]
    assert call["headers"]["x-extra"] == "***"
    assert call["body"]["messages"][0]["content"].count("***") >= 8


async def test_keys_of_the_environment_stay_out(ask):
    env = {"OPENAI_API_KEY": "sk-environment-77", "SOME_TOKEN": "tok-environment-88"}
    body = {"model": "openai/gpt-x", "messages": [{"role": "user", "content": "tok-environment-88"}]}
    tree = await ask(body, env=env)
    assert names(tree) == ["openai/gpt-x"]
    assert "environment" not in json.dumps(tree)
    assert tree["targets"][0]["call"]["headers"]["Authorization"] == "Bearer ***"


async def test_the_same_request_is_told_in_the_same_words(ask):
    for client, (body, path) in FORMATS.items():
        first, second = [await ask({"model": "fast", **body}, path=path.format("fast")) for _ in range(2)]
        assert first == second, client


PLAIN = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="*"), min_size=1)


@given(secret=PLAIN, around=st.text(), name=st.sampled_from(["x-note", "Authorization", "x-api-key"]))
def test_no_text_a_mask_lets_through_holds_a_secret(secret, around, name):
    try:
        key = KeyConfig(key=Secret(secret))
    except ValueError:  # no key of that kind can be configured
        return
    mask = mask_for(aigw.Config(auth=AuthConfig(keys=(key,))), {})
    text = f"{around}{secret}{around}"
    shown = [mask.text(text), *mask.headers([(name, text)]).values(), mask.url(f"http://h/{quote(text)}")]
    shown += walk(mask.tree({text: [text, {"a": json.dumps(text)}]}))
    assert [each for each in shown if secret in each.replace("http://h/", "").replace("***", "*")] == []


def walk(tree):
    """Yield all texts of a tree, but for the one name that is ours."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield from [name] if name != "a" else []
            yield from walk(value)
    else:
        for each in tree:
            yield from walk(each)


# The command itself.


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run `aigw explain` in a folder with a configuration; return (exit code, what it printed)."""
    monkeypatch.chdir(tmp_path)
    for name in ("AIGW_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    Path("aigw.toml").write_text(CONFIG.replace("UP", "http://127.0.0.1:9"), encoding="utf-8")

    def run(*words):
        try:
            code = main(["explain", *words])
        except SystemExit as leaving:
            code = leaving.code
        told = capsys.readouterr()
        assert not [secret for secret in SECRETS if secret in told.out + told.err]
        return code, told.out or told.err

    return run


BODY = json.dumps({"model": "claude", "messages": HI, "seed": 4})


def test_a_person_reads_who_asks_and_what_is_sent(cli):
    code, text = cli("-H", BEARER, "-d", BODY)
    assert code == 0
    for line in (
        "request: POST /v1/chat/completions (guessed from the body)",
        "model: claude (chat, whole)",
        'caller: tenant "team-a", key "ci"; may use *',
        '  rule team b does not hold: tenant is "team-a"',
        "1. ant/claude-x",
        "   format: messages, translated",
        "   x-aigw-dropped: sampling.seed; under strict, this target is not asked",
        "   POST http://127.0.0.1:9/v1/messages",
        "   x-api-key: ***",
        '     "model": "claude-x",',
        "  too long for the model: gem-model",
    ):
        assert line in text.splitlines()


def test_a_refusal_exits_with_one_and_shows_the_error(cli):
    code, text = cli("-d", BODY)
    assert code == 1
    assert "refused: HTTP 401" in text.splitlines()
    assert '"code": "invalid_api_key"' in text


def test_json_is_for_programs(cli):
    code, text = cli("--json", "-H", BEARER, "-d", BODY)
    assert code == 0
    tree = json.loads(text)
    assert list(tree) == ["sent", "request", "caller", "decisions", "targets", "left_out", "otherwise",
                          "hooks", "reservations", "answer", "notes"]  # fmt: skip
    assert cli("--json", "-H", BEARER, "-d", BODY) == (code, text)


CURL = """curl -sS http://localhost:8080/v1/chat/completions \\
  -H 'Authorization: Bearer sk-caller-secret-1' \\
  -H "Content-Type: application/json" \\
  -d '{"model": "claude", "messages": [{"role": "user", "content": "hi"}], "seed": 4}'
"""
HTTP = (
    """POST /v1/chat/completions HTTP/1.1
Host: localhost
Authorization: Bearer sk-caller-secret-1
Content-Type: application/json
Content-Length: 3

"""
    + BODY
)


@pytest.mark.parametrize(
    "text", [CURL, HTTP, HTTP.replace("\n", "\r\n"), BODY], ids=["curl", "http", "crlf", "json"]
)
def test_a_request_may_be_written_in_any_form(cli, text):
    Path("request").write_bytes(text.encode())
    plain = cli("--json", "--path", "/v1/chat/completions", "-H", BEARER, "-d", BODY)
    code, told = cli("--json", "request", "-H", BEARER)
    tree, wanted = json.loads(told), json.loads(plain[1])
    assert code == 0
    for one in (tree, wanted):
        del one["request"]["path_is_guessed"]
    assert tree == wanted


def test_a_curl_command_may_stand_in_the_command_itself(cli):
    code, text = cli(CURL)
    assert code == 0
    assert "1. ant/claude-x" in text.splitlines()


def test_data_may_come_from_a_file(cli):
    Path("body.json").write_text(BODY, encoding="utf-8")
    assert cli("-H", BEARER, "-d", "@body.json") == cli("-H", BEARER, "-d", BODY)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "got no request"),
        (("no-such-file",), "no-such-file"),
        (("-d", '{"model": "fast"}'), "none of messages, contents, input, prompt"),
        (("-d", "[]"), "no JSON object"),
        (("-d", "{"), "no JSON"),
        (("-d", '{"contents": []}'), "--path /v1beta/models/MODEL:generateContent"),
        (("-d", BODY, "-H", "nonsense"), 'wanted "Name: value"'),
        (("-d", BODY, "--path", "v1"), "wanted the path of a URL"),
        (("curl http://x/v1/models --proxy y",), "got --proxy"),
        (("curl -H",), "-H wants a value"),
        (("curl 'broken",), "breaks off"),
        (("curl -s",), "got no URL"),
        (("--nonsense",), "usage:"),
        (("-d", BODY, "-X", "PO ST"), "wanted a method"),
    ],
)
def test_what_cannot_be_read_exits_with_two(cli, words, told):
    code, text = cli(*words)
    assert code == 2
    assert told in text


def test_a_wrong_configuration_exits_with_one(cli):
    Path("aigw.toml").write_text("[server]\nport = -1\n", encoding="utf-8")
    code, text = cli("-d", BODY)
    assert code == 1
    assert "server.port" in text


def test_nothing_is_written_where_state_is_kept(cli, tmp_path):
    state = f'[state]\nkind = "sqlite"\npath = "{tmp_path}/state.db"\n'
    Path("aigw.toml").write_text(Path("aigw.toml").read_text(encoding="utf-8") + state, encoding="utf-8")
    before = sorted(Path().iterdir())
    assert cli("-H", BEARER, "-d", '{"model": "res", "input": "hi", "store": true}')[0] == 0
    assert sorted(Path().iterdir()) == before


def test_nothing_goes_to_the_log_of_requests(cli, caplog):
    with caplog.at_level(logging.INFO):
        cli("-H", BEARER, "-d", BODY)
    assert caplog.records == []

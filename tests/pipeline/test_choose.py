"""Where a request goes by configuration and by its own wish, with the gateway as a whole."""

import pytest
from support.answers import error_of
from support.scripted import COMPLETION, ScriptedUpstream

import aigw
from aigw.assemble import assemble, to_config

PATH = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]
NO = {"error": {"message": "no", "code": "x"}}
FAST = {"retries": 0}


@pytest.fixture
async def upstreams(aiohttp_server):
    """Three providers over real HTTP: one, two and three. Each answers well unless a test says otherwise."""
    from aiohttp import web

    made = {}
    for name in ("one", "two", "three"):
        scripted = made[name] = ScriptedUpstream()
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", scripted.handle)
        scripted.url = str((await aiohttp_server(app)).make_url("/")).rstrip("/")
        scripted.answer()
    return made


@pytest.fixture
def make(upstreams):
    """Make a gateway from its [models] and more; its providers are `upstreams`."""

    def run(models, **more):
        routing = {"retry": FAST, **more.pop("routing", {})}
        providers = {name: {"base_url": each.url} for name, each in upstreams.items()}
        tree = {"providers": providers, "models": models, "routing": routing, **more}
        return assemble(to_config(tree, {}), {}, installed={}).gateway

    return run


@pytest.fixture
def ask(http):
    """Ask for a model; return (provider, response, its JSON)."""

    async def run(url, model="m", headers=None, **fields):
        body = {"model": model, "messages": HI, **fields}
        async with http.post(url + PATH, json=body, headers=headers) as response:
            return response.headers.get("x-aigw-provider"), response, await response.json()

    return run


def breaks(upstream, status=500, tree=NO, headers=None):
    upstream.scripts.clear()
    upstream.answer(tree, status, headers)


async def test_the_next_group_is_asked_when_all_of_one_have_failed(make, upstreams, serve, ask):
    groups = [{"targets": ["one/a", "two/a"]}, {"targets": ["three/a"]}]
    url = await serve(make({"m": {"groups": groups}}))
    breaks(upstreams["one"])
    breaks(upstreams["two"], 429)
    provider, response, tree = await ask(url)
    assert (provider, tree) == ("three", COMPLETION)
    assert response.headers["x-aigw-attempts"] == "3"
    assert set(response.headers["x-aigw-fallback"].split(", ")) == {"one:x", "two:x"}


async def test_fallbacks_of_the_configuration_are_other_models(make, upstreams, serve, ask):
    url = await serve(make({"m": {"targets": ["one/a"], "fallbacks": ["n", "three/z"]}, "n": "two/b"}))
    for name in ("one", "two"):
        breaks(upstreams[name])
    provider, response, _ = await ask(url)
    assert (provider, response.headers["x-aigw-model"]) == ("three", "z")


@pytest.mark.parametrize("way", ["header", "body"])
async def test_a_request_may_name_its_own_fallbacks(make, upstreams, serve, ask, way):
    url = await serve(make({"m": "one/a", "n": "two/b"}))
    breaks(upstreams["one"])
    if way == "header":
        provider, _, _ = await ask(url, headers={"x-aigw-fallbacks": " n , three/c"})
    else:
        provider, _, _ = await ask(url, fallbacks=["n"])
    assert provider == "two"
    assert "fallbacks" not in upstreams["two"].seen[0].json


async def test_where_nothing_fails_no_fallback_is_asked(make, upstreams, serve, ask):
    url = await serve(make({"m": "one/a", "n": "two/b"}))
    provider, response, _ = await ask(url, headers={"x-aigw-fallbacks": "n"})
    assert (provider, response.headers["x-aigw-attempts"]) == ("one", "1")
    assert "x-aigw-fallback" not in response.headers
    assert not upstreams["two"].seen


KEYS = {"keys": [{"key": "sk-1", "models": ["m"]}]}
BEARER = {"Authorization": "Bearer sk-1"}


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"headers": {"x-aigw-fallbacks": "n"}}, 403, "model_not_allowed"),
        ({"fallbacks": ["n"]}, 403, "model_not_allowed"),
        ({"fallbacks": "n"}, 400, None),
        ({"fallbacks": [3]}, 400, None),
        ({"fallbacks": ["m"] * 17}, 400, None),
    ],
)
async def test_a_wish_that_is_not_to_be_granted_is_refused(
    make, upstreams, serve, ask, http, wish, status, code
):
    url = await serve(make({"m": "one/a", "n": "two/b"}, auth=KEYS))
    headers = {**BEARER, **wish.get("headers", {})}
    fields = {name: value for name, value in wish.items() if name != "headers"}
    async with http.post(
        url + PATH, json={"model": "m", "messages": HI, **fields}, headers=headers
    ) as response:
        await error_of(response, status, code, "fallbacks")
    assert not upstreams["one"].seen


async def test_a_fallback_that_is_no_model_is_told(make, serve, http):
    url = await serve(make({"m": "one/a", "near": "two/b"}))
    async with http.post(url + PATH, json={"model": "m", "messages": HI, "fallbacks": ["nearr"]}) as response:
        error = await error_of(response, 404, "model_not_found", "fallbacks")
    assert "near" in error["message"]


IMAGE = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}
]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
RULES = {
    "header": (
        {"header": {"x-team": "blue*"}},
        {"headers": {"x-team": "blue-1"}},
        {"headers": {"x-team": "red"}},
    ),
    "tag": (
        {"tag": ["night"]},
        {"headers": {"x-aigw-tags": "day, night"}},
        {"headers": {"x-aigw-tags": "day"}},
    ),
    "tenant": ({"tenant": "anon*"}, {}, None),
    "another tenant": ({"tenant": ["a", "b"]}, None, {}),
    "long": ({"min_context_tokens": 1000}, {"messages": [{"role": "user", "content": "x" * 4000}]}, {}),
    "short": ({"max_context_tokens": 100}, {}, {"messages": [{"role": "user", "content": "x" * 4000}]}),
    "images": ({"has_images": True}, {"messages": IMAGE}, {}),
    "no images": ({"has_images": False}, {}, {"messages": IMAGE}),
    "tools": ({"has_tools": True}, {"tools": [TOOL]}, {}),
    "whole": ({"stream": False}, {}, None),
    "all of several": (
        {"has_tools": True, "has_images": True},
        {"tools": [TOOL], "messages": IMAGE},
        {"tools": [TOOL]},
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("place", ["model", "routing"])
async def test_a_rule_sends_a_request_elsewhere(make, serve, ask, rule, place):
    when, meets, fails = RULES[rule]
    rules = [{"when": when, "use": "n"}]
    model = {"targets": ["one/a"], **({"rules": rules} if place == "model" else {})}
    url = await serve(
        make({"m": model, "n": "two/b"}, routing={"rules": rules} if place == "routing" else {})
    )
    if meets is not None:
        assert (await ask(url, **meets))[0] == "two"
    if fails is not None:
        assert (await ask(url, **fails))[0] == "one"


async def test_the_first_rule_that_holds_decides_and_a_rule_may_be_for_some_models(make, serve, ask):
    rules = [
        {"when": {}, "use": "three/c", "models": ["other*"]},
        {"when": {"has_tools": True}, "use": "two/b"},
        {"when": {"has_tools": True}, "use": "three/c"},
    ]
    url = await serve(make({"m": "one/a", "other-1": "one/a"}, routing={"rules": rules}))
    assert (await ask(url, tools=[TOOL]))[0] == "two"
    assert (await ask(url))[0] == "one"
    assert (await ask(url, "other-1"))[0] == "three"


async def test_a_session_stays_with_its_target(make, upstreams, serve, ask):
    model = {"targets": ["one/a", "two/a", "three/a"], "strategy": "sticky", "sticky_by": ["user"]}
    url = await serve(make({"m": model}))
    places = {user: {(await ask(url, user=user))[0] for _ in range(3)} for user in map(str, range(12))}
    assert all(len(found) == 1 for found in places.values())
    assert len(set().union(*places.values())) == 3


async def test_what_one_has_no_room_for_goes_to_the_next(make, upstreams, serve, ask):
    targets = [{"provider": "one", "model": "a", "requests_per_minute": 2}, "two/b"]
    url = await serve(make({"m": {"targets": targets, "strategy": "priority"}}))
    assert [(await ask(url))[0] for _ in range(4)] == ["one", "one", "two", "two"]


async def test_where_all_are_at_their_limits_the_client_hears_when_to_come_back(make, serve, http, ask):
    target = {"provider": "one", "model": "a", "requests_per_minute": 1}
    url = await serve(make({"m": {"targets": [target]}}))
    await ask(url)
    async with http.post(url + PATH, json={"model": "m", "messages": HI}) as response:
        await error_of(response, 429, "rate_limit_exceeded")
        assert 50 <= int(response.headers["retry-after"]) <= 60


async def test_a_plugin_may_bring_a_strategy(upstreams, serve, ask):
    class Last:
        def order(self, exchange, seats, now):
            return list(reversed(seats))

    class Bringing:
        name = "bringing"

        def provide(self, registry):
            registry.strategy("last_first", lambda group, chance: Last())

    from aigw.upstream.target import Group

    gateway = aigw.Gateway()
    gateway.hooks.register(Bringing())
    gateway.provide()
    targets = tuple(aigw.Target(aigw.Provider(each.url, name=name), "x") for name, each in upstreams.items())
    gateway.models.register("m", groups=[Group(targets, "last_first")])
    assert (await ask(await serve(gateway)))[0] == "three"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            {"targets": ["one/a"], "strategy": "weigthed"},
            'models.m.strategy: got "weigthed", wanted one of canary, ',
        ),
        ({"groups": [{"targets": ["one/a"], "strategy": "canary"}]}, "models.m.groups[0]: strategy"),
        ({"targets": ["one/a"], "strategy": "sticky", "sticky_by": ["cookie"]}, "models.m: sticky_by: got"),
        ({"targets": ["one/a"], "fallbacks": ["nn"]}, 'models.m.fallbacks[0]: got "nn", wanted a model'),
        ({"targets": ["one/a"], "on_context_length": ["x"]}, "models.m.on_context_length[0]"),
        ({"targets": ["one/a"], "rules": [{"when": {}, "use": "x"}]}, "models.m.rules[0].use"),
        ({"targets": ["one/a"], "groups": [{"targets": ["one/a"]}]}, "models.m: wanted targets, or groups"),
        ({"groups": [{"targets": ["four/a"]}]}, "models.m.groups[0].targets[0].provider"),
        ({"targets": ["one/a"], "shadow": "x"}, "models.m.shadow.target"),
    ],
)
def test_mistakes_in_a_models_routing_are_told(make, model, told):
    with pytest.raises(aigw.ConfigError) as raised:
        make({"m": model})
    assert any(line.startswith(told) for line in raised.value.problems), raised.value.problems


async def test_every_step_of_a_choice_says_its_reason(make, serve, ask):
    from aigw.pipeline.choose import chosen
    from aigw.pipeline.exchange import Exchange

    traces = []

    class Asking:
        name = "asking"

        async def rewrite_request(self, exchange: Exchange, payload):
            trace = []
            chosen(exchange, trace)
            traces.append([f"{choice.target}: {choice.reason}" for choice in trace])

    rules = [{"when": {"has_images": True}, "use": "three/c", "name": "pictures"}]
    gateway = make(
        {
            "m": {
                "targets": ["one/a", "two/b"],
                "strategy": "priority",
                "fallbacks": ["three/c"],
                "rules": rules,
            }
        }
    )
    gateway.hooks.register(Asking())
    await ask(await serve(gateway))
    assert traces == [
        [
            ": rule pictures does not hold: it has no images",
            ": fallbacks: three/c",
            "one/a: group 1, priority: number 1",
            "two/b: group 1, priority: number 2",
            "three/c: group 2, weighted: number 1",
        ]
    ]


async def test_targets_of_a_plugins_own_making_are_asked_before_any_retry(make, upstreams, serve, ask):
    class Renaming:
        name = "renaming"

        async def choose_targets(self, exchange, targets):
            first, *others = targets
            return [aigw.Target(first.provider, "renamed"), *others]

    targets = ["one/a", {"provider": "two", "model": "b", "weight": 0}]
    gateway = make({"m": {"targets": targets}}, routing={"retry": {"retries": 3}})
    gateway.hooks.register(Renaming())
    breaks(upstreams["one"], 503)
    provider, response, _ = await ask(await serve(gateway))
    assert (provider, response.headers["x-aigw-attempts"]) == ("two", "2")
    assert [seen.json["model"] for seen in upstreams["one"].seen] == ["renamed"]

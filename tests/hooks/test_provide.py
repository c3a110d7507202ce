"""What plugins may provide, and what happens when two provide the same."""

import pytest
from aiohttp import web
from support.plugins import CHAT, Noted, use

import aigw


async def test_provide_adds_kinds_providers_routes_and_finishing_touches(http, serve):
    async def page(request):
        return web.json_response({"page": request.path})

    def provide(registry):
        registry.provider_kind("house", lambda name, section: aigw.DemoProvider(name))
        registry.provider(aigw.DemoProvider("offline"))
        registry.route("GET", "/house/page", page)
        registry.finish_app(lambda app: app.router.add_get("/late", page))

    gateway = aigw.Gateway()
    use(gateway, provide=provide)
    url = await serve(gateway)
    async with http.post(url + "/v1/chat/completions", json={**CHAT, "model": "offline/demo"}) as response:
        assert (response.status, response.headers["x-aigw-provider"]) == (200, "offline")
    for path in ("/house/page", "/late"):
        async with http.get(url + path) as response:
            assert (await response.json())["page"].endswith(path)
    assert "house" in gateway.registry.kinds


@pytest.mark.parametrize("what", ["provider_kind", "provider", "route"])
async def test_provide_of_one_thing_by_two_plugins_names_both(what):
    arguments = {
        "provider_kind": ("house", None),
        "provider": (aigw.DemoProvider("house"),),
        "route": ("GET", "/house", None),
    }[what]
    gateway = aigw.Gateway()
    for name in ("first", "second"):
        use(gateway, name, provide=lambda registry: getattr(registry, what)(*arguments))
    with pytest.raises(aigw.PluginError, match='plugin "second" and by plugin "first"'):
        gateway.make_app()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/readyz")]
)
async def test_provide_of_a_route_that_is_the_gateways_own_is_refused(method, path):
    gateway = aigw.Gateway()
    use(gateway, provide=lambda registry: registry.route(method, path, None))
    with pytest.raises(aigw.PluginError, match=f'route {method} {path} is provided by plugin "p" and by the'):
        gateway.make_app()


async def test_provide_that_fails_names_the_plugin():
    gateway = aigw.Gateway()
    use(gateway, provide=lambda registry: 1 / 0)
    with pytest.raises(aigw.PluginError, match='plugin "p" failed in provide: ZeroDivisionError'):
        gateway.make_app()


async def test_provide_of_a_provider_whose_name_is_taken_names_the_plugin():
    gateway = aigw.Gateway()
    gateway.models.register("m", aigw.DemoProvider("house"))
    use(gateway, provide=lambda registry: registry.provider(aigw.DemoProvider("house")))
    with pytest.raises(aigw.PluginError, match=r'plugin "p".*two providers are called "house"'):
        gateway.make_app()


async def test_provide_is_asked_once_of_every_plugin_whatever_its_place():
    asked = []
    gateway = aigw.Gateway()
    gateway.hooks.register(Noted("a", provide=lambda registry: asked.append("a")))
    gateway.provide()
    gateway.hooks.register(Noted("b", provide=lambda registry: asked.append("b")), first=True)
    gateway.make_app()
    assert asked == ["a", "b"]


def finishes_with(error):
    def finisher(app):
        raise error

    return lambda registry: registry.finish_app(finisher)


async def test_provide_of_a_finishing_touch_that_fails_names_the_plugin():
    gateway = aigw.Gateway()
    use(gateway, "fine", provide=lambda registry: registry.finish_app(lambda app: None))
    use(gateway, "broken", provide=finishes_with(KeyError("x")))
    use(gateway, "last", provide=lambda registry: None)
    with pytest.raises(aigw.PluginError, match='plugin "broken" failed in finish_app: KeyError'):
        gateway.make_app()


async def test_provide_of_a_finishing_touch_that_refuses_is_told_in_its_own_words():
    gateway = aigw.Gateway()
    use(gateway, provide=finishes_with(aigw.ConfigError(["pip install it"])))
    with pytest.raises(aigw.ConfigError) as caught:
        gateway.make_app()
    assert caught.value.problems == ['plugin "p": pip install it']

"""How every target is: seen by administrators, by metrics, by checks, and by other gateways."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.answers import error_of
from support.scripted import HANG
from support.seats import Bench, Clock, Silent

import aigw
from aigw.assemble import assemble, to_config
from aigw.builtin.targets import Sharing, take_note
from aigw.config import AuthConfig, Config, KeyConfig, Secret
from aigw.routing.breaker import Circuit
from aigw.stores.health import HealthNote, MemoryHealthStore
from aigw.stores.sqlite import SqliteStore
from aigw.stores.sqlite_health import SqliteHealthStore
from aigw.upstream.key_pool import Key, KeyPool

PATH = "/v1/chat/completions"
NO = {"error": {"message": "no", "code": "x"}}
KEYS = (KeyConfig(key=Secret("sk-admin"), admin=True), KeyConfig(key=Secret("sk-user")))


def keyed(upstream):
    gateway = aigw.Gateway(Config(auth=AuthConfig(keys=KEYS)))
    pool = KeyPool([Key("sk-up", "blue"), Key("sk-up-2")])
    gateway.models.register("m", aigw.Provider(upstream.url, name="up", keys=pool), rewrite="up-model")
    return gateway


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


async def test_an_administrator_sees_every_target_and_key(upstream, serve, http):
    gateway = keyed(upstream)
    url = await serve(gateway)
    upstream.answer(NO, 429, {"retry-after": "60"})
    await (await http.post(url + PATH, json={"model": "m", "messages": []}, headers=bearer("sk-user"))).read()
    async with http.get(url + "/aigw/targets", headers=bearer("sk-admin")) as response:
        assert response.status == 200
        text = await response.text()
        tree = await response.json()
    (row,) = tree["data"]
    assert (row["target"], row["models"], row["state"], row["in_flight"]) == (
        "up/up-model",
        ["m"],
        "parked",
        0,
    )
    assert 58 < row["returns_in_s"] <= 60
    assert [(key["provider"], key["key"], key["state"]) for key in tree["keys"]] == [
        ("up", "blue", "parked"),
        ("up", "#2", "parked"),
    ]
    assert "sk-" not in text


async def test_another_key_does_not_see_them(upstream, serve, http):
    url = await serve(keyed(upstream))
    async with http.get(url + "/aigw/targets", headers=bearer("sk-user")) as response:
        await error_of(response, 403, "permission_denied")
    async with http.get(url + "/aigw/targets") as response:
        await error_of(response, 401)


async def test_a_gateway_without_keys_shows_them_to_its_own_machine(gateway, serve, http):
    async with http.get(await serve(gateway) + "/aigw/targets") as response:
        assert [row["target"] for row in (await response.json())["data"]] == ["up/up-model"]


async def test_a_gateway_that_is_open_to_all_shows_them_to_nobody(serve, http):
    gateway = aigw.Gateway(Config(auth=AuthConfig(allow_anonymous=True)))
    async with http.get(await serve(gateway) + "/aigw/targets") as response:
        await error_of(response, 403, "permission_denied")


async def test_metrics_tell_the_state_of_each_target(gateway, upstream, serve, http):
    url = await serve(gateway)
    upstream.answer(NO, 401)
    await (await http.post(url + PATH, json={"model": "m", "messages": []})).read()
    async with http.get(url + "/metrics") as response:
        families = list(text_string_to_metric_families(await response.text()))
    samples = {(s.name, *sorted(s.labels.values())): s.value for each in families for s in each.samples}
    assert samples["aigw_target_state", "open", "up/up-model"] == 1
    assert samples["aigw_target_in_flight", "up/up-model"] == 0
    assert samples["aigw_target_left_alone_total", "up/up-model", "upstream_credential_refused"] == 1


def checked(upstream, **check):
    section = {"base_url": upstream.url, "health_check": {"interval_s": 0.02, "timeout_s": 0.2, **check}}
    tree = {"providers": {"up": section}, "models": {"m": "up/x"}}
    return assemble(to_config(tree, {}), {}, installed={}).gateway


async def test_checks_open_and_close_a_circuit(upstream, serve, eventually):
    gateway = checked(upstream, path="/ping")
    (target,) = gateway.models.resolve("m").targets
    state = gateway.router.board.state(target)
    upstream.answer(NO, 503)
    await serve(gateway)
    await eventually(lambda: state.breaker.circuit is Circuit.OPEN)
    assert {seen.path for seen in upstream.seen} == {"/ping"}
    upstream.scripts.clear()
    upstream.answer({})
    state.breaker.open_until = 0.0
    await eventually(lambda: state.breaker.circuit is Circuit.CLOSED)


async def test_a_check_that_hangs_is_a_failure(upstream, serve, eventually):
    gateway = checked(upstream)
    state = gateway.router.board.state(gateway.models.resolve("m").targets[0])
    upstream.raw(HANG)
    await serve(gateway)
    await eventually(lambda: state.breaker.consecutive > 0)
    await eventually(lambda: upstream.dropped > 0)


def test_a_check_that_succeeds_does_not_hide_failing_requests():
    bench = Bench()
    bench.fail("a", times=1)
    take_note(bench.router.board, "of-a", bench.clock.now, None)
    bench.fail("a", times=1)
    assert bench.seats["a"].state.breaker.circuit is Circuit.OPEN


def two_boards():
    store, wall = MemoryHealthStore(lambda: wall.now), Clock()
    benches = [Bench(), Bench()]
    return wall, benches, [Sharing(each.router.board, store, each.clock, wall) for each in benches]


async def test_what_one_gateway_finds_out_the_other_acts_on():
    wall, (one, two), (first, second) = two_boards()
    one.fail("a")
    await first.once()
    await second.once()
    assert two.order() == ["b", "c"]
    for each in (wall, two.clock):
        each.now += 5.0
    await second.once()
    assert two.order() == ["a", "b", "c"]


async def test_what_was_heard_is_not_told_again():
    _, (one, two), (first, second) = two_boards()
    one.fail("a")
    await first.once()
    await second.once()
    assert two.news == []
    assert await first.store.hear(first.source) == []


async def test_a_note_is_taken_back_when_the_target_is_well():
    wall, (one, _), (first, second) = two_boards()
    one.fail("a")
    await first.once()
    one.clock.now += 5.0
    one.succeed("a")
    await first.once()
    assert await second.store.hear(second.source) == []
    assert wall.now == Clock().now


async def test_a_store_forgets_what_has_passed():
    wall = Clock()
    store = MemoryHealthStore(wall)
    await store.open()
    await store.tell(
        [HealthNote("a/x", wall.now + 5, "boom", "one"), HealthNote("b/x", wall.now + 9, "", "one")]
    )
    wall.now += 6
    assert [note.target for note in await store.hear("two")] == ["b/x"]
    assert await store.hear("one") == []
    await store.close()


async def test_gateways_of_one_store_share_while_they_run(serve, eventually):
    store = MemoryHealthStore()
    config = to_config({"routing": {"health": {"share_s": 0.01}}}, {})
    gateways = [aigw.Gateway(config, health_store=store) for _ in range(2)]
    states = []
    for each in gateways:
        each.models.register("m", Silent("p"))
        states.append(each.router.board.state(each.models.resolve("m").targets[0]))
        await serve(each)
    states[0].park(gateways[0].router.clock(), 30.0, "rate_limited")
    await eventually(lambda: states[1].parked_until > 0)
    assert states[1].parked_for == "rate_limited"


@pytest.mark.parametrize("failure", [RuntimeError("broken"), aigw.UpstreamError("gone")])
async def test_a_provider_of_a_plugin_is_checked_by_what_it_can_list(serve, eventually, failure):
    class Broken(Silent):
        async def models(self):
            await asyncio.sleep(0)
            raise failure

    from aigw.builtin.targets import HealthChecks
    from aigw.config import HealthCheckConfig

    gateway = aigw.Gateway()
    gateway.hooks.register(HealthChecks({"p": HealthCheckConfig(interval_s=0.01)}), name="more-checks")
    gateway.models.register("m", Broken("p"))
    state = gateway.router.board.state(gateway.models.resolve("m").targets[0])
    await serve(gateway)
    await eventually(lambda: state.breaker.circuit is Circuit.OPEN)


async def test_gateways_that_keep_state_in_one_file_share_when_told_to(serve, eventually, tmp_path):
    state = {"kind": "sqlite", "path": str(tmp_path / "state.db")}
    config = to_config({"state": state, "routing": {"health": {"share": True, "share_s": 0.01}}}, {})
    gateways = [aigw.Gateway(config) for _ in range(2)]
    states = []
    for each in gateways:
        each.models.register("m", Silent("p"))
        states.append(each.router.board.state(each.models.resolve("m").targets[0]))
        await serve(each)
    states[0].park(gateways[0].router.clock(), 30.0, "rate_limited")
    await eventually(lambda: states[1].parked_until > 0)
    assert states[1].parked_for == "rate_limited"


async def test_notes_in_a_file_hold_until_their_time_has_passed(tmp_path):
    wall = Clock()
    store = SqliteStore(tmp_path / "state.db", clock=wall)
    await store.open()
    notes = SqliteHealthStore(store)
    await notes.tell(
        [HealthNote("a/x", wall.now + 5, "boom", "one"), HealthNote("b/x", wall.now + 9, "", "one")]
    )
    wall.now += 6
    assert await notes.hear("two") == [HealthNote("b/x", wall.now + 3, "", "one")]
    assert await notes.hear("one") == []
    await notes.tell([HealthNote("b/x", wall.now, "", "one")])
    assert await notes.hear("two") == []
    await store.close()

"""Each hook point's law, shown by a real app, alone and mounted: from `setup` to `after_call`."""

import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from attrs import evolve
from support.plugins import CHAT, STREAM, use
from support.scripted import HELLO

import aigw

# setup


@asynccontextmanager
async def running(gateway):
    """Start and stop an app as any server would."""
    runner = web.AppRunner(gateway.make_app())
    try:
        await runner.setup()
        yield
    finally:
        await runner.cleanup()


async def test_setup_opens_once_and_closes_in_reverse(gateway):
    told = []

    def setup_of(name):
        async def setup(gateway):
            told.append(f"open {name}")
            yield
            told.append(f"close {name}")

        return setup

    use(gateway, "a", setup=setup_of("a"))
    use(gateway, "b", setup=setup_of("b"))
    async with running(gateway):
        assert told == ["open a", "open b"]
    assert told == ["open a", "open b", "close b", "close a"]


async def test_setup_closes_the_others_when_one_fails_to_start(gateway):
    told = []

    async def fine(gateway):
        told.append("open")
        yield
        told.append("close")

    async def broken(gateway):
        raise OSError("no database")
        yield

    use(gateway, "fine", setup=fine)
    use(gateway, "broken", setup=broken)
    with pytest.raises(aigw.PluginError, match=r'plugin "broken" failed in setup: .*no database'):
        async with running(gateway):
            pass
    assert told == ["open", "close"]


async def test_setup_that_refuses_its_configuration_is_told_in_its_own_words(gateway):
    async def setup(gateway):
        raise aigw.ConfigError(["plugins.p.path: wanted a folder", "no disk"])
        yield

    use(gateway, setup=setup)
    with pytest.raises(aigw.ConfigError) as caught:
        async with running(gateway):
            pass
    assert caught.value.problems == ["plugins.p.path: wanted a folder", 'plugin "p": no disk']


async def test_setup_closes_the_others_when_one_fails_to_close(gateway, caplog):
    told = []

    async def fine(gateway):
        yield
        told.append("close")

    async def broken(gateway):
        yield
        raise OSError("lost")

    use(gateway, "fine", setup=fine)
    use(gateway, "broken", setup=broken)
    async with running(gateway):
        pass
    assert told == ["close"]
    assert "plugin broken failed in setup" in caplog.text


async def test_setup_runs_again_when_an_app_is_made_and_started_again(gateway):
    told = []

    async def setup(gateway):
        told.append("open")
        yield

    use(gateway, setup=setup)
    for _ in range(2):
        async with running(gateway):
            pass
    assert told == ["open", "open"]


# authenticate


async def test_authenticate_is_decided_by_the_first_who_names_somebody(gateway, upstream, post, complete):
    upstream.answer()
    asked = []

    def knows(name, identity):
        async def authenticate(exchange):
            asked.append((name, exchange.credential, exchange.payload.raw))
            return identity

        return authenticate

    use(gateway, "a", authenticate=knows("a", None))
    use(gateway, "b", authenticate=knows("b", aigw.Identity(tenant="bees")))
    use(gateway, "c", authenticate=knows("c", aigw.Identity(tenant="seas")))
    status, _, _ = await post(gateway, headers={"Authorization": "Bearer secret"})
    assert status == 200
    assert asked == [("a", "secret", b""), ("b", "secret", b"")]  # and nothing of the body had been read
    assert complete[0].tenant == "bees"


async def test_authenticate_by_nobody_is_a_401(gateway, upstream, post):
    async def nobody(exchange):
        return None

    use(gateway, authenticate=nobody)
    status, headers, text = await post(gateway)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert json.loads(text)["error"]["code"] == "invalid_api_key"
    assert not upstream.seen


async def test_authenticate_refuses_by_raising(gateway, upstream, post):
    async def refuse(exchange):
        raise aigw.ClientError("banned", kind=aigw.ErrorKind.PERMISSION)

    async def anyone(exchange):
        return aigw.Identity()

    use(gateway, "a", authenticate=refuse)
    use(gateway, "b", authenticate=anyone)
    status, _, text = await post(gateway)
    assert (status, json.loads(text)["error"]["message"]) == (403, "banned")


async def test_authenticate_that_fails_lets_nobody_in_even_if_it_fails_open(gateway, upstream, post):
    async def broken(exchange):
        raise KeyError("oops")

    use(gateway, authenticate=broken, on_failure="open")
    assert (await post(gateway))[0] == 401


# admit


class Paid:
    def __init__(self):
        self.settled = []

    def settle(self, record):
        self.settled.append(record)


async def test_admit_knows_the_body_and_what_it_took_is_settled_once(gateway, upstream, post, complete):
    upstream.answer()
    first, second = Paid(), Paid()

    def takes(reservation):
        async def admit(exchange):
            assert (exchange.model, exchange.payload.fields["messages"][0]["content"]) == ("m", "hi")
            return reservation

        return admit

    use(gateway, "a", admit=takes(first))
    use(gateway, "b", admit=takes(second))
    assert (await post(gateway))[0] == 200
    assert first.settled == second.settled == complete
    assert complete[0].usage.input_tokens == 3


async def test_admit_that_refuses_has_the_earlier_reservations_settled(gateway, upstream, post):
    paid = Paid()

    async def take(exchange):
        return paid

    async def refuse(exchange):
        raise aigw.ClientError("slow down", kind=aigw.ErrorKind.RATE_LIMITED, retry_after_s=7)

    use(gateway, "a", admit=take)
    use(gateway, "b", admit=refuse)
    status, headers, _ = await post(gateway)
    assert (status, headers["retry-after"]) == (429, "7")
    assert [record.error for record in paid.settled] == ["rate_limit_exceeded"]
    assert not upstream.seen


# rewrite_request


async def test_rewrite_request_changes_fields_and_a_changed_model_is_routed(gateway, upstream, post):
    upstream.answer()

    async def rewrite_request(exchange, payload):
        payload.edit().update(model="m2", temperature=0.5)

    gateway.models.register("m2", gateway.models.providers["up"], rewrite="other-model")
    use(gateway, rewrite_request=rewrite_request)
    _, headers, _ = await post(gateway)
    assert headers["x-aigw-model"] == "other-model"
    assert upstream.seen[0].json == {**CHAT, "model": "other-model", "temperature": 0.5}


async def test_rewrite_request_may_work_on_the_canonical_form(gateway, upstream, post):
    upstream.answer()

    async def rewrite_request(exchange, payload):
        request = payload.decoded()
        payload.replace(evolve(request, max_output_tokens=9))

    use(gateway, rewrite_request=rewrite_request)
    assert (await post(gateway))[0] == 200
    sent = upstream.seen[0].json
    assert 9 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert sent["messages"] == CHAT["messages"]


async def test_a_request_that_was_only_looked_at_goes_out_byte_for_byte(gateway, upstream, post):
    upstream.answer()
    seen = []

    async def rewrite_request(exchange, payload):
        seen.append(payload.decoded())

    gateway.models.register("same", gateway.models.providers["up"])
    use(gateway, rewrite_request=rewrite_request)
    body = b'{ "model":"same",\n "messages" : [{"content":"h\xc3\xaf","role":"user"}], "zzz":1.0 }'
    await post(gateway, data=body, headers={"Content-Type": "application/json"})
    assert upstream.seen[0].body == body
    assert len(seen) == 1


# choose_targets


async def test_choose_targets_says_who_is_tried_first(gateway, upstream, post):
    upstream.answer()
    provider = gateway.models.providers["up"]
    names = ("a", "b", "c")
    gateway.models.register("many", targets=[aigw.Target(provider, name) for name in names])
    seen = []

    async def sort(exchange, targets):
        return sorted(targets, key=lambda target: target.model, reverse=True)

    async def leave(exchange, targets):
        seen.append([target.model for target in targets])

    use(gateway, "sort", choose_targets=sort)
    use(gateway, "leave", choose_targets=leave)
    _, headers, _ = await post(gateway, {**CHAT, "model": "many"})
    assert headers["x-aigw-model"] == "c"
    assert seen == [["c", "b", "a"]]


async def test_choose_targets_that_leaves_none_is_a_404(gateway, upstream, post):
    async def drop(exchange, targets):
        return []

    use(gateway, choose_targets=drop)
    status, _, text = await post(gateway)
    assert (status, json.loads(text)["error"]["code"]) == (404, "model_not_found")
    assert not upstream.seen


# before_call, after_call


async def test_before_call_and_after_call_run_once_for_each_attempt(gateway, upstream, post):
    upstream.raw(b"no", status=503)
    upstream.answer()
    provider = gateway.models.providers["up"]
    gateway.models.register("two", targets=[aigw.Target(provider, "a"), aigw.Target(provider, "b", weight=0)])
    told = []

    async def before_call(exchange, attempt, call):
        assert "Authorization" not in call.headers
        call.headers["x-house"] = f"attempt-{attempt.number}"
        call.query = "trace=1"
        told.append(f"before {call.model}")

    async def after_call(exchange, attempt, answer):
        assert not exchange.committed
        told.append(f"after {attempt.target.model} {answer.status}")

    use(gateway, before_call=before_call, after_call=after_call)
    assert (await post(gateway, {**CHAT, "model": "two"}))[0] == 200
    assert told == ["before a", "after a 503", "before b", "after b 200"]
    assert [seen.headers["x-house"] for seen in upstream.seen] == ["attempt-1", "attempt-2"]
    assert [seen.query for seen in upstream.seen] == ["trace=1", "trace=1"]


async def test_after_call_may_still_refuse_the_answer(gateway, upstream, post):
    upstream.stream(HELLO)

    async def after_call(exchange, attempt, answer):
        raise aigw.ClientError("not this one", kind=aigw.ErrorKind.CONTENT_FILTER)

    use(gateway, after_call=after_call)
    status, headers, text = await post(gateway, STREAM)
    assert (status, headers.getall("Content-Type")) == (400, ["application/json"])
    assert "not this one" in text

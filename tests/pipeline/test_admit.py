"""The second link: what may come in, and what is reserved for it."""

import asyncio

import pytest
from attrs import evolve
from support.answers import error_of, field, file, form
from support.scripted import HANG, HELLO, chunk, sse

import aigw
from aigw.config import ServerConfig

JSON = {"Content-Type": "application/json"}
EMBEDDINGS = "/v1/embeddings"
RECORDINGS = "/v1/audio/transcriptions"


@pytest.fixture
async def url(gateway, upstream, complete, serve):
    upstream.answer()
    return await serve(gateway)


WRONG_BODIES = (
    # body, code, param, words in the message
    (b"", "invalid_json", None, "empty"),
    (b"{", "invalid_json", None, "line 1"),
    (b'{"model": "m",\n "input": }', "invalid_json", None, "line 2, column 11"),
    (b'{"model": "m"} x', "invalid_json", None, "line 1, column"),
    (b'{"model": "m", "x": NaN}', "invalid_json", None, "column"),
    (b'\xff\xfe{"model": "m"}', "invalid_json", None, "not valid JSON"),
    (b"[" * 100_000, "invalid_json", None, "not valid JSON"),
    (b"[1, 2]", "invalid_json", None, "an array"),
    (b'"m"', "invalid_json", None, "a string"),
    (b"true", "invalid_json", None, "a boolean"),
    (b"null", "invalid_json", None, "null"),
    (b"1.5", "invalid_json", None, "a number"),
    (b"{}", "missing_required_parameter", "model", "/v1/models"),
    (b'{"model": null}', "missing_required_parameter", "model", "missing"),
    (b'{"model": ""}', "missing_required_parameter", "model", "missing"),
    (b'{"model": 5}', "invalid_request", "model", "int"),
    (b'{"model": ["m"]}', "invalid_request", "model", "list"),
    (b'{"model": {"m": 1}}', "invalid_request", "model", "dict"),
    (b'{"model": "m\\r\\nx-evil: 1"}', "invalid_request", "model", "printable"),
    (b'{"model": "' + b"m" * 300 + b'"}', "invalid_request", "model", "256"),
    (b'{"model": "m", "Model": "other"}', "invalid_request", "model", "once"),
    (b'{"MODEL": "m"}', "invalid_request", "model", "MODEL"),
)


@pytest.mark.parametrize(("body", "code", "param", "words"), WRONG_BODIES)
async def test_a_wrong_body_is_refused_with_what_is_wrong_and_where(
    url, upstream, http, complete, body, code, param, words
):
    async with http.post(url + EMBEDDINGS, data=body, headers=JSON) as response:
        error = await error_of(response, 400, code, param)
    assert words in error["message"]
    assert len(error["message"]) < 500
    assert error["type"] == "invalid_request_error"
    assert not upstream.seen
    assert [record.status for record in complete] == [400]


MODEL = field("model", b"m")
GOOD, HEADERS = form(MODEL, file("file", b"\x00"))
WRONG_FORMS = (
    (GOOD[:-20], "cut-here", None),
    (b"", "cut-here", None),
    (b"nothing of a form", "cut-here", None),
    (GOOD, "another", None),
    (b"--cut-here\r\nno name\r\n\r\nx\r\n--cut-here--", "cut-here", None),
    (b"--cut-here\r\nContent-Disposition: form-data\r\n\r\nx\r\n--cut-here--", "cut-here", None),
    (b'--cut-here\r\nContent-Disposition: form-data; name="model"\r\n--cut-here--', "cut-here", None),
    (form(*[MODEL] * 1001)[0], "cut-here", None),
    (form(file("file", b"x"))[0], "cut-here", "model"),
    (form(MODEL, field("model", b"b"))[0], "cut-here", "model"),
    (form(MODEL, MODEL)[0], "cut-here", "model"),
    (form(MODEL, file("model", b"b"))[0], "cut-here", "model"),
    (form(file("model", b"m"))[0], "cut-here", "model"),
    (form(MODEL, field("Model", b"b"))[0], "cut-here", "model"),
)


@pytest.mark.parametrize(("body", "boundary", "param"), WRONG_FORMS)
async def test_a_broken_form_is_refused(url, upstream, http, body, boundary, param):
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    async with http.post(url + RECORDINGS, data=body, headers=headers) as response:
        await error_of(response, 400, param=param)
    assert not upstream.seen


async def test_a_form_without_a_boundary_is_refused(url, http):
    headers = {"Content-Type": "multipart/form-data"}
    async with http.post(url + RECORDINGS, data=GOOD, headers=headers) as response:
        error = await error_of(response, 400)
    assert "boundary" in error["message"]


@pytest.mark.parametrize(
    ("path", "content_type", "wanted"),
    [
        (EMBEDDINGS, "text/plain", "application/json"),
        (EMBEDDINGS, "application/x-www-form-urlencoded", "application/json"),
        (EMBEDDINGS, "multipart/form-data; boundary=x", "application/json"),
        (RECORDINGS, "application/json", "multipart/form-data"),
    ],
)
async def test_a_body_of_another_type_is_refused_with_the_type_wanted(url, http, path, content_type, wanted):
    async with http.post(url + path, data=b"{}", headers={"Content-Type": content_type}) as response:
        error = await error_of(response, 415, "unsupported_media_type")
    assert wanted in error["message"]


async def test_a_body_of_no_type_is_refused(url, http):
    async with http.post(url + EMBEDDINGS, data=b"{}", skip_auto_headers=["Content-Type"]) as response:
        error = await error_of(response, 415, "unsupported_media_type")
    assert "missing" in error["message"]


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
async def test_json_may_be_called_in_several_ways(url, http, content_type):
    async with http.post(
        url + EMBEDDINGS, data=b'{"model":"m"}', headers={"Content-Type": content_type}
    ) as response:
        assert response.status == 200


async def test_a_body_that_is_not_packed_as_it_says_is_refused(url, http, complete):
    headers = {**JSON, "Content-Encoding": "gzip"}
    async with http.post(url + EMBEDDINGS, data=b'{"model":"m"}', headers=headers) as response:
        await error_of(response, 400, "invalid_request")
    assert [record.status for record in complete] == [400]


@pytest.fixture
async def small(gateway, upstream, serve):
    """A gateway that takes 1000 bytes."""
    upstream.answer()
    gateway.config = evolve(gateway.config, server=ServerConfig(max_body_bytes=1000))
    return await serve(gateway)


def padded(size):
    head = b'{"model":"m","input":"'
    return head + b"x" * (size - len(head) - 2) + b'"}'


async def pieces(body, size=200):
    for at in range(0, len(body), size):
        yield body[at : at + size]


@pytest.mark.parametrize("way", [bytes, pieces])
async def test_a_body_up_to_the_limit_passes_and_one_above_is_refused(small, upstream, http, way):
    async with http.post(small + EMBEDDINGS, data=way(padded(1000)), headers=JSON) as response:
        assert response.status == 200
    async with http.post(small + EMBEDDINGS, data=way(padded(1001)), headers=JSON) as response:
        error = await error_of(response, 413, "request_too_large")
    assert "1000 bytes" in error["message"]
    assert [len(seen.body) for seen in upstream.seen] == [len(padded(1000)) + len("up-model") - 1]


async def test_a_form_above_the_limit_is_refused(small, upstream, http):
    body, headers = form(MODEL, file("file", bytes(2000)))
    async with http.post(small + RECORDINGS, data=body, headers=headers) as response:
        await error_of(response, 413, "request_too_large")
    assert not upstream.seen


async def test_a_small_body_that_unpacks_to_a_large_one_is_refused(small, upstream, http):
    import zlib

    headers = {**JSON, "Content-Encoding": "deflate"}
    body = zlib.compress(padded(5_000_000))
    async with http.post(small + EMBEDDINGS, data=body, headers=headers) as response:
        await error_of(response, 413, "request_too_large")


async def test_a_body_over_the_parents_limit_passes_by_ours(url, http):
    async with http.post(url + EMBEDDINGS, data=pieces(padded(2**20 + 1), 2**17), headers=JSON) as response:
        assert response.status == 200


class Purse:
    """Reserves for each request, and keeps what it was settled with."""

    name = "purse"

    def __init__(self):
        self.open = 0
        self.settled = []

    async def admit(self, exchange):
        self.open += 1
        return self

    def settle(self, record):
        self.open -= 1
        self.settled.append(record)


class Refusing:
    name = "refusing"

    async def admit(self, exchange):
        raise aigw.ClientError(
            "come back later", kind=aigw.ErrorKind.RATE_LIMITED, retry_after_s=2.2, param="model"
        )


@pytest.fixture
def purse(gateway):
    made = Purse()
    gateway.hooks.register(made)
    return made


async def test_a_reservation_is_settled_with_what_a_good_answer_cost(gateway, upstream, purse, serve, http):
    upstream.answer()
    async with http.post(await serve(gateway) + EMBEDDINGS, json={"model": "m"}) as response:
        await response.read()
    assert purse.open == 0
    assert [(record.ending, record.usage.total_tokens) for record in purse.settled] == [("complete", 5)]


async def test_a_reservation_is_settled_when_a_stream_has_ended(gateway, upstream, purse, serve, http):
    upstream.stream(HELLO)
    body = {"model": "m", "stream": True, "messages": []}
    async with http.post(await serve(gateway) + "/v1/chat/completions", json=body) as response:
        await response.read()
    assert [record.ending for record in purse.settled] == ["complete"]


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_reservation_is_settled_when_the_provider_fails(
    gateway, upstream, purse, serve, http, status
):
    upstream.answer({"error": {"message": "no"}}, status=status)
    async with http.post(await serve(gateway) + EMBEDDINGS, json={"model": "m"}) as response:
        await response.read()
    assert [(record.ending, record.usage) for record in purse.settled] == [("refused", None)]


async def test_a_reservation_is_settled_when_the_next_plugin_refuses(gateway, upstream, purse, serve, http):
    gateway.hooks.register(Refusing())
    async with http.post(await serve(gateway) + EMBEDDINGS, json={"model": "m"}) as response:
        await error_of(response, 429, "rate_limit_exceeded", "model")
        assert (response.headers["retry-after"], response.headers["retry-after-ms"]) == ("3", "2200")
    assert not upstream.seen
    assert [(record.status, record.ending) for record in purse.settled] == [(429, "refused")]


@pytest.mark.parametrize("steps", [[HANG], [sse(chunk("Hel"), done=False), HANG]])
async def test_a_reservation_is_settled_when_the_client_hangs_up(
    gateway, upstream, purse, serve, http, eventually, steps
):
    upstream.stream(*steps)
    url = await serve(gateway) + "/v1/chat/completions"
    body = {"model": "m", "stream": True, "messages": []}
    task = asyncio.create_task(http.post(url, json=body).__aenter__())
    await eventually(lambda: upstream.open)
    if len(steps) > 1:
        (await task).close()
    task.cancel()
    await eventually(lambda: purse.settled)
    await eventually(lambda: not upstream.open)
    assert purse.open == 0
    assert [record.ending for record in purse.settled] == ["hung_up"]


class Careless(Purse):
    name = "careless"

    def settle(self, record):
        raise ZeroDivisionError


async def test_one_reservation_that_cannot_be_settled_does_not_keep_the_others(
    gateway, upstream, serve, http, caplog
):
    upstream.answer()
    gateway.hooks.register(Careless())
    purse = Purse()
    gateway.hooks.register(purse)
    async with http.post(await serve(gateway) + EMBEDDINGS, json={"model": "m"}) as response:
        assert response.status == 200
    assert len(purse.settled) == 1
    assert "could not be settled" in caplog.text


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"model": 5}'])
async def test_nothing_is_reserved_for_what_is_refused_before(gateway, purse, serve, http, body):
    async with http.post(await serve(gateway) + EMBEDDINGS, data=body, headers=JSON) as response:
        assert response.status == 400
    assert purse.settled == []


class Unsure:
    name = "unsure"

    def __init__(self, on_failure):
        self.on_failure = on_failure

    async def admit(self, exchange):
        raise ZeroDivisionError


@pytest.mark.parametrize(("on_failure", "status"), [("closed", 500), ("open", 200)])
async def test_a_plugin_that_fails_to_admit_fails_as_it_wants_to(
    gateway, upstream, purse, serve, http, on_failure, status
):
    upstream.answer()
    gateway.hooks.register(Unsure(on_failure))
    async with http.post(await serve(gateway) + EMBEDDINGS, json={"model": "m"}) as response:
        assert response.status == status
    assert len(upstream.seen) == (status == 200)
    assert [record.status for record in purse.settled] == [status]


async def test_a_reservation_is_settled_once_however_many_targets_were_tried(
    upstream, purse, serve, http, gateway
):
    up = gateway.models.providers["up"]
    gateway.models.register("two", targets=[aigw.Target(up, "a"), aigw.Target(up, "b", 0)])
    upstream.answer({}, status=500)
    upstream.answer()
    async with http.post(await serve(gateway) + EMBEDDINGS, json={"model": "two"}) as response:
        assert response.status == 200
    assert [(len(record.attempts), record.upstream_model) for record in purse.settled] == [(2, "b")]

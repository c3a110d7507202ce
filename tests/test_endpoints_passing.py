"""What the client wrote is what the provider reads, to the byte, and what it answers comes back."""

import json

import aiohttp
import pytest
from support.answers import field, file, form
from support.scripted import HELLO

import aigw

CHAT = (
    b'{ "model" :"same",  "messages":[{"role":"user","content":"h\xc3\xa9 \\ud83d\\ude00"}],'
    b'"t":1.10, "z": null }\n'
)
BINARY = bytes(range(256)) * 64 + b"\r\n--cut-her\r\n--cut\r\n\r\n\x00"
DEEP = {"a": [{"b": {"c": [1, 2.5, None, True, "é", {"d": ["x" * 50] * 2000}]}}] * 5}


@pytest.fixture
async def url(gateway, upstream, complete, serve):
    gateway.models.register("same", gateway.models.providers["up"])
    upstream.answer()
    return await serve(gateway)


JSON_PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/audio/speech",
)
FORM_PATHS = (
    "/v1/images/edits",
    "/v1/images/variations",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
)


@pytest.mark.parametrize("path", JSON_PATHS)
async def test_json_goes_on_byte_for_byte(url, upstream, http, path):
    async with http.post(url + path, data=CHAT, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 200
    (seen,) = upstream.seen
    assert (seen.method, seen.path, seen.body) == ("POST", path, CHAT)
    assert seen.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", FORM_PATHS)
async def test_a_form_goes_on_byte_for_byte(url, upstream, http, path):
    body, headers = form(field("model", b"same"), file("image", BINARY), field("odd", b"\xff\xfe"))
    body = b"a preamble\r\n" + body + b"an epilogue"
    async with http.post(url + path, data=body, headers=headers) as response:
        assert response.status == 200
    assert upstream.seen[0].body == body
    assert upstream.seen[0].headers["Content-Type"] == headers["Content-Type"]


@pytest.mark.parametrize("path", FORM_PATHS)
async def test_a_form_whose_model_is_rewritten_keeps_every_other_byte(url, upstream, http, path):
    parts = [file("file", BINARY), field("model", b"m"), field("odd", b"\xff\xfe"), file("image[]", b"")]
    body, headers = form(*parts)
    parts[1] = field("model", b"up-model")
    async with http.post(url + path, data=body, headers=headers) as response:
        assert response.status == 200
    assert upstream.seen[0].body == form(*parts)[0]


async def test_a_form_of_another_client_arrives_whole(url, upstream, http):
    made = aiohttp.FormData()
    made.add_field("model", "m")
    made.add_field("file", BINARY, filename='quo"ted ü.wav', content_type="audio/wav")
    async with http.post(url + "/v1/audio/transcriptions", data=made) as response:
        assert response.status == 200
    body = upstream.seen[0].body
    assert BINARY in body
    assert b"audio/wav" in body
    assert b"up-model" in body


async def test_a_model_left_out_gets_its_vendors_default(gateway, upstream, serve, http):
    upstream.answer()
    gateway.models.register("dall-e-2", gateway.models.providers["up"])
    url = await serve(gateway)
    body, headers = form(file("image", b"\x00"))
    async with http.post(url + "/v1/images/variations", data=body, headers=headers) as response:
        assert response.status == 200
    assert b'name="model"\r\n\r\ndall-e-2\r\n' in upstream.seen[0].body


async def test_a_moderation_needs_no_model(gateway, upstream, serve, sdk):
    upstream.answer({"id": "x", "model": "y", "results": []})
    gateway.models.register("omni-moderation-latest", gateway.models.providers["up"])
    await sdk(await serve(gateway)).moderations.create(input="x")
    assert upstream.seen[0].json == {"input": "x", "model": "omni-moderation-latest"}


async def test_fields_nobody_knows_reach_the_provider(url, upstream, sdk):
    extra = {
        "chat_template_kwargs": DEEP,
        "top_k": 5,
        "x": None,
        "big": 2**63,
        "neg": -(2**63),
        "float": 1e-7,
    }
    await sdk(url).chat.completions.create(
        model="m", messages=[{"role": "user", "content": "é"}], extra_body=extra
    )
    seen = upstream.seen[0].json
    assert seen == {"model": "up-model", "messages": [{"role": "user", "content": "é"}], **extra}


async def test_query_parameters_nobody_knows_reach_the_provider(url, upstream, http):
    query = "beta=true&a=1%2B1&a=2&empty=&flag"
    async with http.post(f"{url}/v1/embeddings?{query}", json={"model": "m", "input": "x"}) as response:
        assert response.status == 200
    assert upstream.seen[0].query == query


@pytest.mark.parametrize("query", ["key=secret", "a=1&KEY=secret", "k%65y=secret&b=2", "api_key=secret"])
async def test_a_key_in_the_query_stays_here(url, upstream, http, query):
    async with http.post(f"{url}/v1/embeddings?{query}", json={"model": "m"}) as response:
        assert response.status == 200
    assert "secret" not in upstream.seen[0].query


async def test_a_compressed_body_is_unpacked_before_it_goes_on(url, upstream, http):
    import zlib

    headers = {"Content-Type": "application/json", "Content-Encoding": "deflate"}
    async with http.post(url + "/v1/embeddings", data=zlib.compress(CHAT), headers=headers) as response:
        assert response.status == 200
    assert upstream.seen[0].body == CHAT
    assert "Content-Encoding" not in upstream.seen[0].headers


async def test_a_whole_answer_comes_back_byte_for_byte(gateway, upstream, serve, http):
    body = b' {"id": "x", "unknown":\t[1.50, "\\u00e9"]}\r\n'
    upstream.raw(body)
    async with http.post(await serve(gateway) + "/v1/embeddings", json={"model": "m"}) as response:
        assert await response.read() == body


async def test_a_stream_comes_back_byte_for_byte(gateway, upstream, serve, http, complete):
    upstream.stream(HELLO)
    url = await serve(gateway)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    async with http.post(url + "/v1/chat/completions", json=body) as response:
        assert response.content_type == "text/event-stream"
        assert await response.read() == HELLO
    assert [record.ending for record in complete] == ["complete"]


async def test_usage_is_asked_for_behind_the_clients_back_and_the_rest_of_its_wishes_kept(
    gateway, upstream, serve, http
):
    upstream.stream(HELLO)
    body = {"model": "m", "stream": True, "stream_options": {"include_obfuscation": False}, "messages": []}
    async with http.post(await serve(gateway) + "/v1/completions", json={**body, "prompt": "x"}) as response:
        await response.read()
    assert upstream.seen[0].json["stream_options"] == {"include_obfuscation": False, "include_usage": True}


async def test_binary_answers_come_back_with_type_and_length(gateway, upstream, serve, http):
    upstream.raw(BINARY, content_type="audio/mpeg")
    url = await serve(gateway)
    async with http.post(url + "/v1/audio/speech", json={"model": "m", "input": "x"}) as response:
        assert response.content_type == "audio/mpeg"
        assert response.content_length == len(BINARY)
        assert await response.read() == BINARY


async def test_plain_text_answers_come_back(gateway, upstream, serve, http):
    upstream.raw(b"spoken words\n", content_type="text/plain; charset=utf-8")
    body, headers = form(field("model", b"m"), file("file", b"\x00"))
    async with http.post(
        await serve(gateway) + "/v1/audio/transcriptions", data=body, headers=headers
    ) as response:
        assert await response.read() == b"spoken words\n"
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_one_body_goes_to_the_second_target_as_if_there_had_been_no_first(
    gateway, upstream, serve, http
):
    up = gateway.models.providers["up"]
    targets = [aigw.Target(up, "first"), aigw.Target(up, "two", 0)]
    gateway.models.register("two", targets=targets)
    upstream.answer({}, status=500)
    upstream.answer()
    body, headers = form(field("model", b"two"), file("file", BINARY))
    url = await serve(gateway) + "/v1/audio/transcriptions"
    async with http.post(url, data=b"preamble\r\n" + body, headers=headers) as response:
        assert response.status == 200
    first, second = upstream.seen
    assert b"\r\n\r\nfirst\r\n" in first.body
    assert second.body == b"preamble\r\n" + body


SMUGGLED = (
    (b'{"model": "b", "model": "m"}', "up-model"),
    (b'{"model": "b", "mod\\u0065l": "same"}', "same"),
    (b'{"mod\\u0065l": "b", "model": "same"}', "same"),
    (b'{"model": "sa\\u006de"}', "same"),
    (b'{"model": "same", "x": {"model": "b"}}', "same"),
)


@pytest.mark.parametrize(("body", "wanted"), SMUGGLED)
async def test_the_model_that_is_checked_is_the_model_that_is_sent(
    url, upstream, http, complete, body, wanted
):
    headers = {"Content-Type": "application/json"}
    async with http.post(url + "/v1/embeddings", data=body, headers=headers) as response:
        assert response.status == 200
    seen = upstream.seen[0].body
    pairs = json.loads(seen, object_pairs_hook=list)
    assert [value for name, value in pairs if name == "model"] == [wanted]
    assert b"mod\\u" not in seen
    assert complete[0].upstream_model == wanted

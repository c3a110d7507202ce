"""What goes out: nothing that was not meant, and nothing twice."""

import pytest
from multidict import CIMultiDict
from support.misbehaving import HELLO, OK, fetch

from aigw.errors import ErrorKind, UpstreamError

MIB = 2**20

INJECTED = {
    "CRLF in a value": {"X": "a\r\nEvil: 1"},
    "LF in a value": {"X": "a\nEvil: 1"},
    "CR in a value": {"X": "a\rEvil: 1"},
    "NUL in a value": {"X": "a\0b"},
    "CRLF in a name": {"X: a\r\nEvil": "1"},
    "LF in a name": {"X\nEvil": "1"},
    "NUL in a name": {"X\0": "1"},
    "colon in a name": {"Evil: 1, X": "1"},
    "blank in a name": {"Evil X": "1"},
    "a name of nothing": {"": "1"},
    "half a surrogate pair": {"X": "\ud800"},
    "another length": {"Content-Length": "999"},
    "another framing": {"Transfer-Encoding": "chunked"},
}


@pytest.mark.parametrize("name", INJECTED)
async def test_a_header_that_would_say_more_than_one_thing_is_not_sent(raw, transport, name):
    raw.play(OK)
    subject = await transport()
    with pytest.raises(UpstreamError) as caught:
        await fetch(subject, raw.url, headers=INJECTED[name])
    assert caught.value.kind is ErrorKind.MISCONFIGURED
    assert caught.value.provider == "up"
    assert not raw.heads
    _, body = await fetch(subject, raw.url)
    assert body == b"{}"


@pytest.mark.parametrize(
    "path",
    [
        "/a\r\nEvil: 1",
        "/a HTTP/1.1\r\nEvil: 1\r\n\r\n",
        "/a\nb",
        "/a\rb",
        "/a\0b",
        "/a b",
        "/a\tb",
        "/a?b=c d",
        "/a?b=c\r\nEvil: 1",
        "/\ud800",
    ],
)
async def test_a_path_never_ends_its_line(raw, transport, path):
    raw.play(OK)
    subject = await transport()
    with pytest.raises(UpstreamError) as caught:
        await subject.send("POST", raw.url + path, CIMultiDict(), b"{}")
    assert caught.value.kind is ErrorKind.MISCONFIGURED
    assert caught.value.provider == "up"
    assert not raw.heads


@pytest.mark.parametrize("method", ["POST\r\nEvil: 1", "PO ST", "", "G\0"])
async def test_a_method_is_one_word(raw, transport, method):
    raw.play(OK)
    with pytest.raises(UpstreamError) as caught:
        await fetch(await transport(), raw.url, method=method)
    assert caught.value.kind is ErrorKind.MISCONFIGURED
    assert not raw.heads


NO_NAMES = ["a\r\nEvil: 1", "a\0b", "a b", "a" * 64 + ".invalid", "." + "a" * 300, "a..b", "\ud800", ""]
NO_HOSTS = ["[::1", "[zz]", "a:b:c", "a:0x50", "a:-1", "a:65536"]


@pytest.mark.parametrize("host", NO_NAMES + NO_HOSTS)
async def test_a_host_that_is_none_is_refused(transport, host):
    with pytest.raises(UpstreamError) as caught:
        await fetch(await transport(), f"http://{host}/")
    assert caught.value.kind in {ErrorKind.MISCONFIGURED, ErrorKind.UPSTREAM_UNREACHABLE}
    assert caught.value.provider == "up"


async def test_a_host_of_ones_own_is_the_only_one(raw, transport):
    raw.play(OK)
    await fetch(await transport(), raw.url, headers={"Host": "own.example"})
    hosts = [line for line in raw.heads[0].split("\r\n") if line.lower().startswith("host:")]
    assert hosts == ["Host: own.example"]


async def test_words_in_any_script_are_sent_as_utf8(raw, transport):
    raw.play(OK)
    await fetch(await transport(), raw.url, headers={"X-Title": "grüße"})
    assert "X-Title: grüße" in raw.heads[0]


@pytest.mark.parametrize("body", [None, b"", b"{}"])
async def test_a_body_has_its_length_and_none_has_none(raw, transport, body):
    raw.play(OK)
    await fetch(await transport(), raw.url, body, "POST" if body is not None else "GET")
    lengths = [line for line in raw.heads[0].lower().split("\r\n") if line.startswith("content-length")]
    assert lengths == ([] if body is None else [f"content-length: {len(body)}"])
    assert "transfer-encoding" not in raw.heads[0].lower()
    assert raw.bodies == [body or b""]


async def test_nothing_is_asked_for_that_the_caller_did_not_ask_for(raw, transport):
    raw.play(OK)
    await fetch(await transport(), raw.url)
    assert "accept-encoding" not in raw.heads[0].lower()
    assert "\r\nte:" not in raw.heads[0].lower()


# Once more, but never twice.


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_request_is_sent_twice_at_most(raw, transport, end):
    raw.play(HELLO, [end], [end], HELLO)
    subject = await transport()
    await fetch(subject, raw.url)
    with pytest.raises(UpstreamError) as caught:
        await fetch(subject, raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE
    assert len(raw.heads) == 3


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_request_on_a_new_connection_is_sent_once(raw, transport, end):
    raw.play([end], HELLO)
    with pytest.raises(UpstreamError) as caught:
        await fetch(await transport(), raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE
    assert len(raw.heads) == 1


# An answer before the request has been sent.


REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"


@pytest.mark.parametrize("end", ["hold", "close", "reset", "keep"])
@pytest.mark.parametrize("first", [False, True], ids=["new connection", "kept connection"])
async def test_an_early_refusal_is_delivered_and_its_connection_dropped(raw, transport, first, end):
    steps = ["early", REFUSAL, 0.02, *([] if end == "keep" else [end])]
    raw.play(*([HELLO] if first else []), steps, HELLO)
    subject = await transport()
    if first:
        await fetch(subject, raw.url)
    answer, body = await fetch(subject, raw.url, bytes(32 * MIB))
    assert (answer.status, body) == (413, b"no")
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"
    assert raw.connections == 2
    assert len(raw.heads) == (3 if first else 2)


async def test_a_stream_may_begin_before_the_request_has_been_sent(raw, transport):
    size = 8 * MIB

    async def take(reader, _writer):
        await reader.readexactly(size)

    raw.play(["early", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", 0.02, take, b"llo", "hold"], HELLO)
    _, body = await fetch(await transport(), raw.url, bytes(size))
    assert body == b"hello"

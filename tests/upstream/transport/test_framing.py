"""Where an answer begins and ends: what is read, what is refused, and that nothing is read twice."""

import asyncio
import gzip
from contextlib import suppress

import pytest
from support.misbehaving import HELLO, fetch, fetch_flowing

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.transport.aiohttp_client import AiohttpTransport

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = gzip.compress(b"hi", mtime=0)
TWO = b"Content-Length: 2\r\n\r\n{}"
END = "close"

# Wire bytes, the steps behind them, the body that they mean, and whether the connection may be used again.
WHOLE = {
    "length": ([HEAD + TWO], b"{}", True),
    "length zero": ([HEAD + b"Content-Length: 0\r\n\r\n"], b"", True),
    "length in another case": ([HEAD + b"cOnTeNt-LeNgTh: 2\r\n\r\n{}"], b"{}", True),
    "length with blanks": ([HEAD + b"Content-Length:\t 2 \t\r\n\r\n{}"], b"{}", True),
    "length with zeros": ([HEAD + b"Content-Length: 0002\r\n\r\n{}"], b"{}", True),
    "chunked": ([CHUNKED + b"2\r\n{}\r\n3\r\nabc\r\n0\r\n\r\n"], b"{}abc", True),
    "chunked, nothing": ([CHUNKED + b"0\r\n\r\n"], b"", True),
    "chunked, hex": (
        [CHUNKED + b"00A\r\n0123456789\r\n0b\r\n0123456789x\r\n0\r\n\r\n"],
        b"0123456789" * 2 + b"x",
        True,
    ),
    "chunk extension": ([CHUNKED + b'2;a=b;c="d"\r\n{}\r\n0;e\r\n\r\n'], b"{}", True),
    "trailer": ([CHUNKED + b"2\r\n{}\r\n0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n"], b"{}", True),
    "until close": ([HEAD + b"X: y\r\n\r\nhello", END], b"hello", False),
    "until close, nothing": ([HEAD + b"X: y\r\n\r\n", END], b"", False),
    "until half-close": ([HEAD + b"X: y\r\n\r\nhello", "half", "hold"], b"hello", False),
    "said to close": ([HEAD + b"Connection: close\r\n" + TWO], b"{}", False),
    "said to close, chunked": (
        [HEAD + b"Connection: close\r\n" + CHUNKED[17:] + b"0\r\n\r\n"],
        b"",
        False,
    ),
    "HTTP/1.0": ([b"HTTP/1.0 200 OK\r\n" + TWO], b"{}", False),
    "HTTP/1.0, kept": ([b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + TWO], b"{}", True),
    "version 2.0": ([b"HTTP/2.0 200 OK\r\n" + TWO], b"{}", False),
    "NUL in the reason, which nobody reads": ([b"HTTP/1.1 200 O\0K\r\n" + TWO], b"{}", True),
    "no reason": ([b"HTTP/1.1 200\r\n" + TWO], b"{}", True),
    "upgrade offered": ([HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\n" + TWO], b"{}", True),
    "high bytes in a header": ([HEAD + b"X: \xff\xe9\r\n" + TWO], b"{}", True),
    "empty header": ([HEAD + b"X:\r\n" + TWO], b"{}", True),
    "body of markup": (
        [HEAD + b"Content-Length: 19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"],
        b"HTTP/1.1 200 OK\r\n\r\n",
        True,
    ),
    "100": ([b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + TWO], b"{}", True),
    "103": (
        [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Encoding: gzip\r\n\r\n" + HEAD + TWO],
        b"{}",
        True,
    ),
    "many 1xx": ([b"HTTP/1.1 102 Processing\r\n\r\n" * 100 + HEAD + TWO], b"{}", True),
    "100 with a length": ([b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + HEAD + TWO], b"{}", True),
    "large head": (
        [HEAD + b"".join(b"X: %s\r\n" % (b"y" * 4000) for _ in range(12)) + TWO],
        b"{}",
        True,
    ),
    "gzip": (
        [
            HEAD
            + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(b"hi", mtime=0))
            + gzip.compress(b"hi", mtime=0)
        ],
        b"hi",
        True,
    ),
}


@pytest.mark.parametrize("read", [fetch, fetch_flowing])
@pytest.mark.parametrize("pace", ["whole", "bytewise"])
@pytest.mark.parametrize("name", WHOLE)
async def test_a_valid_answer_is_read_whole_however_it_comes(raw, transport, name, pace, read):
    steps, wanted, kept = WHOLE[name]
    raw.play([pace, *steps] if pace == "bytewise" else steps, HELLO)
    subject = await transport()
    answer, body = await read(subject, raw.url)
    assert (answer.status, body) == (200, wanted)
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"
    assert raw.connections == (1 if kept else 2)


@pytest.mark.parametrize(
    ("status", "rest"),
    [
        (b"204 No Content", b"\r\n"),
        (b"204 No Content", b"Content-Length: 5\r\n\r\n"),
        (b"204 No Content", b"Transfer-Encoding: chunked\r\n\r\n"),
        (b"304 Not Modified", b"\r\n"),
        (b"304 Not Modified", b"Content-Length: 5\r\nContent-Encoding: gzip\r\n\r\n"),
        (b"304 Not Modified", b"Transfer-Encoding: chunked\r\n\r\n"),
    ],
)
async def test_an_answer_that_has_no_body_ends_with_its_head(raw, transport, status, rest):
    raw.play(b"HTTP/1.1 " + status + b"\r\n" + rest, HELLO)
    subject = await transport()
    answer, body = await fetch(subject, raw.url)
    assert (answer.status, body) == (int(status[:3]), b"")
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 500\r\n\r\n",
    ],
)
async def test_an_answer_to_head_ends_with_its_head(raw, transport, rest):
    raw.play(HEAD + rest, HELLO)
    subject = await transport()
    answer, body = await fetch(subject, raw.url, None, "HEAD")
    assert (answer.status, body) == (200, b"")
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


REFUSED = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\n" + TWO,
    "another protocol": b"ICY 200 OK\r\n" + TWO,
    "version 1.2": b"HTTP/1.2 200 OK\r\n" + TWO,
    "status of two digits": b"HTTP/1.1 20 OK\r\n" + TWO,
    "status of four digits": b"HTTP/1.1 2000 OK\r\n" + TWO,
    "status of letters": b"HTTP/1.1 two OK\r\n" + TWO,
    "status 0": b"HTTP/1.1 000 OK\r\n" + TWO,
    "status 42": b"HTTP/1.1 042 OK\r\n" + TWO,
    "status 999": b"HTTP/1.1 999 OK\r\n" + TWO,
    "101 unasked": b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + HEAD + TWO,
    "101 bare": b"HTTP/1.1 101 Go\r\n\r\n" + HEAD + TWO,
    "101 bare, alone": b"HTTP/1.1 101 Go\r\n\r\n",
    "folded header": HEAD + b"X: a\r\n b\r\n" + TWO,
    "blank before the first header": HEAD + b" X: a\r\n" + TWO,
    "blank before the colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "header without a colon": HEAD + b"Xyz\r\n" + TWO,
    "header without a name": HEAD + b": x\r\n" + TWO,
    "NUL in a value": HEAD + b"X: a\0b\r\n" + TWO,
    "NUL in a name": HEAD + b"X\0: ab\r\n" + TWO,
    "CR in a value": HEAD + b"X: a\rb\r\n" + TWO,
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "bare LF at the end": HEAD + b"Content-Length: 2\r\n\n{}",
    "bare CR at the end": HEAD + b"Content-Length: 2\r\n\r{}",
    "length and chunked": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "two equal lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "negative length": HEAD + b"Content-Length: -2\r\n\r\n{}",
    "length with a plus": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "length with an underscore": HEAD + b"Content-Length: 0_2\r\n\r\n{}",
    "length in hex": HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    "length of words": HEAD + b"Content-Length: two\r\n\r\n{}",
    "no length": HEAD + b"Content-Length: \r\n\r\n{}",
    "length past 64 bits": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "length of 64 bits": HEAD + b"Content-Length: 18446744073709551615\r\n\r\n{}",
    "gzip as transfer coding": HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "gzip and chunked": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked and gzip": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked twice": HEAD
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "almost chunked": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "identity": HEAD + b"Transfer-Encoding: identity\r\n\r\n{}",
    "too many 1xx": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
    "huge reason": b"HTTP/1.1 200 " + b"x" * 600_000,
    "huge header": HEAD + b"X: " + b"x" * 600_000,
    "huge name": HEAD + b"x" * 600_000,
    "too many headers": HEAD + b"X: y\r\n" * 50_000 + TWO,
}


LENIENT = {
    "folded header": b"{}",
    "blank before the first header": b"{}",
    "bare LF": b"{}",
    "bare LF at the end": b"{}",
    "bare LF behind an extension": b"first{}",
    "folded trailer": b"first{}",
}
"""What aiohttp reads all the same, and what it reads: its parser is told to be lenient with answers."""


@pytest.fixture
def lenient(request, client):
    """Mark a row that aiohttp's client reads: it has to go on reading it, and as one clear answer."""

    def mark(name):
        if client is AiohttpTransport and name in LENIENT:
            request.applymarker(pytest.mark.xfail(reason="aiohttp reads answers leniently", strict=True))

    return mark


@pytest.mark.parametrize("name", REFUSED)
async def test_an_answer_that_is_not_clear_is_refused(raw, transport, lenient, name):
    lenient(name)
    raw.play([REFUSED[name], "hold"], HELLO)
    subject = await transport()
    with pytest.raises(UpstreamError) as caught:
        await fetch(subject, raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_PROTOCOL
    assert caught.value.provider == "up"
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"
    assert raw.connections == 2


REFUSED_LATER = {
    "chunk size of letters": b"zz\r\n",
    "negative chunk size": b"-2\r\n{}\r\n0\r\n\r\n",
    "chunk size with 0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "chunk size with a plus": b"+2\r\n{}\r\n0\r\n\r\n",
    "chunk size with an underscore": b"0_2\r\n{}\r\n0\r\n\r\n",
    "chunk size behind a blank": b" 2\r\n{}\r\n0\r\n\r\n",
    "chunk size past 64 bits": b"f" * 17 + b"\r\n",
    "no chunk size": b"\r\n{}\r\n0\r\n\r\n",
    "chunk longer than it says": b"2\r\n{}x\r\n0\r\n\r\n",
    "chunk without its line end": b"2\r\n{}0\r\n\r\n",
    "bare LF around chunks": b"2\n{}\n0\n\n",
    "bare LF behind an extension": b"2;a\n{}\r\n0\r\n\r\n",
    "NUL in an extension": b"2;a\0\r\n{}\r\n0\r\n\r\n",
    "huge extension": b"2;" + b"x" * 600_000,
    "huge trailer": b"2\r\n{}\r\n0\r\nX: " + b"x" * 600_000,
    "too many trailers": b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 100_000,
    "trailer without a colon": b"2\r\n{}\r\n0\r\nabc\r\n\r\n",
    "folded trailer": b"2\r\n{}\r\n0\r\nX: a\r\n b\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED_LATER)
async def test_a_chunk_that_is_not_clear_is_refused(raw, transport, lenient, name):
    lenient(name)
    raw.play([CHUNKED + b"5\r\nfirst\r\n", 0.01, REFUSED_LATER[name], "hold"], HELLO)
    subject = await transport()
    with pytest.raises(UpstreamError) as caught:
        await fetch(subject, raw.url)
    assert caught.value.kind in {ErrorKind.UPSTREAM_PROTOCOL, ErrorKind.UPSTREAM_TRUNCATED}
    assert caught.value.provider == "up"
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"
    assert raw.connections == 2


@pytest.mark.parametrize("client", [AiohttpTransport], indirect=True)
@pytest.mark.parametrize("name", LENIENT)
async def test_what_aiohttp_reads_leniently_is_one_clear_answer(raw, transport, name):
    later = [CHUNKED + b"5\r\nfirst\r\n", 0.01, REFUSED_LATER[name]] if name in REFUSED_LATER else None
    raw.play(later or REFUSED[name], HELLO)
    subject = await transport()
    _, body = await fetch(subject, raw.url)
    assert body == LENIENT[name]
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


async def test_trailers_are_no_headers(raw, transport):
    raw.play(CHUNKED + b"2\r\n{}\r\n0\r\nX-Sum: 1\r\nContent-Type: text/html\r\nSet-Cookie: a\r\n\r\n", HELLO)
    subject = await transport()
    answer, _ = await fetch(subject, raw.url)
    assert dict(answer.headers) == {"Transfer-Encoding": "chunked"}
    assert answer.headers.get("X-Sum") is None
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


async def test_headers_of_an_interim_answer_are_not_the_answers(raw, transport):
    raw.play([b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n", 0.01, HELLO])
    answer, _ = await fetch(await transport(), raw.url)
    assert dict(answer.headers) == {"Content-Length": "5"}


EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


FIRST = {
    "length": HELLO,
    "chunked": CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    "no body": b"HTTP/1.1 204 No\r\nContent-Length: 90\r\n\r\n",
}
BEHIND = {
    "an answer": EVIL,
    "a byte": b"x",
    "half a head": b"HTTP/1.1",
    "an answer behind blanks": b"\r\n\r\n" + EVIL,
    "many": EVIL * 20,
}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("gap", [None, 0.0, 0.01])
@pytest.mark.parametrize("behind", BEHIND)
async def test_what_stands_behind_an_answer_is_never_the_next_ones(
    raw, transport, client, first, gap, behind
):
    sent = asyncio.Event()

    async def told(_reader, _writer):
        sent.set()

    steps = [FIRST[first] + BEHIND[behind]] if gap is None else [FIRST[first], gap, BEHIND[behind]]
    raw.play([*steps, told, 0.01, "close"], HELLO)
    subject = await transport()
    if client is AiohttpTransport and gap is None and behind == "a byte":
        with pytest.raises(UpstreamError):  # it sees the byte first, and refuses the answer with it
            await fetch(subject, raw.url)
    else:
        _, body = await fetch(subject, raw.url)
        assert body == (b"" if first == "no body" else b"hello")
    await sent.wait()
    for _ in range(2):
        await asyncio.sleep(0.005)
        _, body = await fetch(subject, raw.url)
        assert body == b"hello"


@pytest.mark.parametrize("behind", [EVIL, b"x", b"HTTP/1.1"])
async def test_a_connection_with_something_behind_an_answer_is_dropped(raw, transport, eventually, behind):
    raw.play([HELLO + behind, "hold"], HELLO)
    subject = await transport()
    with suppress(UpstreamError):
        await fetch(subject, raw.url)
    await eventually(lambda: raw.dropped, 0.5)


async def test_an_answer_before_its_request_is_never_taken(raw, transport):
    """As it would be sent on a connection that somebody else has prepared."""
    sent = asyncio.Event()

    async def told(_reader, _writer):
        sent.set()

    raw.play([HELLO, 0.01, EVIL, 0.01, EVIL, told, "hold"], HELLO)
    subject = await transport()
    await fetch(subject, raw.url)
    await sent.wait()
    await asyncio.sleep(0.01)
    results = await asyncio.gather(*(fetch(subject, raw.url) for _ in range(5)))
    assert {body for _, body in results} == {b"hello"}

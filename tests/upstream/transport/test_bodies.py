"""Bodies: packed ones, broken ones, huge ones, and ones that nobody reads."""

import asyncio
import gzip
import zlib

import brotli
import pytest
from backports import zstd
from multidict import CIMultiDict
from support.misbehaving import HELLO, fetch

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.transport.coding import MAX_UNPACKED_BYTES, decoder_for
from aigw.upstream.transport.pool import PoolTransport

TEXT = b'{"text": "h\xc3\xa9llo"}' * 500
MIB = 2**20


def packed(coding, body, framing="length"):
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n" % coding
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "chunked":
        chunks = b"".join(b"7\r\n%s\r\n" % body[at : at + 7] for at in range(0, len(body) // 7 * 7, 7))
        rest = body[len(body) // 7 * 7 :]
        chunks += b"%x\r\n%s\r\n" % (len(rest), rest) if rest else b""
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    return head + b"Connection: close\r\n\r\n" + body


def raw_deflate(body):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


CODINGS = {
    "gzip": (b"gzip", gzip.compress(TEXT)),
    "gzip in capitals": (b"GZIP", gzip.compress(TEXT)),
    "x-gzip": (b"x-gzip", gzip.compress(TEXT)),
    "gzip in members": (
        b"gzip",
        b"".join(map(gzip.compress, (TEXT[:100], TEXT[100:]))),
    ),
    "gzip, padded": (b"gzip", gzip.compress(TEXT) + bytes(100)),
    "gzip with empty members": (b"gzip", gzip.compress(b"") * 50 + gzip.compress(TEXT) + gzip.compress(b"")),
    "deflate": (b"deflate", zlib.compress(TEXT)),
    "deflate without its header": (b"deflate", raw_deflate(TEXT)),
    "br": (b"br", brotli.compress(TEXT)),
    "zstd": (b"zstd", zstd.compress(TEXT)),
    "zstd in frames": (b"zstd", zstd.compress(TEXT[:100]) + zstd.compress(TEXT[100:])),
    "identity": (b"identity", TEXT),
}


@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
@pytest.mark.parametrize("name", CODINGS)
async def test_a_packed_answer_is_unpacked(raw, transport, name, framing):
    coding, body = CODINGS[name]
    raw.play([packed(coding, body, framing), *(["close"] if framing == "until close" else [])], HELLO)
    subject = await transport()
    answer, read = await fetch(subject, raw.url)
    assert read == TEXT
    if name != "identity":
        assert not {"Content-Encoding", "Content-Length"} & answer.headers.keys()
    await fetch(subject, raw.url)
    assert raw.connections == (2 if framing == "until close" else 1)


@pytest.mark.parametrize("name", ["gzip", "gzip in members", "deflate", "br", "zstd"])
async def test_a_packed_answer_is_unpacked_however_it_comes(raw, transport, name):
    coding, body = CODINGS[name]
    raw.play(["bytewise", packed(coding, body, "chunked")])
    _, read = await fetch(await transport(), raw.url)
    assert read == TEXT


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate without its header", "br", "zstd"])
async def test_a_packed_answer_that_breaks_off_is_not_a_whole_one(raw, transport, name, framing):
    coding, body = CODINGS[name]
    raw.play(packed(coding, body[:-3], framing), HELLO)
    subject = await transport()
    with pytest.raises(UpstreamError) as caught:
        await fetch(subject, raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_TRUNCATED
    assert caught.value.provider == "up"
    _, read = await fetch(subject, raw.url)
    assert read == b"hello"


DAMAGED = {
    "gzip with garbage behind": (b"gzip", gzip.compress(TEXT) + b"garbage"),
    "no gzip": (b"gzip", TEXT),
    "gzip with a wrong sum": (b"gzip", gzip.compress(TEXT)[:-8] + bytes(8)),
    "deflate with a wrong sum": (b"deflate", zlib.compress(TEXT)[:-4] + bytes(4)),
    "no br": (b"br", b"\xff" * 100),
    "br with garbage behind": (b"br", brotli.compress(TEXT) + b"garbage"),
    "no zstd": (b"zstd", TEXT),
}


@pytest.mark.parametrize("name", DAMAGED)
async def test_a_damaged_body_is_refused(raw, transport, name):
    raw.play(packed(*DAMAGED[name]), HELLO)
    subject = await transport()
    with pytest.raises(UpstreamError) as caught:
        await fetch(subject, raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_TRUNCATED
    _, read = await fetch(subject, raw.url)
    assert read == b"hello"


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd"])
async def test_an_empty_body_is_whole_whatever_its_coding(raw, transport, coding):
    raw.play(packed(coding, b""))
    _, read = await fetch(await transport(), raw.url)
    assert read == b""


@pytest.mark.parametrize("names", [[b"rot13"], [b"gzip, gzip"], [b"gzip", b"br"], [b"x" * 1000]])
async def test_a_coding_that_nobody_knows_is_named(raw, transport, names):
    lines = b"".join(b"Content-Encoding: %s\r\n" % name for name in names)
    raw.play(b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\n{}", HELLO)
    subject = await transport()
    with pytest.raises(UpstreamError, match=names[0][:30].decode()) as caught:
        await fetch(subject, raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_PROTOCOL
    assert len(str(caught.value)) < 200
    _, read = await fetch(subject, raw.url)
    assert read == b"hello"


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        (b"gzip", gzip.compress),
        (b"deflate", zlib.compress),
        (b"br", lambda body: brotli.compress(body, quality=5)),
        (b"zstd", zstd.compress),
    ],
    ids=["gzip", "deflate", "br", "zstd"],
)
async def test_a_bomb_is_refused_before_it_is_unpacked(raw, transport, coding, pack):
    raw.play(packed(coding, pack(bytes(64 * MIB))), HELLO)
    subject = await transport()
    size = 0
    with pytest.raises(UpstreamError, match="unpacks to more than") as caught:
        async with asyncio.timeout(5):
            answer = await subject.send("POST", raw.url, CIMultiDict(), b"{}")
            while piece := await answer.chunk():
                assert len(piece) <= MAX_UNPACKED_BYTES
                size += len(piece)
    assert caught.value.kind is ErrorKind.UPSTREAM_PROTOCOL
    assert caught.value.provider == "up"
    assert size <= 2 * MAX_UNPACKED_BYTES
    _, read = await fetch(subject, raw.url)
    assert read == b"hello"


async def test_a_flood_of_empty_members_is_refused():
    decoder = decoder_for(CIMultiDict({"Content-Encoding": "gzip"}))
    with pytest.raises(UpstreamError):
        decoder.feed(gzip.compress(b"") * 3000)


async def test_a_huge_answer_arrives_whole(raw, transport):
    body = bytes(range(256)) * 4 * 1024 * 32
    raw.play(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body, HELLO)
    subject = await transport()
    _, read = await fetch(subject, raw.url)
    assert read == body
    await fetch(subject, raw.url)
    assert raw.connections == 1


BREAKS = {
    "in a length": (b"Content-Length: 100\r\n\r\nhello", b"hello"),
    "before its body": (b"Content-Length: 100\r\n\r\n", b""),
    "between chunks": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"hello"),
    "in a chunk": (b"Transfer-Encoding: chunked\r\n\r\n50\r\nhello", b"hello"),
    "in a chunk's size": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5", b"hello"),
    "before the last line": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"hello"),
    "in a trailer": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y", b"hello"),
}


@pytest.mark.parametrize("end", ["close", "reset", "half"])
@pytest.mark.parametrize("name", BREAKS)
async def test_an_answer_that_breaks_off_is_told_behind_what_came(raw, transport, name, end):
    rest, wanted = BREAKS[name]
    raw.play([b"HTTP/1.1 200 OK\r\n" + rest, 0.005, end, *(["hold"] if end == "half" else [])], HELLO)
    subject = await transport()
    answer = await subject.send("POST", raw.url, CIMultiDict(), b"{}")
    read = b""
    with pytest.raises(UpstreamError) as caught:
        async with asyncio.timeout(2):
            while piece := await answer.chunk():
                read += piece
    await answer.close()
    assert caught.value.kind is ErrorKind.UPSTREAM_TRUNCATED
    assert caught.value.provider == "up"
    assert read == wanted
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


@pytest.mark.parametrize("name", BREAKS)
async def test_what_came_is_handed_on_before_it_is_told_that_it_breaks_off(raw, transport, name):
    rest, wanted = BREAKS[name]
    raw.play([b"HTTP/1.1 200 OK\r\n" + rest, "close"], HELLO)
    subject = await transport()
    answer = await subject.send("POST", raw.url, CIMultiDict(), b"{}")
    pieces = []
    with pytest.raises(UpstreamError) as caught:
        async with asyncio.timeout(2):
            await answer.flow(lambda piece: pieces.append(piece) is None)
    await answer.close()
    assert caught.value.kind is ErrorKind.UPSTREAM_TRUNCATED
    assert caught.value.provider == "up"
    assert b"".join(pieces) == wanted
    assert b"" not in pieces
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


SPOILT = {
    "behind a chunk": (b"5\r\nhello\r\n!\r\n", b"hello"),
    "as a chunk ends": (b"5\r\nhello\r", b"\n!\r\n", b"hello"),
}


@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.parametrize("flows", [False, True], ids=["chunk", "flow"])
async def test_what_came_is_handed_on_before_it_is_told_that_the_rest_is_no_http(raw, transport, name, flows):
    *steps, wanted = SPOILT[name]
    raw.play([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0.005, *steps, "hold"], HELLO)
    subject = await transport()
    answer = await subject.send("POST", raw.url, CIMultiDict(), b"{}")
    pieces = []
    with pytest.raises(UpstreamError) as caught:
        async with asyncio.timeout(2):
            if flows:
                await answer.flow(lambda piece: pieces.append(piece) is None)
            while piece := await answer.chunk():
                pieces.append(piece)
    await answer.close()
    assert caught.value.provider == "up"
    assert pieces == [wanted]
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


# Pieces that flow.


THREE = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none", 0.005, b"two", 0.005, b"six"]


@pytest.fixture
async def flowing(raw, transport):
    """Begin an answer of three pieces, with what takes them: it raises or has enough at the n-th of them."""
    subject = await transport()

    async def begin(*steps, raises_at=0, enough_at=0):
        raw.play(list(steps or THREE), HELLO)
        pieces = []

        def take(piece):
            pieces.append(piece)
            if len(pieces) == raises_at:
                raise LookupError(raises_at)
            return len(pieces) != enough_at

        answer = await subject.send("POST", raw.url, CIMultiDict(), b"{}")
        return answer, take, pieces

    async def end(answer, connections):
        """Close the answer; the next one is the next one, on as many connections."""
        await answer.close()
        _, body = await fetch(subject, raw.url)
        assert body == b"hello"
        assert raw.connections == connections

    return begin, end


async def test_pieces_flow_in_order_and_then_their_end(flowing):
    begin, end = flowing
    answer, take, pieces = await begin()
    await answer.flow(take)
    assert pieces == [b"one", b"two", b"six", b""]
    assert await answer.chunk() == b""
    await end(answer, 1)


@pytest.mark.parametrize("steps", [THREE, [b"".join(THREE[::2])]], ids=["as it comes", "all there"])
@pytest.mark.parametrize("enough_at", [1, 2, 3])
async def test_who_has_enough_reads_on_where_it_stopped(flowing, enough_at, steps):
    begin, end = flowing
    answer, take, pieces = await begin(*steps, enough_at=enough_at)
    await answer.flow(take)
    assert len(pieces) == min(enough_at, 2 if len(steps) == 1 else 4)
    await asyncio.sleep(0.01)  # what comes meanwhile is for who reads on
    read = list(pieces)
    while pieces[-1] and (piece := await answer.chunk()):
        read.append(piece)
    assert len(pieces) == min(enough_at, 2 if len(steps) == 1 else 4)
    assert b"".join(read) == b"onetwosix"
    await end(answer, 1)


async def test_who_has_had_enough_may_let_it_flow_again(flowing):
    begin, end = flowing
    answer, take, pieces = await begin(enough_at=1)
    await answer.flow(take)
    await answer.flow(take)
    assert b"".join(pieces) == b"onetwosix"
    assert pieces[-1] == b""
    await end(answer, 1)


@pytest.mark.parametrize(("at", "connections"), [(1, 2), (2, 2), (4, 1)], ids=["there", "as it comes", "end"])
async def test_what_the_taker_raises_is_raised_and_half_a_body_drops_the_connection(flowing, at, connections):
    begin, end = flowing
    answer, take, pieces = await begin(*THREE, *([] if connections == 1 else ["hold"]), raises_at=at)
    with pytest.raises(LookupError):
        await answer.flow(take)
    assert len(pieces) == at
    await end(answer, connections)


async def test_who_is_cancelled_is_handed_nothing_more(raw, flowing, eventually):
    begin, end = flowing
    answer, take, pieces = await begin(*THREE[:1], 0.02, b"two", "hold")
    task = asyncio.create_task(answer.flow(take))
    await eventually(lambda: pieces)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    await eventually(lambda: raw.sent == len(THREE[0]) + 3)
    await asyncio.sleep(0.005)
    assert pieces == [b"one"]
    await answer.close()
    await eventually(lambda: raw.dropped)
    await end(answer, 2)


async def test_who_was_cancelled_while_pieces_flowed_may_read_on(flowing, eventually):
    begin, end = flowing
    answer, take, pieces = await begin(THREE[0], 0.02, *THREE[2:])
    task = asyncio.create_task(answer.flow(take))
    await eventually(lambda: pieces)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await answer.read() == b"twosix"
    assert pieces == [b"one"]
    await end(answer, 1)


@pytest.mark.parametrize("client", [PoolTransport], indirect=True)
async def test_who_is_cancelled_as_its_body_breaks_is_handed_nothing_more(flowing, eventually):
    begin, end = flowing
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
    answer, take, pieces = await begin(chunked, "hold", raises_at=2)
    task = asyncio.create_task(answer.flow(take))
    await eventually(lambda: pieces)
    task.cancel()
    answer._connection.data_received(b"6\r\nsecond\r\n!\r\n")  # before the task runs: no socket is so exact
    await asyncio.gather(task, return_exceptions=True)
    assert pieces == [b"first"]
    await end(answer, 2)


async def test_a_body_until_close_that_is_reset_breaks_off(raw, transport):
    raw.play([b"HTTP/1.1 200 OK\r\n\r\nhello", 0.005, "reset"])
    with pytest.raises(UpstreamError) as caught:
        await fetch(await transport(), raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_TRUNCATED


HEADS = [
    b"H",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nX: y",
    b"HTTP/1.1 100 Go\r\n\r\n",
]


@pytest.mark.parametrize("end", ["close", "reset", "half"])
@pytest.mark.parametrize("start", HEADS)
async def test_a_head_that_breaks_off_is_no_answer_and_not_asked_for_again(raw, transport, start, end):
    raw.play(HELLO, [start, 0.005, end, *(["hold"] if end == "half" else [])], HELLO)
    subject = await transport()
    await fetch(subject, raw.url)
    with pytest.raises(UpstreamError) as caught:
        await fetch(subject, raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE
    assert len(raw.heads) == 2

"""Any valid answer reads the same however it is cut; any damaged one is one clear answer, or an error."""

import asyncio
from contextlib import suppress
from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.misbehaving import HELLO, fetch

from aigw.errors import UpstreamError

each = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
tokens = st.text("abcXYZ-09", min_size=1, max_size=8).map(lambda text: b"X-" + text.encode())
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12).map(str.encode)
bodies = st.binary(max_size=40)

INTERIM = [b"HTTP/1.1 100 Go\r\n\r\n", b"HTTP/1.1 103 H\r\nX: y\r\n\r\n"]
CHUNK_END_AND_DAMAGE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n!\r\n\r\n"
DAMAGE = [b"", b"\r", b"\n", b"\r\n", b"\0", b" ", b":", b"\t", b"0", b"f", b"-1", b"\xff", HELLO]
DAMAGE += [b"\r\nContent-Length: 3\r\n", b"\r\nTransfer-Encoding: chunked\r\n"]


@st.composite
def heads(draw):
    """Interim answers, a status line, and headers that say nothing of the body."""
    interim = draw(st.lists(st.sampled_from(INTERIM), max_size=2))
    lines = draw(st.lists(st.tuples(tokens, values).map(b"%b: %b\r\n".__mod__), max_size=3))
    status = draw(st.sampled_from([b"200 OK", b"404 Not Found", b"500 ", b"599"]))
    return int(status[:3]), b"".join([*interim, b"HTTP/1.1 ", status, b"\r\n", *lines])


@st.composite
def answers(draw):
    """A valid answer: wire bytes, status, body, and whether the connection ends with it."""
    status, head = draw(heads())
    framing = draw(st.sampled_from(["length", "chunked", "until close"]))
    if framing == "chunked":
        chunks = draw(st.lists(bodies.filter(bool), max_size=4))
        extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"']))
        trailer = draw(st.sampled_from([b"", b"X-Sum: 1\r\n"]))
        wire = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
        wire = b"Transfer-Encoding: chunked\r\n\r\n" + wire + b"0" + extension + b"\r\n" + trailer + b"\r\n"
        return head + wire, status, b"".join(chunks), False
    body = draw(bodies)
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body, status, body, False
    return head + b"\r\n" + body, status, body, True


def cut(wire, places):
    marks = sorted({place % (len(wire) + 1) for place in places} | {0, len(wire)})
    return [wire[start:end] for start, end in pairwise(marks) if start < end]


places = st.lists(st.integers(0, 2000), max_size=8)


@each
@given(answer=answers(), where=places)
async def test_a_valid_answer_reads_the_same_however_it_is_cut(raw, transport, answer, where):
    wire, status, body, ends = answer
    raw.play([*cut(wire, where), *(["close"] if ends else [])], HELLO)
    raw.connections = 0
    subject = await transport()
    got, read = await fetch(subject, raw.url)
    assert (got.status, read) == (status, body)
    assert "X-Sum" not in got.headers
    _, read = await fetch(subject, raw.url)
    assert read == b"hello"
    assert raw.connections == (2 if ends else 1)
    await subject.close()


@st.composite
def damaged(draw):
    """The bytes of a valid answer, with a few of them taken away, put in, replaced or doubled."""
    wire = draw(answers())[0]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(wire)))
        to = min(len(wire), at + draw(st.integers(0, 6)))
        new = draw(st.sampled_from([*DAMAGE, wire[at:to] * 2]) | st.binary(max_size=3))
        wire = wire[:at] + new + wire[to:]
    return wire


async def outcome(raw, transport, steps):
    """Read what is sent: status and body, or "refused". Whatever it is, the next answer is the next one."""
    raw.play([*steps, 0.002, "close"], HELLO)
    subject = await transport()
    result = "refused"
    with suppress(UpstreamError):  # and nothing else: above all, nobody waits for what cannot come
        answer, body = await fetch(subject, raw.url)
        result = (answer.status, body)
    async with asyncio.timeout(2):
        while raw.walked < len(raw.heads):  # noqa: ASYNC110 - what comes late is the next one's answer
            await asyncio.sleep(0.001)
    raw.play(HELLO)
    for _ in range(2):
        got, body = await fetch(subject, raw.url)
        assert (got.status, body) == (200, b"hello")
    await subject.close()
    return result


@each
@given(wire=damaged(), where=places)
@example(wire=HELLO + HELLO, where=[38])  # an answer behind the end of another's body
@example(wire=HELLO + b"\r\nX: y\r\n", where=[44])  # a blank line is none, what follows it is one too many
@example(wire=HELLO + HELLO, where=[44])  # its first byte alone
@example(wire=CHUNK_END_AND_DAMAGE, where=[CHUNK_END_AND_DAMAGE.index(b"\n!")])  # both in one read
async def test_a_damaged_answer_is_one_clear_answer_or_an_error(raw, transport, wire, where):
    read = {await outcome(raw, transport, steps) for steps in ([wire] if wire else [], cut(wire, where))}
    assert len(read - {"refused"}) <= 1  # the same one, wherever it is cut

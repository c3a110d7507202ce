import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw.errors import ProtocolError
from aigw.wire.sse import FrameAligner, SseFrame, SseFramer, cut_frames, encode_frame, split_frames

STREAM = (
    b": a comment\n\n"
    b'data: {"a":1}\n\n'
    b"event: ping\ndata: x\n\n"
    b"id: 7\nretry: 10\ndata:no space\n\n"
    b"data: two\ndata: lines\n\n"
    b"event: no data\n\n"
    b"data:  kept space\n\n"
    b"data\n\n"
    b"data: \xc5\xbelu\xc5\xa5\xc3\xa9\n\n"
)
FRAMES = [
    SseFrame(None, b'{"a":1}'),
    SseFrame("ping", b"x"),
    SseFrame(None, b"no space", "7"),
    SseFrame(None, b"two\nlines"),
    SseFrame(None, b" kept space"),
    SseFrame(None, b""),
    SseFrame(None, "žluťé".encode()),
]

line_ends = pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])


def read(pieces):
    framer = SseFramer()
    return [frame for piece in pieces for frame in framer.feed(piece)] + framer.close()


@line_ends
def test_frames_are_read_with_any_line_end(line_end):
    assert read([STREAM.replace(b"\n", line_end)]) == FRAMES


@line_ends
def test_one_cut_anywhere_changes_nothing(line_end):
    data = STREAM.replace(b"\n", line_end)
    for cut in range(len(data)):
        assert read([data[:cut], data[cut:]]) == FRAMES


@line_ends
def test_single_bytes_change_nothing(line_end):
    data = STREAM.replace(b"\n", line_end)
    assert read([data[i : i + 1] for i in range(len(data))]) == FRAMES


def test_line_ends_may_be_mixed():
    assert read([b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\rdata: 4\n\n"]) == [
        SseFrame(None, digit) for digit in (b"1", b"2", b"3", b"4")
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_field():
    assert read([b"\xef", b"\xbb\xbf", b"data: 1\n\n"]) == [SseFrame(None, b"1")]


def test_a_last_frame_without_its_blank_line_is_given_at_the_end():
    framer = SseFramer()
    assert framer.feed(b"data: [DONE]\n") == []
    assert framer.close() == [SseFrame(None, b"[DONE]")]


def test_a_frame_past_the_limit_is_a_protocol_error():
    framer = SseFramer(max_frame_bytes=100)
    framer.feed(b"data: " + b"x" * 90)
    with pytest.raises(ProtocolError, match="100 bytes"):
        framer.feed(b"x" * 90)


def test_many_frames_in_one_read_may_pass_the_limit_of_one_frame():
    assert len(SseFramer(max_frame_bytes=100).feed(b"data: 0123456789\n\n" * 50)) == 50


@pytest.mark.parametrize("line_end", [b"\n", b"\r"], ids=["LF", "CR"])
def test_reading_is_linear_in_the_number_of_pieces(line_end):
    def seconds(pieces):
        framer, aligner = SseFramer(), FrameAligner()
        started = time.process_time()
        for _ in range(pieces):
            framer.feed(b"data: " + b"x" * 94 + line_end)
            aligner.feed(b"data: " + b"x" * 94 + line_end)
        assert len(framer.feed(line_end)) == 1
        assert aligner.feed(line_end)
        return time.process_time() - started

    small = min(seconds(2_000) for _ in range(3))
    assert min(seconds(20_000) for _ in range(3)) < 40 * small


def test_whole_frames_pass_the_aligner_as_the_very_same_object():
    aligner = FrameAligner()
    for chunk in (b"data: 1\n\n", b"data: 1\n\ndata: 2\n\n", b"data: 1\r\n\r\n"):
        assert aligner.feed(chunk) is chunk
    assert aligner.tail == b""


def test_the_aligner_holds_back_an_unfinished_frame():
    aligner = FrameAligner()
    assert aligner.feed(b"data: 1\n\ndata: 2") == b"data: 1\n\n"
    assert aligner.tail == b"data: 2"
    assert not aligner.empty
    assert aligner.feed(b"\n") == b""
    assert aligner.feed(b"\ndata: 3\n") == b"data: 2\n\n"
    assert aligner.tail == b"data: 3\n"


def test_the_aligner_has_the_same_limit():
    aligner = FrameAligner(max_frame_bytes=10)
    with pytest.raises(ProtocolError):
        aligner.feed(b"data: 0123456789")


@line_ends
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=8))
@settings(deadline=None)
def test_the_aligner_loses_no_byte_and_lets_whole_frames_through_alone(line_end, cuts):
    data = STREAM.replace(b"\n", line_end)
    edges = [0, *sorted(cuts), len(data)]
    aligner = FrameAligner()
    out = [aligner.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(out) + aligner.tail == data
    assert [frame for piece in out for frame in split_frames(piece)] == FRAMES
    assert b"".join(raw for piece in out for raw in cut_frames(piece)) == b"".join(out)


@given(st.lists(st.binary(max_size=20), max_size=6))
@settings(deadline=None)
def test_any_bytes_give_the_same_frames_however_they_are_cut(pieces):
    assert read(pieces) == read([b"".join(pieces)])


@given(st.binary(max_size=50), st.none() | st.from_regex(r"[a-z.]{1,9}", fullmatch=True))
@settings(deadline=None)
def test_a_written_frame_reads_back_the_same(data, event):
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert split_frames(encode_frame(data, event)) == [SseFrame(event, lines)]


def test_frames_are_cut_with_their_blank_lines():
    assert cut_frames(b": c\n\ndata: 1\n\n") == [b": c\n\n", b"data: 1\n\n"]
    assert cut_frames(b"data: 1\r\n\r\ndata: 2\r\n\r\n") == [b"data: 1\r\n\r\n", b"data: 2\r\n\r\n"]

"""A JSON array that is read while it is written: cut anywhere, bounded, and nothing but objects."""

import json
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.errors import ProtocolError
from aigw.wire.json_array import JsonArrayReader, JsonArrayWriter

texts = st.text(max_size=8) | st.sampled_from(['"', "\\", '\\"', "{", "}]", "žluťoučký 🐎", "[,"])
values = st.recursive(
    texts | st.integers(-9, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=3)


def read(pieces, **options):
    reader = JsonArrayReader(**options)
    found = [element for piece in pieces for element in reader.feed(piece)]
    return reader, found


def cut(data, cuts):
    edges = [0, *sorted(edge % (len(data) + 1) for edge in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(
    st.lists(objects, max_size=5),
    st.lists(st.integers(0, 10**6), max_size=12),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_elements_survive_any_cut(trees, cuts, indent, ascii_only):
    data = json.dumps(trees, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    reader, found = read(cut(data, cuts))
    assert [json.loads(element) for element in found] == trees
    assert reader.closed
    assert not reader.unfinished


@given(st.lists(objects, max_size=4))
def test_what_the_writer_writes_the_reader_reads_byte_by_byte(trees):
    writer = JsonArrayWriter()
    written = [orjson.dumps(tree, option=orjson.OPT_NON_STR_KEYS) for tree in trees if plain(tree)]
    data = b"".join([writer.write(element) for element in written]) + writer.close()
    assert writer.close() == b""
    assert isinstance(json.loads(data), list)
    _, found = read([data[i : i + 1] for i in range(len(data))])
    assert found == written


def plain(tree):
    try:
        json.dumps(tree, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def test_each_element_is_told_as_soon_as_it_is_whole():
    reader = JsonArrayReader()
    assert reader.feed(b'[{"a":1') == []
    assert reader.unfinished
    assert reader.feed(b'}\n,\r\n{"b":[{}]}') == [b'{"a":1}', b'{"b":[{}]}']
    assert not reader.unfinished
    assert not reader.closed
    assert reader.feed(b"\n]\n") == []
    assert reader.closed


def test_a_byte_order_mark_and_blanks_around_it_are_no_fault():
    reader, found = read([b"\xef\xbb\xbf \r\n[ {} ] \n"])
    assert found == [b"{}"]
    assert reader.closed


@pytest.mark.parametrize(
    "data",
    [b'{"a":1}', b"[1]", b'["a"]', b"[[]]", b"data: {}", b"[{} x {}]", b"[] {}", b"[]]", b"]", b"<p>"],
)
def test_anything_but_an_array_of_objects_is_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        read([data])


def test_an_element_without_end_is_refused_at_the_limit():
    with pytest.raises(ProtocolError, match="passes 100 bytes"):
        read([b'[{"a":"', *[b"x" * 10] * 20], max_element_bytes=100)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_protocol_errors_or_nothing(junk):
    for data in (junk, b"[" + junk, b'[{"a":' + junk):
        try:
            read([data])
        except ProtocolError:
            continue

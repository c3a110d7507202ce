"""Forms as bytes: text fields can change, files never do."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.errors import ClientError
from aigw.wire.multipart import MAX_PARTS, boundary_of, parse, rebuild, text_fields

BOUNDARY = b"b0undary"
NAMES = st.text(st.sampled_from("abcxyz[]_-. é"), min_size=1, max_size=8).filter(
    lambda name: name.strip() == name
)
TEXTS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)


def is_free_of_boundary(content):
    return b"\r\n--" + BOUNDARY not in b"\r\n" + content


CONTENTS = st.binary(max_size=60).filter(is_free_of_boundary)


def field(name, text):
    return b'Content-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n', text.encode()


def file(name, content):
    head = b'Content-Disposition: form-data; name="' + name.encode() + b'"; filename="a.wav"\r\n'
    return head + b"Content-Type: audio/wav\r\n\r\n", content


def form(*parts):
    body = b"".join(b"--" + BOUNDARY + b"\r\n" + head + content + b"\r\n" for head, content in parts)
    return body + b"--" + BOUNDARY + b"--\r\n"


def split(body):
    parts = parse(body, BOUNDARY)
    return parts, text_fields(body, parts)


def files_of(body):
    return [body[part.start : part.end] for part in parse(body, BOUNDARY) if part.is_file]


FIELDS = st.builds(field, NAMES, TEXTS.filter(lambda text: is_free_of_boundary(text.encode())))
FORMS = st.lists(FIELDS | st.builds(file, NAMES, CONTENTS), max_size=6)


@given(parts=FORMS)
def test_a_form_that_nothing_was_changed_in_is_written_as_it_came(parts):
    body = form(*parts)
    found, fields = split(body)
    assert rebuild(body, BOUNDARY, found, fields) == body
    assert [body[part.start : part.end] for part in found] == [content for _, content in parts]


@given(
    parts=FORMS,
    changes=st.dictionaries(NAMES, TEXTS.filter(lambda text: is_free_of_boundary(text.encode())), max_size=3),
)
def test_changed_fields_are_read_back_and_files_are_the_same_bytes(parts, changes):
    body = form(*parts)
    found, fields = split(body)
    wanted = {**fields, **changes}
    again = rebuild(body, BOUNDARY, found, wanted)
    assert split(again)[1] == wanted
    assert files_of(again) == files_of(body)


@given(parts=FORMS, data=st.data())
def test_a_field_that_is_taken_out_is_gone(parts, data):
    body = form(*parts)
    found, fields = split(body)
    gone = data.draw(st.sampled_from([None, *fields]))
    fields.pop(gone, None)
    again = rebuild(body, BOUNDARY, found, fields)
    assert split(again)[1] == fields
    assert files_of(again) == files_of(body)


@given(
    values=st.lists(st.text("abc", max_size=4), min_size=2, max_size=4),
    more=st.lists(st.text("abc", max_size=4), min_size=2, max_size=5),
)
def test_a_field_given_several_times_is_a_list(values, more):
    body = form(*(field("n", value) for value in values))
    found, fields = split(body)
    assert fields == {"n": values}
    assert split(rebuild(body, BOUNDARY, found, {"n": more}))[1] == {"n": more}


def test_what_stands_before_and_behind_the_form_is_ignored():
    body = b"preamble\r\n" + form(field("model", "m")) + b"epilogue"
    found, fields = split(body)
    assert fields == {"model": "m"}
    assert rebuild(body, BOUNDARY, found, {"model": "n"}) == form(field("model", "n"))


def test_a_file_may_hold_what_looks_like_a_form():
    content = b'--b0undary\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
    assert split(form(file("file", b"x--b0undary\r\n\r\n"), field("model", "m")))[1] == {"model": "m"}
    with pytest.raises(ClientError):
        split(form(file("file", b"\r\n" + content)).replace(b"--\r\n", b""))


@given(body=st.binary(max_size=200))
def test_arbitrary_bytes_parse_or_are_the_clients_error(body):
    for candidate in (body, b"--b0undary\r\n" + body, b"--b0undary\r\n" + body + b"\r\n--b0undary--"):
        try:
            parts = parse(candidate, BOUNDARY)
        except ClientError:
            continue
        rebuild(candidate, BOUNDARY, parts, text_fields(candidate, parts))


@given(
    head=st.binary(max_size=80),
    tail=st.sampled_from([b"", b'; name="a"', b"; name*=utf-8''a", b"; name=a; filename"]),
)
def test_arbitrary_part_headers_parse_or_are_the_clients_error(head, tail):
    body = form((b"Content-Disposition: form-data" + tail + head + b"\r\n\r\n", b"x"))
    try:
        parts = parse(body, BOUNDARY)
    except ClientError:
        return
    fields = text_fields(body, parts)
    rebuild(body, BOUNDARY, parts, dict.fromkeys(fields, "new"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b0undary",
        b"--b0undary\r\n",
        b"--other\r\n",
        form(field("a", "b"))[:-4],
        form(field("a", "b")).replace(b"\r\n", b"\n"),
        form((b"\r\n", b"no header")),
        form((b"Content-Type: text/plain\r\n\r\n", b"no name")),
        form((b'Content-Disposition: form-data; name=""\r\n\r\n', b"")),
        form((b"X: " + b"x" * 20_000 + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n', b"")),
        form(*[field("a", "b")] * (MAX_PARTS + 1)),
    ],
)
def test_what_is_no_form_is_the_clients_error(body):
    with pytest.raises(ClientError):
        parse(body, BOUNDARY)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; boundary="a b:c"', b"a b:c"),
        ("multipart/form-data; charset=utf-8; BOUNDARY=abc", b"abc"),
    ],
)
def test_the_boundary_is_read_from_the_header(content_type, boundary):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type", ["", "multipart/form-data", "multipart/form-data; boundary=", "\udcff"]
)
def test_a_header_without_a_boundary_is_the_clients_error(content_type):
    with pytest.raises(ClientError):
        boundary_of(content_type)


@given(value=st.text(max_size=30))
def test_any_header_has_a_boundary_or_is_the_clients_error(value):
    for content_type in (
        value,
        f"multipart/form-data; boundary={value}",
        f"multipart/form-data; boundary*={value}",
    ):
        with contextlib.suppress(ClientError):
            assert boundary_of(content_type)


def test_a_large_file_is_copied_as_it_is():
    content = b"\x00\r\n-" * 2**20
    body = form(file("file", content), field("model", "m"))
    parts, fields = split(body)
    assert rebuild(body, BOUNDARY, parts, {**fields, "model": "n"}) == form(
        file("file", content), field("model", "n")
    )

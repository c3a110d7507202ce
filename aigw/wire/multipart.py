"""multipart/form-data as bytes: find the text fields, change some, leave every file byte alone.

Pure. A form is split once into parts that remember where they stand; writing it again copies the
untouched parts as they are, so a 25 MB recording is never decoded. Source: RFC 7578, RFC 2046 section 5.1.
"""

from __future__ import annotations

from email.message import Message
from email.parser import HeaderParser

from attrs import frozen

from aigw.errors import ClientError

MAX_PARTS = 1000
MAX_PART_HEADER_BYTES = 16 * 1024


@frozen
class Part:
    """One part. `start:end` is its content, `head_start` where its header block begins."""

    name: str
    is_file: bool
    head_start: int
    start: int
    end: int


def boundary_of(content_type: str) -> bytes:
    """Return the boundary named in a Content-Type header. Raises ClientError when there is none."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if not boundary:
        raise ClientError("multipart/form-data needs a boundary in its Content-Type header")
    return boundary.encode("ascii", "replace")


def parse(body: bytes, boundary: bytes) -> list[Part]:
    """Split a form into its parts. Raises ClientError on a body that is not a form, or never ends."""
    delimiter = b"--" + boundary
    if body.startswith(delimiter):
        at = len(delimiter)
    else:  # a preamble is allowed, and ignored
        at = body.find(b"\r\n" + delimiter)
        if at < 0:
            raise ClientError("the multipart body does not contain its boundary")
        at += len(delimiter) + 2
    parts: list[Part] = []
    while not body.startswith(b"--", at):
        head_start = body.find(b"\r\n", at)
        end = body.find(b"\r\n" + delimiter, at)
        if head_start < 0 or end < 0 or body[at:head_start].strip():
            raise ClientError("the multipart body breaks off before its closing boundary")
        if len(parts) == MAX_PARTS:
            raise ClientError(f"the multipart body has more than {MAX_PARTS} parts")
        parts.append(_part(body, head_start + 2, end))
        at = end + 2 + len(delimiter)
    return parts


def _part(body: bytes, head_start: int, end: int) -> Part:
    head_end = body.find(b"\r\n\r\n", head_start - 2, end)
    if head_end < 0 or head_end - head_start > MAX_PART_HEADER_BYTES:
        raise ClientError("a multipart part has no header block, or one that is too long")
    # Browsers and SDKs write names in UTF-8; the parser for bytes would make surrogates of them.
    head = HeaderParser().parsestr(body[head_start:head_end].decode("utf-8", "replace"))
    name = head.get_param("name", header="content-disposition")
    if not isinstance(name, str) or not name:
        raise ClientError("a multipart part has no name in its Content-Disposition header")
    is_file = head.get_param("filename", header="content-disposition") is not None
    return Part(name, is_file, head_start, head_end + 4, end)


def text_fields(body: bytes, parts: list[Part]) -> dict[str, str | list[str]]:
    """Return the fields that are no files, by name; a name given several times maps to a list."""
    fields: dict[str, str | list[str]] = {}
    for part in parts:
        if part.is_file:
            continue
        value = body[part.start : part.end].decode("utf-8", "replace")
        known = fields.get(part.name)
        if known is None:
            fields[part.name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            fields[part.name] = [known, value]
    return fields


def rebuild(body: bytes, boundary: bytes, parts: list[Part], fields: dict[str, str | list[str]]) -> bytes:
    """Write the form again with these text fields in place of its own; files are copied as they are."""
    before = text_fields(body, parts)
    left = {name: _values(value) for name, value in fields.items()}
    delimiter = b"--" + boundary + b"\r\n"
    out: list[bytes] = []
    for part in parts:
        if part.is_file or (part.name in left and fields[part.name] == before[part.name]):
            out += (delimiter, body[part.head_start : part.end], b"\r\n")
        elif left.get(part.name):
            value = left[part.name].pop(0)
            out += (delimiter, body[part.head_start : part.start], value.encode(), b"\r\n")
    for name, values in left.items():
        if fields[name] != before.get(name):
            out += [_new_part(delimiter, name, value) for value in values]
    out.append(b"--" + boundary + b"--\r\n")
    return b"".join(out)


def _values(value: str | list[str]) -> list[str]:
    return list(value) if isinstance(value, list) else [value]


def _new_part(delimiter: bytes, name: str, value: str) -> bytes:
    quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'Content-Disposition: form-data; name="{quoted}"\r\n\r\n'
    return delimiter + head.encode() + value.encode() + b"\r\n"

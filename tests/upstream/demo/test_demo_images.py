"""Images: real pictures of a small size, made, edited and streamed."""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode

import orjson
import pytest
from openai.types import (
    ImagesResponse,
    image_edit_stream_event,
    image_gen_stream_event,
)
from pydantic import TypeAdapter
from support.demo import NOW, ask, ask_events, ask_form, ask_json, form

from aigw.wire.sse import split_frames


def read_png(data):
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + content)
        chunks[kind] = content
        at += 12 + size
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)
    assert chunks[b"IEND"] == b""
    return width, height


@pytest.mark.parametrize(
    ("size", "drawn"), [(None, (64, 64)), ("auto", (64, 64)), ("1024x1024", (64, 64)), ("8x1", (8, 1))]
)
async def test_images_are_real_pictures_of_a_small_size(size, drawn):
    tree = await ask_json("/v1/images/generations", {"model": "i", "prompt": "a cat", "n": 2, "size": size})
    whole = ImagesResponse.model_validate(tree)
    one, two = [b64decode(row.b64_json) for row in whole.data]
    assert read_png(one) == read_png(two) == drawn
    assert one != two
    assert "demo" in whole.data[0].revised_prompt
    assert whole.created == NOW


async def test_images_come_as_data_urls_too():
    tree = await ask_json("/v1/images/generations", {"prompt": "a cat", "response_format": "url"})
    head, _, data = tree["data"][0]["url"].partition(",")
    assert head == "data:image/png;base64"
    read_png(b64decode(data))


async def test_edits_and_variations_want_a_picture():
    tree = await ask_form("/v1/images/edits", {"image[]": b"png"}, prompt="bluer", n="2")
    assert len(ImagesResponse.model_validate(tree).data) == 2
    one = await ask_form("/v1/images/variations", {"image": b"png"})
    other = await ask_form("/v1/images/variations", {"image": b"other"})
    assert one["data"] != other["data"]
    tree = await ask_form("/v1/images/edits", {}, prompt="bluer", status=400)
    assert tree["error"]["param"] == "image"


async def test_images_stream_partial_pictures_and_a_final_one():
    body = {"prompt": "a cat", "partial_images": 2}
    events = await ask_events("/v1/images/generations", body)
    for event in events:
        TypeAdapter(image_gen_stream_event.ImageGenStreamEvent).validate_python(event)
    assert [event["type"].partition(".")[2] for event in events] == ["partial_image"] * 2 + ["completed"]
    headers = {"Content-Type": "multipart/form-data; boundary=xx"}
    answer = await ask("/v1/images/edits", form({"image": b"png"}, prompt="x", stream="true"), **headers)
    (frame,) = split_frames(await answer.read())
    TypeAdapter(image_edit_stream_event.ImageEditStreamEvent).validate_python(orjson.loads(frame.data))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prompt": ""},
        {"prompt": "x", "size": "huge"},
        {"prompt": "x", "n": 11},
        {"prompt": "x", "output_format": "webp"},
    ],
)
async def test_bad_images_requests_are_refused(body):
    await ask_json("/v1/images/generations", body, status=400)

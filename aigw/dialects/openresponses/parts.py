"""Content parts, read and written: `input_*` of what is sent, `output_*` of what is answered.

The role of the message decides the words a text is written with, not the words it came in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, list_of, object_of, put, text_of, text_or_none
from aigw.dialects.openai_chat.parts import media_from_url, url_of
from aigw.dialects.openresponses.annotations import decode_annotations, encode_annotation
from aigw.dialects.openresponses.fields import NAME, keep, restore
from aigw.errors import ClientError, ErrorKind
from aigw.model import (
    AudioPart,
    FilePart,
    ForeignPart,
    ImagePart,
    JsonObject,
    Media,
    Part,
    RefusalPart,
    TextPart,
    VideoPart,
)

_TEXT = frozenset(("type", "text", "annotations", "logprobs"))
_REFUSAL = frozenset(("type", "refusal"))
_IMAGE = frozenset(("type", "image_url", "file_id", "detail"))
_FILE = frozenset(("type", "file_data", "file_url", "file_id", "filename"))
_AUDIO = frozenset(("type", "input_audio"))
_SPOKEN = frozenset(("type", "data", "transcript", "id", "expires_at"))
_VIDEO = frozenset(("type", "video_url"))
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}


def decode_content(content: Any, path: str) -> tuple[Part, ...]:
    """Read `content` or `output`: absent, a string, or a list of parts. Raises ClientError otherwise."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(content),)
    if not isinstance(content, list):
        raise ClientError(
            f"{path}: expected a string or a list of parts, got {type(content).__name__}", param=path
        )
    return tuple(decode_part(part, f"{path}[{number}]") for number, part in enumerate(content))


def decode_part(tree: Any, path: str) -> Part:
    """Read one part; a type nobody knows is kept as it is."""
    if not isinstance(tree, dict):
        raise ClientError(f"{path}: expected an object, got {type(tree).__name__}", param=path)
    decode = _DECODE.get(str(tree.get("type")))
    return ForeignPart(NAME, tree) if decode is None else decode(tree, path)


def _text(tree: Tree, path: str) -> Part:
    text = tree.get("text")
    if not isinstance(text, str):
        raise ClientError(
            f"{path}.text: expected a string, got {type(text).__name__}",
            kind=ErrorKind.MISSING_FIELD if text is None else None,
            param=f"{path}.text",
        )
    return TextPart(
        text,
        decode_annotations(tree.get("annotations")),
        decode_logprobs(tree.get("logprobs")),
        extras=keep(tree, _TEXT),
    )


def _refusal(tree: Tree, _path: str) -> Part:
    return RefusalPart(text_of(tree.get("refusal")), extras=keep(tree, _REFUSAL))


def _image(tree: Tree, path: str) -> Part:
    url, file_id = text_or_none(tree.get("image_url")), text_or_none(tree.get("file_id"))
    if url is None and file_id is None:
        raise ClientError(f"{path}.image_url: expected a string", param=f"{path}.image_url")
    media = media_from_url(url) if url is not None else Media(file_id=file_id)
    return ImagePart(media, text_or_none(tree.get("detail")), keep(tree, _IMAGE))


def _file(tree: Tree, _path: str) -> Part:
    data, url = text_or_none(tree.get("file_data")), text_or_none(tree.get("file_url"))
    if data is not None:
        media = media_from_url(data) if data.startswith("data:") else Media(data=data)
    elif url is not None:
        media = Media(url=url)
    else:
        media = Media(file_id=text_or_none(tree.get("file_id")))
    return FilePart(media, text_or_none(tree.get("filename")), extras=keep(tree, _FILE))


def _audio(tree: Tree, path: str) -> Part:
    inner = object_of(tree.get("input_audio"))
    if not isinstance(inner.get("data"), str):
        raise ClientError(f"{path}.input_audio.data: expected a string", param=f"{path}.input_audio.data")
    media = Media(data=inner["data"], media_type="audio/" + (text_of(inner.get("format")) or "wav"))
    return AudioPart(media, extras=keep(tree, _AUDIO))


def _spoken(tree: Tree, _path: str) -> Part:
    return AudioPart(
        Media(data=text_or_none(tree.get("data"))),
        text_or_none(tree.get("transcript")),
        text_or_none(tree.get("id")),
        int_or_none(tree.get("expires_at")),
        keep(tree, _SPOKEN),
    )


def _video(tree: Tree, path: str) -> Part:
    url = tree.get("video_url")
    if not isinstance(url, str):
        raise ClientError(f"{path}.video_url: expected a string", param=f"{path}.video_url")
    return VideoPart(media_from_url(url), keep(tree, _VIDEO))


_DECODE: dict[str, Callable[[Tree, str], Part]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "output_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "output_audio": _spoken,
    "input_video": _video,
}


def decode_logprobs(value: Any) -> tuple[JsonObject, ...]:
    """Read token probabilities."""
    return tuple(tree for tree in list_of(value) if isinstance(tree, dict))


def encode_logprobs(logprobs: tuple[JsonObject, ...]) -> list[Tree]:
    """Write token probabilities with every field the specification wants; chat may leave some out."""
    return [
        {
            **tree,
            "bytes": list_of(tree.get("bytes")),
            "top_logprobs": [
                {**top, "bytes": list_of(top.get("bytes"))}
                for top in decode_logprobs(tree.get("top_logprobs"))
            ],
        }
        for tree in logprobs
    ]


def encode_input(part: Part) -> Tree | None:  # noqa: PLR0911 - one return a kind
    """Write one part of what a model reads; None when this format cannot hold it."""
    extras = {} if isinstance(part, ForeignPart) else restore(part.extras)
    match part:
        case TextPart():
            return {"type": "input_text", "text": part.text, **extras}
        case RefusalPart():
            return {"type": "input_text", "text": part.text}
        case ImagePart():
            if not url_of(part.media) and not part.media.file_id:
                return None
            # Not an optional field here; typed servers refuse an image without it.
            return {"detail": "auto", **_encode_image(part), **extras}
        case FilePart():
            tree = _encode_file(part)
            return tree | extras if tree else None
        case AudioPart():
            return _encode_audio(part) | extras if part.media.data is not None else None
        case VideoPart():
            url = url_of(part.media)
            return {"type": "input_video", "video_url": url, **extras} if url else None
        case ForeignPart():
            return part.tree if part.origin == NAME else None


def _encode_image(part: ImagePart) -> Tree:
    tree: Tree = {"type": "input_image"}
    put(tree, "image_url", url_of(part.media))
    put(tree, "file_id", part.media.file_id)
    put(tree, "detail", part.detail)
    return tree


def _encode_file(part: FilePart) -> Tree | None:
    tree: Tree = {"type": "input_file"}
    media = part.media
    if media.file_id is not None:
        tree["file_id"] = media.file_id
    elif media.data is not None:
        tree["file_data"] = media.data if media.media_type is None else url_of(media)
    elif media.url is not None:
        # Chat knows one field for both.
        tree["file_data" if media.url.startswith("data:") else "file_url"] = media.url
    put(tree, "filename", part.filename)
    return tree if len(tree) > 1 else None


def _encode_audio(part: AudioPart) -> Tree:
    subtype = (part.media.media_type or "audio/wav").partition("/")[2]
    inner = {"data": part.media.data, "format": _AUDIO_FORMATS.get(subtype, subtype)}
    return {"type": "input_audio", "input_audio": inner}


def encode_text(part: TextPart) -> Tree:
    """Write an output text, with the fields every reader expects."""
    return {
        "type": "output_text",
        "text": part.text,
        "annotations": [encode_annotation(annotation) for annotation in part.annotations],
        "logprobs": encode_logprobs(part.logprobs),
        **restore(part.extras),
    }


def encode_output(part: Part) -> Tree | None:
    """Write one part of an answer; None when this format cannot hold it.

    The specification leaves room for kinds of output beyond text; `output_image` is its own example.
    """
    match part:
        case TextPart():
            return encode_text(part)
        case RefusalPart():
            return {"type": "refusal", "refusal": part.text, **restore(part.extras)}
        case ImagePart():
            return {**_encode_image(part), "type": "output_image", **restore(part.extras)}
        case AudioPart():
            tree: Tree = {
                "type": "output_audio",
                "data": part.media.data or "",
                "transcript": part.transcript or "",
            }
            put(tree, "id", part.id)
            put(tree, "expires_at", part.expires_at)
            return tree | restore(part.extras)
        case ForeignPart():
            return part.tree if part.origin == NAME else None
        case _:
            return None

"""Content parts of a chat message, read and written.

Media types and data URLs are this format's business alone: `Media` keeps base64 and type apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import object_of, text_of, text_or_none
from aigw.dialects.openai_chat.fields import NAME, keep, restore
from aigw.errors import ClientError, ErrorKind
from aigw.model import (
    AudioPart,
    FilePart,
    ForeignPart,
    ImagePart,
    Media,
    Part,
    RefusalPart,
    TextPart,
    VideoPart,
)

_TEXT = frozenset(("type", "text"))
_REFUSAL = frozenset(("type", "refusal"))
_IMAGE = frozenset(("type", "image_url"))
_IMAGE_URL = frozenset(("url", "detail"))
_AUDIO = frozenset(("type", "input_audio"))
_VIDEO = frozenset(("type", "video_url"))
_FILE = frozenset(("type", "file"))
_FILE_FIELDS = frozenset(("file_data", "file_id", "filename"))
_INNER = "@inner/"


def decode_content(content: Any, path: str) -> tuple[Part, ...]:
    """Read a message's `content`: absent, a string, or a list of parts. Raises ClientError otherwise."""
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
    if isinstance(tree, str):
        return TextPart(tree)
    if not isinstance(tree, dict):
        raise ClientError(f"{path}: expected an object, got {type(tree).__name__}", param=path)
    decode = _DECODE.get(str(tree.get("type")))
    if decode is not None:
        return decode(tree, path)
    return ForeignPart(NAME, tree)


def _text(tree: Tree, path: str) -> Part:
    text = tree.get("text")
    if not isinstance(text, str):
        raise ClientError(
            f"{path}.text: expected a string, got {type(text).__name__}",
            kind=ErrorKind.MISSING_FIELD if text is None else None,
            param=f"{path}.text",
        )
    return TextPart(text, extras=keep(tree, _TEXT))


def _refusal(tree: Tree, _path: str) -> Part:
    return RefusalPart(text_of(tree.get("refusal")), extras=keep(tree, _REFUSAL))


def _image(tree: Tree, path: str) -> Part:
    inner = tree.get("image_url")
    if isinstance(inner, str):  # Mistral also takes the bare URL
        inner = {"url": inner}
    if not isinstance(inner, dict) or not isinstance(inner.get("url"), str):
        raise ClientError(f"{path}.image_url.url: expected a string", param=f"{path}.image_url.url")
    extras = keep(tree, _IMAGE) | keep(inner, _IMAGE_URL, _INNER)
    return ImagePart(media_from_url(inner["url"]), text_or_none(inner.get("detail")), extras)


def _audio(tree: Tree, path: str) -> Part:
    inner = object_of(tree.get("input_audio"))
    if not isinstance(inner.get("data"), str):
        raise ClientError(f"{path}.input_audio.data: expected a string", param=f"{path}.input_audio.data")
    media = Media(data=inner["data"], media_type="audio/" + (text_of(inner.get("format")) or "wav"))
    return AudioPart(media, extras=keep(tree, _AUDIO))


def _video(tree: Tree, path: str) -> Part:
    inner = tree.get("video_url")
    url = inner.get("url") if isinstance(inner, dict) else inner
    if not isinstance(url, str):
        raise ClientError(f"{path}.video_url.url: expected a string", param=f"{path}.video_url.url")
    return VideoPart(media_from_url(url), keep(tree, _VIDEO))


def _file(tree: Tree, _path: str) -> Part:
    inner = object_of(tree.get("file"))
    data = text_or_none(inner.get("file_data"))
    media = media_from_url(data) if data else Media(file_id=text_or_none(inner.get("file_id")))
    extras = keep(tree, _FILE) | keep(inner, _FILE_FIELDS, _INNER)
    return FilePart(media, text_or_none(inner.get("filename")), extras=extras)


_DECODE: dict[str, Callable[[Tree, str], Part]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "video_url": _video,
    "file": _file,
}


def media_from_url(url: str) -> Media:
    """Take a data URL apart; any other URL stays one."""
    if url.startswith("data:"):
        head, comma, data = url.partition(",")
        media_type, marker, rest = head[5:].partition(";")
        if comma and marker and rest == "base64" and media_type:
            return Media(data=data, media_type=media_type)
    return Media(url=url)


def url_of(media: Media) -> str | None:
    """Write media as one URL; None when only a file id is known."""
    if media.data is not None:
        return f"data:{media.media_type or 'application/octet-stream'};base64,{media.data}"
    return media.url


def encode_part(part: Part) -> Tree | None:  # noqa: PLR0911 - one return a kind
    """Write one part; None when this format cannot hold it."""
    match part:
        case TextPart():
            return {"type": "text", "text": part.text, **restore(part.extras)}
        case RefusalPart():
            return {"type": "refusal", "refusal": part.text, **restore(part.extras)}
        case ImagePart():
            return _encode_image(part)
        case AudioPart():
            return _encode_audio(part)
        case VideoPart():
            url = url_of(part.media)
            return {"type": "video_url", "video_url": {"url": url}, **restore(part.extras)} if url else None
        case FilePart():
            return _encode_file(part)
        case ForeignPart():
            return part.tree if part.origin == NAME else None


def _encode_image(part: ImagePart) -> Tree | None:
    url = url_of(part.media)
    if url is None:
        return None
    inner: Tree = {"url": url}
    if part.detail is not None:
        inner["detail"] = part.detail
    return {"type": "image_url", "image_url": inner | restore(part.extras, _INNER), **restore(part.extras)}


_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}


def _encode_audio(part: AudioPart) -> Tree | None:
    if part.media.data is None:
        return None
    subtype = (part.media.media_type or "audio/wav").partition("/")[2]
    inner = {"data": part.media.data, "format": _AUDIO_FORMATS.get(subtype, subtype)}
    return {"type": "input_audio", "input_audio": inner, **restore(part.extras)}


def _encode_file(part: FilePart) -> Tree | None:
    inner: Tree = {}
    if part.media.file_id is not None:
        inner["file_id"] = part.media.file_id
    elif url := url_of(part.media):
        inner["file_data"] = url
    if part.filename is not None:
        inner["filename"] = part.filename
    inner |= restore(part.extras, _INNER)
    return {"type": "file", "file": inner, **restore(part.extras)} if inner else None

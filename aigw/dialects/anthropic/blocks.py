"""Content blocks that are parts of a message or of a tool's output: text, pictures, documents.

Where bytes come from (`source`) is this format's business alone; `Media` keeps base64 and type apart.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from aigw.dialects.anthropic.citations import decode_citations, own_citations
from aigw.dialects.anthropic.fields import NAME, keep, restore
from aigw.dialects.base import Tree
from aigw.dialects.fields import object_of, put, text_of, text_or_none
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

_TEXT = frozenset(("type", "text", "citations"))
_IMAGE = frozenset(("type", "source"))
_DOCUMENT = frozenset(("type", "source", "title", "context"))
_PDF = "application/pdf"


def decode_content(content: Any, path: str) -> tuple[Part, ...]:
    """Read `content`: absent, a string, or a list of blocks. Raises ClientError otherwise."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(decode_block(block, f"{path}[{n}]") for n, block in enumerate(blocks_of(content, path)))


def blocks_of(content: Any, path: str) -> list[Tree]:
    """Return a list of blocks as such. Raises ClientError on anything else."""
    if not isinstance(content, list):
        raise ClientError(
            f"{path}: expected a string or a list of blocks, got {type(content).__name__}", param=path
        )
    for number, block in enumerate(content):
        if not isinstance(block, dict):
            place = f"{path}[{number}]"
            raise ClientError(f"{place}: expected an object, got {type(block).__name__}", param=place)
    return content


def decode_block(tree: Tree, path: str) -> Part:
    """Read one block; a type nobody knows is kept as it is."""
    decode = _DECODE.get(str(tree.get("type")))
    part = None if decode is None else decode(tree, path)
    return ForeignPart(NAME, tree) if part is None else part


def _text(tree: Tree, path: str) -> Part:
    text = tree.get("text")
    if not isinstance(text, str):
        raise ClientError(
            f"{path}.text: expected a string, got {type(text).__name__}",
            kind=ErrorKind.MISSING_FIELD if text is None else None,
            param=f"{path}.text",
        )
    return TextPart(text, decode_citations(tree.get("citations")), extras=keep(tree, _TEXT))


def _image(tree: Tree, _path: str) -> Part | None:
    media = _decode_source(object_of(tree.get("source")))
    return None if media is None else ImagePart(media, extras=keep(tree, _IMAGE))


def _document(tree: Tree, _path: str) -> Part | None:
    media = _decode_source(object_of(tree.get("source")))
    if media is None:  # blocks inside a document are this format's alone
        return None
    return FilePart(
        media,
        title=text_or_none(tree.get("title")),
        context=text_or_none(tree.get("context")),
        extras=keep(tree, _DOCUMENT),
    )


_DECODE: dict[str, Callable[[Tree, str], Part | None]] = {
    "text": _text,
    "image": _image,
    "document": _document,
}


def _decode_source(source: Tree) -> Media | None:
    match source:
        case {"type": "base64", "data": str(data)}:
            return Media(data=data, media_type=text_or_none(source.get("media_type")))
        case {"type": "url", "url": str(url)}:
            return Media(url=url)
        case {"type": "file", "file_id": str(file_id)}:
            return Media(file_id=file_id)
        case {"type": "text", "data": str(text)}:
            data = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
            return Media(data=data, media_type=text_of(source.get("media_type")) or "text/plain")
    return None


def encode_parts(parts: tuple[Part, ...], path: str, dropped: list[str]) -> list[Tree]:
    """Write parts as blocks for a provider; what this format cannot hold is named in `dropped`."""
    blocks: list[Tree] = []
    for number, part in enumerate(parts):
        place = f"{path}.parts[{number}]"
        if isinstance(part, TextPart | RefusalPart) and not part.text:
            continue  # this format refuses empty texts
        block = _encode(part, place, dropped)
        if block is None:
            dropped.append(place)
        else:
            blocks.append(block)
    return blocks


def _encode(part: Part, path: str, dropped: list[str]) -> Tree | None:
    match part:
        case TextPart():
            return _encode_text(part, path, dropped)
        case RefusalPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return _encode_image(part, path, dropped)
        case FilePart():
            return encode_document(part)
        case ForeignPart():
            return part.tree if part.origin == NAME else None
        case AudioPart() | VideoPart():
            return None


def _encode_text(part: TextPart, path: str, dropped: list[str]) -> Tree:
    tree: Tree = {"type": "text", "text": part.text}
    citations = own_citations(part, path, dropped)
    if citations:
        tree["citations"] = citations
    if part.signature is not None:
        dropped.append(f"{path}.signature")
    return tree | restore(part.extras)


def _encode_image(part: ImagePart, path: str, dropped: list[str]) -> Tree | None:
    tree = encode_image(part)
    if tree is not None and part.detail not in {None, "auto"}:
        dropped.append(f"{path}.detail")
    return tree


def encode_image(part: ImagePart) -> Tree | None:
    """Write a picture; None when its bytes are nowhere."""
    source = _encode_source(part.media, "image/png")
    return None if source is None else {"type": "image", "source": source, **restore(part.extras)}


def encode_document(part: FilePart) -> Tree | None:
    """Write a document; None for a kind this format does not take."""
    media = part.media
    if media.data is not None and media.media_type not in {None, _PDF}:
        source = _text_source(media)
    else:
        source = _encode_source(media, _PDF)
    if source is None:
        return None
    tree: Tree = {"type": "document", "source": source}
    put(tree, "title", part.title or part.filename)
    put(tree, "context", part.context)
    return tree | restore(part.extras)


def _encode_source(media: Media, default_type: str) -> Tree | None:
    if media.data is not None:
        return {"type": "base64", "media_type": media.media_type or default_type, "data": media.data}
    if media.url is not None:
        return {"type": "url", "url": media.url}
    return None if media.file_id is None else {"type": "file", "file_id": media.file_id}


def _text_source(media: Media) -> Tree | None:
    if not (media.media_type or "").startswith("text/"):
        return None
    try:
        text = base64.b64decode(media.data or "").decode()
    except (binascii.Error, ValueError):
        return None
    # The one type the API takes, whatever dialect of text it is.
    return {"type": "text", "media_type": "text/plain", "data": text}

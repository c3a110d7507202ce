"""Parts that say or show something: text, media, and what only Gemini has.

Calls and their answers are `calls`' business. Gemini tells media apart by MIME type alone.
"""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import text_of, text_or_none
from aigw.dialects.gemini.fields import NAME, camel, keep, object_at, restore
from aigw.dialects.gemini.signatures import Sign, SignatureKind, standard_base64
from aigw.model import (
    AudioPart,
    Extras,
    FilePart,
    ForeignPart,
    ImagePart,
    Media,
    Part,
    RefusalPart,
    TextPart,
    VideoPart,
)

_TEXT = frozenset(("text", "thoughtSignature"))
_MEDIA = frozenset(("inlineData", "fileData"))
_BLOB = frozenset(("mimeType", "data", "displayName", "fileUri"))
_INNER = "@inner/"
# The pictures of one's own thinking would pass for the answer elsewhere.
_THOUGHT = "thought"
DEFAULT_AUDIO = "audio/pcm"


def decode_text(tree: Tree, signature: str | None) -> TextPart:
    """Read a part with text; signature: as it was sealed, or came back from a client."""
    return TextPart(text_of(tree.get("text")), signature=signature, extras=keep(tree, _TEXT))


def decode_part(tree: Tree) -> Part:
    """Read a part, its keys in camelCase, that is neither text nor call; an unknown kind is kept."""
    if tree.get(_THOUGHT) is True:
        return ForeignPart(NAME, tree)
    if "inlineData" in tree:
        blob = object_at(tree, "inlineData")
        data = standard_base64(text_of(blob.get("data")))
        media = Media(data=data, media_type=text_or_none(blob.get("mimeType")))
        return _media_part(tree, blob, media)
    if "fileData" in tree:
        blob = object_at(tree, "fileData")
        media = Media(url=text_of(blob.get("fileUri")), media_type=text_or_none(blob.get("mimeType")))
        return _media_part(tree, blob, media)
    return ForeignPart(NAME, tree)


def _media_part(tree: Tree, blob: Tree, media: Media) -> Part:
    # A picture may be signed; no field of the vocabulary's parts holds that, so extras do.
    extras = keep(tree, _MEDIA) | keep(blob, _BLOB, _INNER)
    name = text_or_none(blob.get("displayName"))
    kind = (media.media_type or "").partition("/")[0]
    if kind in {"image", "audio", "video"} and name is not None:
        extras[f"{NAME}:{_INNER}displayName"] = name
    match kind:
        case "image":
            return ImagePart(media, extras=extras)
        case "audio":
            return AudioPart(media, extras=extras)
        case "video":
            return VideoPart(media, extras=extras)
    return FilePart(media, name, extras=extras)


def encode_part(part: Part, sign: Sign, path: str) -> Tree | None:  # noqa: PLR0911 - one return a kind
    """Write one part; None when this format cannot hold it."""
    match part:
        case TextPart():
            tree: Tree = {"text": part.text}
            put_signature(tree, part.signature, "signature", sign, path)
            return tree | restore(part.extras)
        case RefusalPart():
            return {"text": part.text}
        case ForeignPart():
            return part.tree if part.origin == NAME else None
        case AudioPart() if not (part.media.data or part.media.url):
            return {"text": part.transcript} if part.transcript else None
        case AudioPart():
            return _encode_media(part.media, part.extras, DEFAULT_AUDIO)
        case ImagePart():
            return _encode_media(part.media, part.extras, "image/png" if part.media.data else None)
        case VideoPart():
            return _encode_media(part.media, part.extras, "video/mp4")
        case FilePart():
            tree_or_none = _encode_media(part.media, part.extras, _guess(part.filename))
            return _named(tree_or_none, part.filename)


def put_signature(tree: Tree, value: str | None, kind: SignatureKind, sign: Sign, path: str) -> None:
    """Add a signature to a part, if there is one this reader may have."""
    if value is not None and (written := sign(value, kind, path)) is not None:
        tree["thoughtSignature"] = written


def _encode_media(media: Media, extras: Extras, default_type: str | None) -> Tree | None:
    media_type = media.media_type or default_type
    blob: Tree = {} if media_type is None else {"mimeType": media_type}
    blob |= restore(extras, _INNER)
    if media.data is not None:
        return {"inlineData": blob | {"data": media.data}, **restore(extras)}
    uri = media.url or media.file_id
    if uri is None:
        return None
    return {"fileData": blob | {"fileUri": uri}, **restore(extras)}


def _named(tree: Tree | None, filename: str | None) -> Tree | None:
    if tree is not None and filename is not None and "inlineData" in tree:
        tree["inlineData"]["displayName"] = filename
    return tree


def _guess(filename: str | None) -> str:
    # Gemini reads documents as PDF, and as plain text in any tongue.
    return "text/plain" if filename and not filename.lower().endswith(".pdf") else "application/pdf"


def parts_of(content: Any) -> list[Tree]:
    """Return the parts of a content, their keys in camelCase; what is no object is left out."""
    parts = content.get("parts") if isinstance(content, dict) else None
    if isinstance(parts, dict):
        parts = [parts]
    if not isinstance(parts, list):
        return []
    return [camel(part) if isinstance(part, dict) else {"text": text_of(part)} for part in parts]

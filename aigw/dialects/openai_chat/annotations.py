"""Citations of a chat message: `annotations`, of which OpenAI knows url_citation alone."""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, list_of, object_of, text_or_none
from aigw.dialects.openai_chat.fields import NAME, keep, restore
from aigw.model import Annotation

_KNOWN = frozenset(("type", "url_citation"))
_CITATION = frozenset(("start_index", "end_index", "url", "title", "content"))
_INNER = "@inner/"
_RAW = f"{NAME}:@annotation"


def decode_annotations(value: Any) -> tuple[Annotation, ...]:
    """Read a list of annotations; a kind nobody knows is kept as it is."""
    return tuple(_decode(element) for element in list_of(value) if isinstance(element, dict))


def _decode(tree: Tree) -> Annotation:
    kind = str(tree.get("type"))
    inner = tree.get("url_citation")
    if kind != "url_citation" or not isinstance(inner, dict):
        return Annotation(kind, extras={_RAW: tree})
    return Annotation(
        kind,
        start_index=int_or_none(inner.get("start_index")),
        end_index=int_or_none(inner.get("end_index")),
        url=text_or_none(inner.get("url")),
        title=text_or_none(inner.get("title")),
        quoted_text=text_or_none(inner.get("content")),
        extras=keep(tree, _KNOWN) | keep(object_of(inner), _CITATION, _INNER),
    )


def encode_annotation(annotation: Annotation) -> Tree:
    """Write one annotation, as a URL citation whatever it was: OpenAI's clients know no other."""
    raw = annotation.extras.get(_RAW)
    if isinstance(raw, dict):
        return raw
    inner: Tree = {
        "start_index": annotation.start_index or 0,
        "end_index": annotation.end_index or 0,
        "url": annotation.url or "",
        "title": annotation.title or annotation.filename or "",
    }
    if annotation.quoted_text is not None:
        inner["content"] = annotation.quoted_text
    inner |= restore(annotation.extras, _INNER)
    return {"type": "url_citation", "url_citation": inner, **restore(annotation.extras)}

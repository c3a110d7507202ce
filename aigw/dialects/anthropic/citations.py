"""Citations of a text block, and annotations.

A citation belongs to its whole block, so that an annotation made of one has no place in the text. It is
kept as it came, for only so will the provider take it back.
"""

from __future__ import annotations

from typing import Any

from aigw.dialects.anthropic.fields import NAME
from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, text_or_none
from aigw.model import Annotation, TextPart

_RAW = f"{NAME}:@citation"
_WEB = "web_search_result_location"


def decode_citations(value: Any) -> tuple[Annotation, ...]:
    """Read a list of citations; a kind nobody knows is kept as it is."""
    return tuple(decode_citation(element) for element in list_of(value) if isinstance(element, dict))


def decode_citation(tree: Tree) -> Annotation:
    """Read one citation."""
    kind = str(tree.get("type"))
    source = text_or_none(tree.get("source"))
    is_url = source is not None and source.startswith(("http://", "https://"))
    return Annotation(
        "url_citation" if kind == _WEB else kind,
        url=text_or_none(tree.get("url")) or (source if is_url else None),
        title=text_or_none(tree.get("title")) or text_or_none(tree.get("document_title")),
        file_id=text_or_none(tree.get("file_id")),
        filename=text_or_none(tree.get("document_title")),
        quoted_text=text_or_none(tree.get("cited_text")),
        extras={_RAW: tree},
    )


def encode_citation(annotation: Annotation, text: str = "") -> Tree | None:
    """Write one citation for a client; None for one this format's clients would not know.

    text: what the annotation points into, as far as it is known.
    """
    raw = annotation.extras.get(_RAW)
    if isinstance(raw, dict):
        return raw
    if annotation.url is None:
        return None
    quoted = annotation.quoted_text
    if quoted is None and annotation.start_index is not None and annotation.end_index is not None:
        quoted = text[annotation.start_index : annotation.end_index]
    return {
        "type": _WEB,
        "cited_text": quoted or "",
        "encrypted_index": "",
        "title": annotation.title,
        "url": annotation.url,
    }


def encode_citations(part: TextPart) -> list[Tree]:
    """Write the citations of one text for a client."""
    found = [encode_citation(annotation, part.text) for annotation in part.annotations]
    return [tree for tree in found if tree is not None]


def own_citations(part: TextPart, path: str, dropped: list[str]) -> list[Tree]:
    """Write the citations a provider will take back: its own, for it checks their proof."""
    own: list[Tree] = []
    for number, annotation in enumerate(part.annotations):
        raw = annotation.extras.get(_RAW)
        if isinstance(raw, dict) and raw.get("encrypted_index") != "":
            own.append(raw)
        else:
            dropped.append(f"{path}.annotations[{number}]")
    return own

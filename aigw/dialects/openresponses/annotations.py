"""Citations of an output text: flat objects, one shape a kind."""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, list_of, text_of, text_or_none
from aigw.dialects.openresponses.fields import keep, restore
from aigw.model import Annotation

_FIELDS = frozenset(("type", "start_index", "end_index", "url", "title", "file_id", "filename"))
_OWN = frozenset(("url_citation", "file_citation", "container_file_citation", "file_path"))


def decode_annotations(value: Any) -> tuple[Annotation, ...]:
    """Read a list of annotations."""
    return tuple(decode_annotation(tree) for tree in list_of(value) if isinstance(tree, dict))


def decode_annotation(tree: Tree) -> Annotation:
    """Read one annotation; fields of kinds nobody knows are kept."""
    return Annotation(
        text_of(tree.get("type")) or "url_citation",
        start_index=int_or_none(tree.get("start_index")),
        end_index=int_or_none(tree.get("end_index")),
        url=text_or_none(tree.get("url")),
        title=text_or_none(tree.get("title")),
        file_id=text_or_none(tree.get("file_id")),
        filename=text_or_none(tree.get("filename")),
        extras=keep(tree, _FIELDS),
    )


def encode_annotation(annotation: Annotation) -> Tree:
    """Write one annotation with all the fields its kind must have; a foreign kind as the nearest one."""
    extras = restore(annotation.extras)
    if annotation.kind not in _OWN and not extras:
        by_file = annotation.url is None and annotation.file_id is not None
        return _file_citation(annotation) if by_file else _url_citation(annotation)
    match annotation.kind:
        case "url_citation":
            return _url_citation(annotation) | extras
        case "file_citation":
            return _file_citation(annotation) | extras
    fields = ("start_index", "end_index", "url", "title", "file_id", "filename")
    told = {field: getattr(annotation, field) for field in fields if getattr(annotation, field) is not None}
    return {"type": annotation.kind, **told, **extras}


def _url_citation(annotation: Annotation) -> Tree:
    return {
        "type": "url_citation",
        "start_index": annotation.start_index or 0,
        "end_index": annotation.end_index or 0,
        "url": annotation.url or "",
        "title": annotation.title or annotation.filename or "",
    }


def _file_citation(annotation: Annotation) -> Tree:
    return {
        "type": "file_citation",
        "file_id": annotation.file_id or "",
        "filename": annotation.filename or annotation.title or "",
        "index": annotation.start_index or 0,
    }

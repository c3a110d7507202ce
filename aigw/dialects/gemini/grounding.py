"""Citations: `groundingMetadata` and `citationMetadata` of a candidate, and the vocabulary's annotations.

Both stay whole among the choice's extras too, for the way back to a Gemini client: they hold more (the
search entry point, which must be shown) than annotations can say. Gemini counts UTF-8 bytes of the
text, annotations count characters.
"""

from __future__ import annotations

from collections.abc import Iterable

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, object_of, text_or_none
from aigw.dialects.gemini.fields import NAME, int_or_none
from aigw.model import Annotation

GROUNDING = f"{NAME}:groundingMetadata"
CITATIONS = f"{NAME}:citationMetadata"
# Which of the two an annotation was read from: written back as a whole, not a second time.
_SOURCE = f"{NAME}:@source"


def decode_annotations(grounding: Tree, citations: Tree, text: str) -> list[Annotation]:
    """Read both; text: all that the candidate says."""
    found: list[Annotation] = []
    chunks = [object_of(chunk) for chunk in list_of(grounding.get("groundingChunks"))]
    encoded = text.encode("utf-8", "surrogatepass")
    for support in map(object_of, list_of(grounding.get("groundingSupports"))):
        segment = object_of(support.get("segment"))
        span = _span(segment, encoded)
        quoted = text_or_none(segment.get("text"))
        numbers = list_of(support.get("groundingChunkIndices"))
        known = [number for number in numbers if isinstance(number, int) and 0 <= number < len(chunks)]
        found += [_from_chunk(chunks[number], span, quoted) for number in known]
    sources = list_of(citations.get("citationSources")) or list_of(citations.get("citations"))
    for source in map(object_of, sources):
        start, end = _span(source, encoded)
        url, title = text_or_none(source.get("uri")), text_or_none(source.get("title"))
        found.append(Annotation("url_citation", start, end, url, title, extras={_SOURCE: CITATIONS}))
    return found


def _span(tree: Tree, encoded: bytes) -> tuple[int, int | None]:
    start, end = int_or_none(tree.get("startIndex")) or 0, int_or_none(tree.get("endIndex"))
    return _characters(encoded, start), None if end is None else _characters(encoded, end)


def _characters(encoded: bytes, count: int) -> int:
    return len(encoded[: max(0, count)].decode("utf-8", "ignore"))


def _from_chunk(chunk: Tree, span: tuple[int, int | None], quoted: str | None) -> Annotation:
    source = next((object_of(value) for value in chunk.values() if isinstance(value, dict)), {})
    url = text_or_none(source.get("uri"))
    title = text_or_none(source.get("title")) or text_or_none(source.get("fileSearchStore"))
    kind = "url_citation" if url is not None else "file_citation"
    filename = title if url is None else None
    return Annotation(
        kind, *span, url, title, filename=filename, quoted_text=quoted, extras={_SOURCE: GROUNDING}
    )


def encode_annotations(told: Iterable[tuple[str, Iterable[Annotation]]], known: Tree) -> Tree:
    """Write annotations as grounding, where they did not come from metadata in `known`, the extras.

    told: each text part in order, and the annotations that count its characters.
    """
    chunks: list[Tree] = []
    supports: list[Tree] = []
    offset_bytes = 0
    for text, notes in told:
        for note in notes:
            if note.extras.get(_SOURCE) in known:
                continue
            chunk = {
                "web": {"uri": note.url or note.file_id or "", "title": note.title or note.filename or ""}
            }
            if chunk not in chunks:
                chunks.append(chunk)
            segment = _segment(note, text, offset_bytes)
            supports.append({"segment": segment, "groundingChunkIndices": [chunks.index(chunk)]})
        offset_bytes += len(text.encode("utf-8", "replace"))
    if not chunks:
        return {}
    return {"groundingMetadata": {"groundingChunks": chunks, "groundingSupports": supports}}


def _segment(note: Annotation, text: str, offset_bytes: int) -> Tree:
    # Without places it speaks of the whole part, as Anthropic's citations do.
    start = max(0, note.start_index or 0)
    end = len(text) if note.end_index is None else max(0, note.end_index)
    return {
        "startIndex": offset_bytes + len(text[:start].encode("utf-8", "replace")),
        "endIndex": offset_bytes + len(text[:end].encode("utf-8", "replace")),
        "text": text[start:end],
    }

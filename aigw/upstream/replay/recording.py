"""`Recording`: one exchange as data, and as the JSON of its file.

Owns the form of the file: for people to read and for `diff` to compare. Text stands as text, by lines where
it has several; bytes that are none, in base64. Knows no folder.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from attrs import field, frozen

FORMAT: Final = 1


@frozen
class Asked:
    """What was asked, without secrets. body: a JSON tree, a text, or bytes."""

    method: str
    path: str
    model: str
    stream: bool
    query: str = ""
    headers: Mapping[str, str] = field(factory=dict)
    body: Any = None


@frozen
class Chunk:
    """A piece of an answer. at_s: seconds after the call."""

    at_s: float
    content: bytes = field(repr=False)


@frozen
class Recording:
    """One exchange. name: its file's. head_s: seconds from the call to the head of the answer."""

    name: str
    asked: Asked
    status: int
    headers: Mapping[str, str]
    head_s: float
    chunks: tuple[Chunk, ...]


def to_json(recording: Recording) -> bytes:
    """Write a recording as its file's content."""
    asked = recording.asked
    tree = {
        "recording": FORMAT,
        "request": {
            "method": asked.method,
            "path": asked.path,
            "query": asked.query,
            "model": asked.model,
            "stream": asked.stream,
            "headers": dict(asked.headers),
            **_body_out(asked.body),
        },
        "answer": {
            "status": recording.status,
            "headers": dict(recording.headers),
            "head_s": round(recording.head_s, 4),
            "chunks": [_chunk_out(chunk) for chunk in _at_characters(recording.chunks)],
        },
    }
    return orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def from_json(name: str, content: bytes) -> Recording:
    """Read a file's content. Raises ValueError that says what is wrong with it."""
    try:
        tree = orjson.loads(content)
        return _recording(name, tree)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{name}: not JSON ({error})") from None
    except KeyError as error:
        raise ValueError(f"{name}: got no {error.args[0]!r}, wanted one") from None
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{name}: not a recording ({error})") from None


def _recording(name: str, tree: Any) -> Recording:
    if tree["recording"] != FORMAT:
        raise ValueError(f"recording: got {tree['recording']!r}, wanted {FORMAT}")
    asked, answer = tree["request"], tree["answer"]
    return Recording(
        name,
        Asked(
            asked["method"],
            asked["path"],
            asked["model"],
            asked["stream"],
            asked.get("query", ""),
            asked.get("headers", {}),
            _body_in(asked),
        ),
        int(answer["status"]),
        dict(answer["headers"]),
        float(answer.get("head_s", 0)),
        tuple(_chunk_in(chunk) for chunk in answer["chunks"]),
    )


def _body_out(body: Any) -> dict[str, Any]:
    if isinstance(body, bytes):
        return _content_out(body)
    return {} if body is None else {"body": body}


def _body_in(tree: Mapping[str, Any]) -> Any:
    return _content_in(tree) if "text" in tree or "base64" in tree else tree.get("body")


def _chunk_out(chunk: Chunk) -> dict[str, Any]:
    return {"at_s": round(chunk.at_s, 4), **_content_out(chunk.content)}


def _chunk_in(tree: Mapping[str, Any]) -> Chunk:
    return Chunk(float(tree.get("at_s", 0)), _content_in(tree))


def _content_out(content: bytes) -> dict[str, Any]:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}
    lines = text.split("\n")
    if len(lines) == 1:
        return {"text": text}
    return {"text": [*(line + "\n" for line in lines[:-1]), *filter(None, lines[-1:])]}


def _content_in(tree: Mapping[str, Any]) -> bytes:
    if "base64" in tree:
        return b64decode(tree["base64"], validate=True)
    text = tree["text"]
    return (text if isinstance(text, str) else "".join(text)).encode()


def _at_characters(chunks: Iterable[Chunk]) -> Iterable[Chunk]:
    """Move the cut of a chunk that goes through a character to where that begins, so that it is text."""
    held = b""
    for chunk in chunks:
        content = held + chunk.content
        whole = len(content) - _unfinished(content)
        held = content[whole:]
        if whole:
            yield Chunk(chunk.at_s, content[:whole])
        last = chunk.at_s
    if held:
        yield Chunk(last, held)


def _unfinished(content: bytes) -> int:
    """Return how many bytes at the end are the beginning of a UTF-8 character."""
    for back in range(1, min(4, len(content) + 1)):
        byte = content[-back]
        if 0xC0 <= byte <= 0xF4:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if length > back else 0
        if not 0x80 <= byte < 0xC0:
            return 0
    return 0

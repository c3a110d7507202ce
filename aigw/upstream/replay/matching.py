"""Which recording answers which request: what makes two requests the same, and how others differ.

Pure: compares trees, opens no file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

import orjson
from attrs import frozen

from aigw.upstream.replay.recording import Asked, Recording

MAX_COMPARED_CHARS = 4000
MAX_COMPARED = 200
SHOWN_CHARS = 80

_ABSENT = object()


@frozen
class Difference:
    """The first place where two requests differ, as in `body.messages[0].content`."""

    path: str
    asked: str
    recorded: str

    def __str__(self) -> str:
        return f"{self.path}: got {self.asked}, recorded is {self.recorded}"


def shape(asked: Asked, ignore: Iterable[str]) -> dict[str, Any]:
    """Return what of a request decides which recording it matches.

    Keys have no order, null is as good as absent, and 1.0 is 1.
    """
    body = asked.body
    if isinstance(body, bytes):
        body = {"bytes": body.hex()}
    body = _plain(body)
    for path in ignore:
        _drop(body, path.split("."))
    return {
        "method": asked.method,
        "path": asked.path,
        "query": asked.query,
        "model": asked.model,
        "stream": asked.stream,
        "body": body,
    }


def digest(shape_of: dict[str, Any]) -> str:
    """Return a short name for everything that matches this."""
    return hashlib.sha256(orjson.dumps(shape_of, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def nearest(
    wanted: dict[str, Any], known: Sequence[tuple[Recording, dict[str, Any]]]
) -> tuple[Recording, Difference] | None:
    """Return the recording that is most like a request, and where the two differ first."""
    if not known:
        return None
    candidates = [pair for pair in known if pair[1]["path"] == wanted["path"]] or list(known)
    text = _text(wanted)
    matcher = SequenceMatcher(None, "", text, autojunk=False)

    def likeness(pair: tuple[Recording, dict[str, Any]]) -> float:
        matcher.set_seq1(_text(pair[1]))
        return matcher.quick_ratio()

    best, shape_of = max(candidates[:MAX_COMPARED], key=likeness)
    return best, next(differences(wanted, shape_of, ""))


def differences(asked: Any, recorded: Any, path: str) -> Iterator[Difference]:
    """Yield the places where two trees differ, in the order of the first."""
    if isinstance(asked, dict) and isinstance(recorded, dict):
        for key in dict.fromkeys((*asked, *recorded)):
            below = f"{path}.{key}" if path else key
            yield from differences(asked.get(key, _ABSENT), recorded.get(key, _ABSENT), below)
    elif isinstance(asked, list) and isinstance(recorded, list):
        for index in range(max(len(asked), len(recorded))):
            ours, theirs = (tree[index] if index < len(tree) else _ABSENT for tree in (asked, recorded))
            yield from differences(ours, theirs, f"{path}[{index}]")
    elif asked != recorded or isinstance(asked, bool) != isinstance(recorded, bool):
        yield Difference(path, *_shown(asked, recorded))


def _shown(asked: Any, recorded: Any) -> tuple[str, str]:
    """Show two values; of long texts the part where they differ."""
    start = 0
    if isinstance(asked, str) and isinstance(recorded, str):
        pairs = enumerate(zip(asked, recorded, strict=False))
        common = next((at for at, (a, b) in pairs if a != b), min(len(asked), len(recorded)))
        start = max(0, common - SHOWN_CHARS // 4) if max(len(asked), len(recorded)) > SHOWN_CHARS else 0
    return _excerpt(asked, start), _excerpt(recorded, start)


def _excerpt(value: Any, start: int) -> str:
    if value is _ABSENT:
        return "nothing"
    if isinstance(value, str) and start:
        value = "..." + value[start:]
    text = orjson.dumps(value).decode()
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "..."


def _text(tree: dict[str, Any]) -> str:
    return orjson.dumps(tree["body"], option=orjson.OPT_SORT_KEYS).decode()[:MAX_COMPARED_CHARS]


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [_plain(item) for item in tree]
    return int(tree) if isinstance(tree, float) and tree.is_integer() and abs(tree) < 2**53 else tree


def _drop(tree: Any, path: Sequence[str]) -> None:
    """Take the field at a path out of a tree that is ours; `*` is every entry or item."""
    name, *rest = path
    if isinstance(tree, list) and name == "*":
        for item in tree if rest else ():
            _drop(item, rest)
    elif isinstance(tree, dict):
        for key in list(tree) if name == "*" else [name]:
            if rest:
                _drop(tree.get(key), rest)
            else:
                tree.pop(key, None)

"""Arguments that come bit by bit: `partialArgs`, each a JSON path and a value or more of a string.

Asked for with `streamFunctionCallArguments`. The pieces name places in an object, not pieces of its
text, and may go back; so they are put together here, and the call is told when it is whole.
Source: PartialArg in the Vertex AI API reference, read 2026-11.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, object_of, text_of
from aigw.errors import ProtocolError

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,4})\]|\[(?:'([^']*)'|"([^"]*)")\]""")
_VALUES = ("stringValue", "numberValue", "boolValue", "structValue", "listValue")


class PartialCall:
    """One call in the making. part: the first part that told of it, which holds its name."""

    def __init__(self, part: Tree) -> None:
        self.part = part
        self._args: Tree = {}

    def add(self, call: Tree) -> None:
        """Take more arguments. Raises ProtocolError on a path that leads nowhere."""
        for piece in list_of(call.get("partialArgs")):
            self._put(object_of(piece))
        if isinstance(call.get("args"), dict):
            self._args |= call["args"]

    def whole(self) -> Tree:
        """Return the part as if it had come in one piece."""
        call = {
            key: value
            for key, value in object_of(self.part.get("functionCall")).items()
            if key not in {"partialArgs", "willContinue"}
        }
        return {**self.part, "functionCall": call | {"args": self._args}}

    def _put(self, piece: Tree) -> None:
        path = text_of(piece.get("jsonPath"))
        steps = _steps(path)
        value = next((piece[key] for key in _VALUES if key in piece), None)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        holder: Any = self._args
        for step, following in pairwise(steps):
            holder = _enter(holder, step, path, [] if isinstance(following, int) else {})
        _set(holder, steps[-1], path, value)


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    end = 1
    while path.startswith("$") and (match := _STEP.match(path, end)):
        name = match[1] or match[3] or match[4] or ""
        steps.append(int(match[2]) if match[2] is not None else name)
        end = match.end()
    if not steps or end != len(path):
        raise ProtocolError(f"partialArgs: no path to an argument: {path[:80]!r}")
    return steps


def _enter(holder: Any, step: str | int, path: str, default: Any) -> Any:
    if isinstance(holder, dict) and isinstance(step, str):
        return holder.setdefault(step, default)
    if isinstance(holder, list) and isinstance(step, int) and step <= len(holder):
        if step == len(holder):
            holder.append(default)
        return holder[step]
    raise ProtocolError(f"partialArgs: {path[:80]!r} does not fit what came before it")


def _set(holder: Any, step: str | int, path: str, value: Any) -> None:
    known = _enter(holder, step, path, None)
    # More of a string that has begun is appended.
    joined = known + value if isinstance(known, str) and isinstance(value, str) else value
    holder[step] = joined

"""Which tool call a streamed delta is about, for providers that number them, and for those that do not.

OpenAI gives each call a number, and its id and name once. Others leave out the number, or the id, or
number all calls 0. Knows nothing of events: the order in which calls are told is `choice_decoder`'s.
"""

from __future__ import annotations

import orjson
from attrs import define, field

from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, object_of, text_of
from aigw.dialects.openai_chat.fields import LEGACY, keep
from aigw.dialects.openai_chat.messages import arguments_text
from aigw.model import Extras

_CALL = frozenset(("index", "id", "type", "function", "custom"))
_FUNCTION = frozenset(("name", "arguments", "input"))


@define(eq=False)
class Call:
    """A tool call as far as it is known.

    number: its place among the calls of its choice. opened: its ItemOpened has been told.
    pieces: its arguments as far as they have been told.
    """

    id: str = ""
    name: str = ""
    freeform: bool = False
    number: int = 0
    opened: bool = False
    extras: Extras = field(factory=dict)
    pieces: list[str] = field(factory=list)

    def complete(self) -> bool:
        """Whether the arguments can hardly go on."""
        if self.freeform or not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        try:
            orjson.loads("".join(self.pieces))
        except orjson.JSONDecodeError:
            return False
        return True


class CallTracker:
    """Deltas of tool calls in; the call each is about, and the arguments it adds, out."""

    __slots__ = ("_calls", "_count", "_last_key")

    def __init__(self) -> None:
        self._calls: dict[object, Call] = {}
        self._count = 0
        self._last_key: object = None

    def __bool__(self) -> bool:
        return self._count > 0

    def find(self, tree: Tree) -> tuple[Call, str]:
        """Take one element of a delta's `tool_calls`."""
        custom = tree.get("custom")
        freeform = tree.get("type") == "custom" or (isinstance(custom, dict) and not tree.get("function"))
        inner = object_of(custom if freeform else tree.get("function"))
        call = self._find(tree, text_of(inner.get("name")), freeform=freeform)
        if not tree.keys() <= _CALL or not inner.keys() <= _FUNCTION:
            call.extras |= keep(tree, _CALL) | keep(inner, _FUNCTION, "@function/")
        return call, text_of(inner.get("input")) if call.freeform else arguments_text(inner)

    def find_legacy(self, tree: Tree) -> tuple[Call, str]:
        """Take a delta's deprecated `function_call`, of which there is but one."""
        call = self._calls.get("function_call") or self._add("function_call", Call(extras={LEGACY: True}))
        call.name = call.name or text_of(tree.get("name"))
        return call, arguments_text(tree)

    def _find(self, tree: Tree, name: str, *, freeform: bool) -> Call:
        call_id = text_of(tree.get("id"))
        index = int_or_none(tree.get("index"))
        key: object = index if index is not None else self._guess(call_id, name)
        call = self._calls.get(key)
        if call is not None and call.id and call_id not in {"", call.id} and name and call.complete():
            call = None  # two calls under one number
        if call is None:
            call = self._add(key, Call(freeform=freeform))
        call.id = call.id or call_id
        call.name = call.name or name
        return call

    def _guess(self, call_id: str, name: str) -> object:
        """Say which call a delta without a number is about."""
        if call_id:
            return call_id
        return ("unnamed", self._count) if name or not self._count else self._last_key

    def _add(self, key: object, call: Call) -> Call:
        call.number = self._count
        self._count += 1
        self._calls[key] = call
        self._last_key = key
        return call

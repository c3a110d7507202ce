"""The `contents` of a request, read into items and written from them.

A model's content holds thinking, text and calls; a user's holds text and media, or answers to calls.
Calls and answers without ids are paired by name, in order.
"""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, field

from aigw.dialects.base import Tree
from aigw.dialects.dropped import lost_extras
from aigw.dialects.fields import synthetic_call_id, text_of
from aigw.dialects.gemini.calls import decode_call, decode_output, encode_call, encode_output
from aigw.dialects.gemini.fields import CONTENT, CONTENT_SCOPE, NAME, ROLE, camel, keep, object_at, restore
from aigw.dialects.gemini.parts import decode_part, decode_text, encode_part, parts_of
from aigw.dialects.gemini.reasoning import encode_reasoning, extend
from aigw.dialects.gemini.signatures import DUMMY, Sign, from_client, provider_sign
from aigw.errors import ClientError, ErrorKind, ProtocolError
from aigw.model import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Part,
    Reasoning,
    Request,
)

_KNOWN = frozenset(("role", "parts"))
SYSTEM_ROLES = frozenset(("system", "developer"))


def decode_contents(contents: Any) -> tuple[Item, ...]:
    """Read the conversation. Raises ClientError naming the place, as `contents[0]`."""
    if isinstance(contents, dict):
        contents = [contents]
    if not isinstance(contents, list):
        kind = ErrorKind.MISSING_FIELD if contents is None else None
        raise ClientError("contents: expected a list", kind=kind, param="contents")
    reader = _Reader()
    for number, content in enumerate(contents):
        path = f"contents[{number}]"
        if not isinstance(content, dict):
            raise ClientError(f"{path}: expected an object, got {type(content).__name__}", param=path)
        try:
            reader.read(camel(content), number)
        except ProtocolError as error:  # from the readers of calls, which answers share
            raise ClientError(error.message, param=path) from error
    return tuple(reader.items)


@define
class _Reader:
    """items: what was read. waiting: calls that have no answer yet."""

    items: list[Item] = field(factory=list)
    waiting: list[FunctionCall] = field(factory=list)

    def read(self, content: Tree, number: int) -> None:
        role = text_of(content.get("role")) or "user"
        before = self.items[-1] if self.items else None
        start = len(self.items)
        parts: list[Part] = []
        for tree in parts_of(content):
            item = self._item(tree, role, f"request/{number}", start)
            if item is None:
                parts.append(_message_part(tree))
                continue
            self._message(role, parts)
            joined = isinstance(item, Reasoning) and len(self.items) > start and extend(self.items, item)
            if not joined:
                self.items.append(item)
        if parts or len(self.items) == start:
            self._message(role, parts, always=True)
        self._mark(start, before, role, content)

    def _item(self, tree: Tree, role: str, seed: str, start: int) -> Item | None:
        if "functionCall" in tree:
            name = text_of(object_at(tree, "functionCall").get("name"))
            default = synthetic_call_id(seed, len(self.items) - start, name)
            call = decode_call(tree, _signature(tree), default)
            self.waiting.append(call)
            return call
        if "functionResponse" in tree:
            inner = object_at(tree, "functionResponse")
            call_id, other = self._pair(text_of(inner.get("id")), text_of(inner.get("name")), seed)
            return decode_output(tree, call_id, other)
        if tree.get("thought") is True and role == "model" and isinstance(tree.get("text"), str):
            return _thought(tree)
        return None

    def _pair(self, call_id: str, name: str, seed: str) -> tuple[str, str | None]:
        """Return the id of the call this answers, and the tool's name where it is not the call's."""
        found = None
        for call in self.waiting:
            if call.call_id == call_id if call_id else call.name == name:
                found = call
                break
        if found is None and not call_id and self.waiting:
            found = self.waiting[0]
        if found is None:
            return call_id or synthetic_call_id(seed, len(self.items), name), name or None
        self.waiting.remove(found)
        own_name = name if name and name != found.name else None
        return found.call_id, own_name

    def _message(self, role: str, parts: list[Part], *, always: bool = False) -> None:
        if parts or always:
            self.items.append(Message("assistant" if role == "model" else "user", tuple(parts)))
            parts.clear()

    def _mark(self, start: int, before: Item | None, role: str, content: Tree) -> None:
        """Note down where the caller's cutting into contents is not the one we would make."""
        for number in range(start, len(self.items)):
            item = self.items[number]
            extras = dict(item.extras)
            starts = number == start
            if starts:
                extras |= keep(content, _KNOWN, CONTENT_SCOPE)
            if before is not None and _starts(item, before) != starts:
                extras[CONTENT] = "starts" if starts else "joins"
            if role not in {"user", "model"}:
                extras[ROLE] = role
            if extras != item.extras:
                self.items[number] = evolve(item, extras=extras)
            before = item


def _message_part(tree: Tree) -> Part:
    if isinstance(tree.get("text"), str):
        return decode_text(tree, _signature(tree))
    return decode_part(tree)


def _signature(tree: Tree) -> str | None:
    found = from_client(tree.get("thoughtSignature"))
    return None if found is None else found[1]


def _thought(tree: Tree) -> Reasoning:
    content = (tree["text"],) if tree["text"] else ()
    kind, value = from_client(tree.get("thoughtSignature")) or (None, None)
    return Reasoning(
        content=content,
        signature=value if kind == "signature" else None,
        encrypted_content=value if kind == "encrypted" else None,
        redacted=value if kind == "redacted" else None,
    )


def encode_contents(request: Request, dropped: list[str]) -> list[Tree]:
    """Write the conversation; neighbours that one content can hold together are put together."""
    writer = _Writer(dropped, provider_sign(dropped))
    for number, item in enumerate(request.items):
        if not (isinstance(item, Message) and item.role in SYSTEM_ROLES):
            writer.write(item, f"items[{number}]")
    contents = [content for content in writer.contents if content["parts"]]
    if _wants_signatures(request.model):
        for content in contents:
            _sign_first_call(content)
    return contents


@define
class _Writer:
    dropped: list[str]
    sign: Sign
    contents: list[Tree] = field(factory=list)
    before: Item | None = None
    names: dict[str, str] = field(factory=dict)

    def write(self, item: Item, path: str) -> None:
        parts = self._parts(item, path)
        if parts is None:
            self.dropped.append(path)
            return
        self.dropped += lost_extras(NAME, item.extras, path)
        if isinstance(item, Message):
            self.dropped += [
                f"{path}.{field}" for field in ("name", "phase") if getattr(item, field) is not None
            ]
        if self.before is None or _starts(item, self.before, item.extras.get(CONTENT)):
            role = item.extras.get(ROLE) or _role(item)
            head = {"role": role, "parts": parts}
            self.contents.append(head | restore(item.extras, CONTENT_SCOPE))
        else:
            self.contents[-1]["parts"].extend(parts)
        self.before = item

    def _parts(self, item: Item, path: str) -> list[Tree] | None:
        match item:
            case Message():
                return self._message(item, path)
            case Reasoning():
                return encode_reasoning(item, self.sign, path)
            case FunctionCall():
                self.names[item.call_id] = item.name
                return [encode_call(item, self.sign, path)]
            case FunctionCallOutput():
                name = item.name or self.names.get(item.call_id) or item.call_id
                return [encode_output(item, name, self.sign, path, self.dropped)]
            case _:
                return None

    def _message(self, item: Message, path: str) -> list[Tree]:
        parts = []
        for number, part in enumerate(item.parts):
            place = f"{path}.parts[{number}]"
            encoded = encode_part(part, self.sign, place)
            if encoded is None:
                self.dropped.append(place)
            else:
                parts.append(encoded)
                self.dropped += lost_extras(NAME, part.extras, place)
        return parts


def _role(item: Item) -> str:
    if isinstance(item, Message):
        return "model" if item.role == "assistant" else "user"
    return "user" if isinstance(item, FunctionCallOutput) else "model"


def _starts(item: Item, before: Item, note: str | None = None) -> bool:
    """Say whether an item begins a content of its own. note: what the caller did, if it was another thing."""
    if _role(item) != _role(before) or note == "starts":
        return True
    if note == "joins" or isinstance(item, FunctionCall):
        return False
    # Gemini wants all answers to the calls of one content in one content.
    if isinstance(item, FunctionCallOutput):
        return not isinstance(before, FunctionCallOutput)
    return not isinstance(before, Reasoning)


def _wants_signatures(model: str) -> bool:
    # From Gemini 3 on a call without one is refused; before, the field says nothing.
    name = model.rpartition("/")[2]
    return name.startswith("gemini-") and not name.startswith(("gemini-1", "gemini-2"))


def _sign_first_call(content: Tree) -> None:
    calls = [part for part in content["parts"] if "functionCall" in part]
    if calls and not any("thoughtSignature" in part for part in calls):
        calls[0]["thoughtSignature"] = DUMMY

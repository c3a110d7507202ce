"""The `system` and `messages` of a request, read into items and written from them.

This format has two sides that take turns: what a tool answered stands in the user's turn, first of all.
So items are gathered into turns, and a turn is one message however many the caller made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, evolve, field

from aigw.dialects.anthropic.blocks import blocks_of, decode_block, decode_content, encode_parts
from aigw.dialects.anthropic.calls import decode_id, encode_call, encode_id, encode_input
from aigw.dialects.anthropic.content import decode_blocks
from aigw.dialects.anthropic.fields import IN_PLACE, NAME, keep, restore
from aigw.dialects.anthropic.reasoning import encode_for_provider
from aigw.dialects.base import Tree
from aigw.dialects.call_ids import unpack_call_id
from aigw.dialects.fields import text_of
from aigw.errors import ClientError, ErrorKind
from aigw.model import (
    ForeignItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Part,
    Reasoning,
    Request,
    TextPart,
)

_MESSAGE = frozenset(("role", "content"))
_MESSAGE_SCOPE = "@message/"
_RESULT = frozenset(("type", "tool_use_id", "content", "is_error"))
_INSTRUCTING = frozenset(("system", "developer"))
_MEDIA = frozenset(("image", "document"))


def decode_system(system: Any) -> tuple[str | None, tuple[Item, ...]]:
    """Read `system`: a string is the instructions; blocks, which may carry marks, are a system Message."""
    if system is None or isinstance(system, str):
        return system, ()
    parts = decode_content(system, "system")
    return None, (Message("system", parts),) if parts else ()


def decode_messages(messages: Any) -> tuple[Item, ...]:
    """Read the conversation. Raises ClientError naming the place, as `messages[0].content`."""
    if not isinstance(messages, list):
        kind = ErrorKind.MISSING_FIELD if messages is None else None
        raise ClientError("messages: expected a list", kind=kind, param="messages")
    items: list[Item] = []
    for number, message in enumerate(messages):
        items += _decode_message(message, f"messages[{number}]")
    return tuple(items)


def _decode_message(tree: Any, path: str) -> list[Item]:
    if not isinstance(tree, dict):
        raise ClientError(f"{path}: expected an object, got {type(tree).__name__}", param=path)
    role = tree.get("role")
    if not isinstance(role, str):
        kind = ErrorKind.MISSING_FIELD if role is None else None
        raise ClientError(f"{path}.role: expected a string", kind=kind, param=f"{path}.role")
    content, place = tree.get("content"), f"{path}.content"
    if content is None or isinstance(content, str):
        items: list[Item] = [Message(role, decode_content(content, place))]
    elif role == "assistant":
        items = decode_blocks(blocks_of(content, place), place)
    else:
        items = _decode_user(role, blocks_of(content, place), place)
    if role == "system":
        items = [evolve(item, extras={**item.extras, IN_PLACE: True}) for item in items]
    extras = keep(tree, _MESSAGE, _MESSAGE_SCOPE)
    if extras and items:
        items[0] = evolve(items[0], extras={**items[0].extras, **extras})
    return items


def _decode_user(role: str, blocks: list[Tree], path: str) -> list[Item]:
    items: list[Item] = []
    parts: list[Part] = []
    for number, block in enumerate(blocks):
        place = f"{path}[{number}]"
        if block.get("type") != "tool_result":
            parts.append(decode_block(block, place))
            continue
        if parts:
            items.append(Message(role, tuple(parts)))
            parts = []
        items.append(_decode_result(block, place))
    if parts:
        items.append(Message(role, tuple(parts)))
    return items


def _decode_result(tree: Tree, path: str) -> FunctionCallOutput:
    return FunctionCallOutput(
        unpack_call_id(decode_id(tree.get("tool_use_id")))[0],
        decode_content(tree.get("content"), f"{path}.content"),
        is_error=tree.get("is_error") is True,
        extras=keep(tree, _RESULT),
    )


@define(eq=False)
class _Turn:
    """One side's turn. results come before blocks: the API wants them right behind the calls."""

    role: str
    results: list[Tree] = field(factory=list)
    blocks: list[Tree] = field(factory=list)
    extras: Tree = field(factory=dict)

    def content(self) -> str | list[Tree]:
        blocks = self.results + self.blocks
        if len(blocks) > 1:
            # Models of other makers send line ends before a tool call; the API refuses such texts.
            blocks = [block for block in blocks if not _is_blank(block)] or blocks[:1]
        if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
            text = blocks[0]["text"]
            if isinstance(text, str):
                return text
        return blocks


def _is_blank(block: Tree) -> bool:
    text = block.get("text")
    return block.get("type") == "text" and isinstance(text, str) and not text.strip()


class Conversation:
    """A request's items written as `system` and `messages`; what got lost is named in `dropped`."""

    def __init__(self, request: Request, dropped: list[str]) -> None:
        self._dropped = dropped
        self._system: list[Tree] = []
        self._turns: list[_Turn] = []
        if request.instructions:
            self._system.append({"type": "text", "text": request.instructions})
        for number, item in enumerate(request.items):
            self._add(item, f"items[{number}]")
        if not self._turns and self._system:
            # A conversation of instructions alone, which this format does not know.
            self._turns.append(_Turn("user", blocks=self._system))
            self._system = []

    def system(self) -> str | list[Tree] | None:
        """Return the value of `system`: a string where there is one plain text, or None."""
        match self._system:
            case []:
                return None
            case [{"type": "text", "text": str(text), **rest}] if not rest:
                return text
        return self._system

    def messages(self) -> list[Tree]:
        """Return the value of `messages`."""
        turns = [turn for turn in self._turns if turn.results or turn.blocks]
        return [{"role": turn.role, "content": turn.content(), **turn.extras} for turn in turns]

    def calls_without_thinking(self) -> bool:
        """Say whether the model is amid a round of tool calls whose turn does not begin with thinking."""
        if len(self._turns) < 2 or not self._turns[-1].results or self._turns[-2].role != "assistant":
            return False
        first = self._turns[-2].blocks[:1]
        return bool(first) and text_of(first[0].get("type")) not in {"thinking", "redacted_thinking"}

    def _turn(self, role: str, item: Item) -> _Turn:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        turn = self._turns[-1]
        turn.extras |= restore(item.extras, _MESSAGE_SCOPE)
        return turn

    def _add(self, item: Item, path: str) -> None:
        match item:
            case Message():
                self._add_message(item, path)
            case FunctionCall():
                if item.signature is not None:
                    self._dropped.append(f"{path}.signature")
                self._add_blocks("assistant", item, [encode_call(item, encode_input(item), for_client=False)])
            case FunctionCallOutput():
                self._turn("user", item).results.append(self._encode_result(item, path))
            case Reasoning():
                blocks = encode_for_provider(item)
                if not blocks:
                    self._dropped.append(path)
                self._add_blocks("assistant", item, blocks)
            case ForeignItem():
                if item.origin == NAME:
                    self._add_blocks("assistant", item, [item.tree])
                else:
                    self._dropped.append(path)

    def _add_message(self, item: Message, path: str) -> None:
        blocks = encode_parts(item.parts, path, self._dropped)
        self._dropped += [
            f"{path}.{field}" for field in ("name", "phase") if getattr(item, field) is not None
        ]
        if item.role in _INSTRUCTING and IN_PLACE not in item.extras:
            self._system += self._only(blocks, path, lambda kind: kind == "text")
        elif item.role == "assistant":
            # Pictures that a model made are welcome in no turn of its own.
            self._add_blocks("assistant", item, self._only(blocks, path, lambda kind: kind not in _MEDIA))
        else:
            self._add_blocks("system" if item.role == "system" else "user", item, blocks)

    def _only(self, blocks: list[Tree], path: str, may_stand: Callable[[str], bool]) -> list[Tree]:
        kept: list[Tree] = []
        for block in blocks:
            kind = str(block.get("type"))
            if may_stand(kind):
                kept.append(block)
            else:
                self._dropped.append(f"{path}.{kind}")
        return kept

    def _add_blocks(self, role: str, item: Item, blocks: list[Tree]) -> None:
        if blocks:
            self._turn(role, item).blocks += blocks

    def _encode_result(self, item: FunctionCallOutput, path: str) -> Tree:
        tree: Tree = {"type": "tool_result", "tool_use_id": encode_id(item.call_id)}
        blocks = encode_parts(item.parts, path, self._dropped)
        match item.parts:
            case (TextPart(),) if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
                tree["content"] = blocks[0]["text"]
            case _ if blocks:
                tree["content"] = blocks
        if item.is_error:
            tree["is_error"] = True
        return tree | restore(item.extras)

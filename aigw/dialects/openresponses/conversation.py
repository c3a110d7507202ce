"""A conversation written as `input`: what a provider of this format is sent."""

from __future__ import annotations

from aigw.dialects.base import Tree
from aigw.dialects.dropped import lost_extras
from aigw.dialects.fields import put, text_of
from aigw.dialects.openresponses.fields import NAME, OWN_REASONING, restore
from aigw.dialects.openresponses.output import encode_tool_output
from aigw.dialects.openresponses.parts import encode_input, encode_text
from aigw.model import (
    AudioPart,
    ForeignItem,
    ForeignPart,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Part,
    Reasoning,
    RefusalPart,
    TextPart,
)
from aigw.model.seal import unseal


def encode_items(items: tuple[Item, ...], dropped: list[str]) -> list[Tree]:
    """Write a conversation; what this format cannot hold is named in `dropped`."""
    freeform = {item.call_id for item in items if isinstance(item, FunctionCall) and item.freeform}
    written = []
    for number, item in enumerate(items):
        path = f"items[{number}]"
        tree = _encode(item, path, freeform, dropped)
        if tree is None:
            dropped.append(path)
            continue
        written.append(tree)
        dropped += lost_extras(NAME, item.extras, path)
    return written


def _encode(item: Item, path: str, freeform: set[str], dropped: list[str]) -> Tree | None:
    match item:
        case Message():
            return _message(item, path, dropped)
        case FunctionCall():
            return _call(item, path, dropped)
        case FunctionCallOutput():
            return _output(item, path, dropped, freeform=item.freeform or item.call_id in freeform)
        case Reasoning():
            return _reasoning(item, path, dropped)
        case ForeignItem():
            return item.tree if item.origin == NAME else None


def _begin(kind: str, item: Message | FunctionCall | FunctionCallOutput | Reasoning) -> Tree:
    tree: Tree = {"type": kind}
    put(tree, "id", item.id)
    put(tree, "status", item.status)
    return tree


def _message(item: Message, path: str, dropped: list[str]) -> Tree:
    tree = _begin("message", item)
    put(tree, "phase", item.phase)
    if item.name is not None:
        dropped.append(f"{path}.name")
    content: str | list[Tree]
    if item.id is None and len(item.parts) == 1 and _is_plain(item.parts[0]):
        content = text_of(getattr(item.parts[0], "text", None))
        dropped += lost_extras(NAME, item.parts[0].extras, f"{path}.parts[0]")
    else:
        content = _parts(item, path, dropped)
    return tree | {"role": item.role, "content": content} | restore(item.extras)


def _is_plain(part: Part) -> bool:
    return (
        isinstance(part, TextPart) and not part.annotations and not part.logprobs and not restore(part.extras)
    )


def _parts(item: Message, path: str, dropped: list[str]) -> list[Tree]:
    encode = _said if item.role == "assistant" else encode_input
    content = []
    for number, part in enumerate(item.parts):
        place = f"{path}.parts[{number}]"
        tree = encode(part)
        if tree is None or isinstance(part, AudioPart | RefusalPart) != (
            _kind(tree) in {"input_audio", "refusal"}
        ):
            dropped.append(place)
        if tree is not None:
            content.append(tree)
            dropped += lost_extras(NAME, part.extras, place)
        if isinstance(part, TextPart) and part.signature is not None:
            dropped.append(f"{place}.signature")
    return content


def _kind(tree: Tree) -> str:
    # A part that stays as it came may have any type, or none.
    return text_of(tree.get("type"))


def _said(part: Part) -> Tree | None:
    """Write a part of what the assistant has said; of a sound its words are left."""
    match part:
        case TextPart():
            return encode_text(part)
        case RefusalPart():
            return {"type": "refusal", "refusal": part.text, **restore(part.extras)}
        case AudioPart(transcript=str(words)):
            return encode_text(TextPart(words))
        case ForeignPart():
            return part.tree if part.origin == NAME else None
        case _:
            return None


def _call(item: FunctionCall, path: str, dropped: list[str]) -> Tree:
    if item.signature is not None:
        dropped.append(f"{path}.signature")
    tree = _begin("custom_tool_call" if item.freeform else "function_call", item)
    field = "input" if item.freeform else "arguments"
    body = {"call_id": item.call_id, "name": item.name, field: item.arguments}
    return tree | body | restore(item.extras)


def _output(item: FunctionCallOutput, path: str, dropped: list[str], *, freeform: bool) -> Tree:
    tree = _begin("custom_tool_call_output" if freeform else "function_call_output", item)
    output, lost = encode_tool_output(item)
    dropped += [f"{path}.parts[{number}]" for number in lost]
    for number, part in enumerate(item.parts):
        dropped += lost_extras(NAME, part.extras, f"{path}.parts[{number}]")
    if item.is_error:
        dropped.append(f"{path}.is_error")
    if item.name is not None:
        dropped.append(f"{path}.name")
    return tree | {"call_id": item.call_id, "output": output} | restore(item.extras)


def _reasoning(item: Reasoning, path: str, dropped: list[str]) -> Tree | None:
    """Write thinking back to the kind of provider it came from, and to no other.

    Thinking of another provider, or without its proof, is refused, or looked up and not found. What a
    client of another format has brought back is a summary, whatever that format called it: beside
    encrypted thinking OpenAI shows, and takes, nothing else.
    """
    sealed = (item.encrypted_content, item.signature, item.redacted)
    own = None if item.encrypted_content is None else unseal(NAME, item.encrypted_content)
    if own is None and (any(sealed) or (item.id is None and OWN_REASONING not in item.extras)):
        return None
    lost = ("signature", "redacted")
    dropped += [f"{path}.{field}" for field in lost if getattr(item, field) is not None]
    tree = _begin("reasoning", item)
    summary, content = item.summary, item.content
    if own is not None and item.id is None and OWN_REASONING not in item.extras:
        summary, content = (*summary, *content), ()
    tree["summary"] = [{"type": "summary_text", "text": text} for text in summary]
    if content:
        tree["content"] = [{"type": "reasoning_text", "text": text} for text in content]
    put(tree, "encrypted_content", own)
    return tree | restore(item.extras)

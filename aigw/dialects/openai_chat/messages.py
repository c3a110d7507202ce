"""An assistant's message as items, and items as an assistant's message: of requests and of responses.

In this format one message holds thinking, text and tool calls at once; in the vocabulary each is an
item of its own. Fields of the message that nobody knows travel with its first item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from attrs import evolve

from aigw.dialects.base import Tree
from aigw.dialects.call_ids import unpack_call_id
from aigw.dialects.dropped import lost_extras
from aigw.dialects.fields import int_or_none, list_of, object_of, synthetic_call_id, text_of, text_or_none
from aigw.dialects.openai_chat.annotations import decode_annotations, encode_annotation
from aigw.dialects.openai_chat.fields import (
    LEGACY,
    MESSAGE_SCOPE,
    NAME,
    REASONING_FIELDS,
    THINKING_PART,
    keep,
    restore,
)
from aigw.dialects.openai_chat.opaque import Reader, is_own
from aigw.dialects.openai_chat.parts import decode_content, encode_part, media_from_url, url_of
from aigw.dialects.openai_chat.reasoning import FIELDS, decode_reasoning, encode_reasoning
from aigw.model import (
    AudioPart,
    ForeignPart,
    FunctionCall,
    ImagePart,
    Item,
    Media,
    Message,
    Part,
    Reasoning,
    RefusalPart,
    TextPart,
)

KNOWN_MESSAGE = FIELDS | {
    "role",
    "content",
    "refusal",
    "audio",
    "images",
    "annotations",
    "tool_calls",
    "function_call",
    "name",
}
_CALL = frozenset(("id", "type", "function", "custom", "index"))
_FUNCTION = frozenset(("name", "arguments", "input"))


def decode_assistant(tree: Tree, path: str, seed: str | None, choice: int = 0) -> list[Item]:
    """Read one assistant message. seed: what names of calls that came without an id are made from."""
    items: list[Item] = []
    parts = list(decode_content(tree.get("content"), f"{path}.content"))
    thinking = [part for part in parts if _is_thinking(part)]
    if thinking:
        items += [_thinking(part) for part in thinking]
        parts = [part for part in parts if not _is_thinking(part)]
    else:
        items += decode_reasoning(tree)
    calls = decode_calls(tree, seed, choice)
    parts = _with_annotations(parts, tree) + _other_parts(tree)
    if parts == [TextPart("")] and (calls or items):
        parts = []
    name = text_or_none(tree.get("name"))
    if parts or not (calls or items) or name is not None:
        items.append(Message("assistant", tuple(parts), name=name))
    items += calls
    extras = keep(tree, KNOWN_MESSAGE, MESSAGE_SCOPE)
    if extras:
        items[0] = evolve(items[0], extras=items[0].extras | extras)
    return items


def _is_thinking(part: Part) -> bool:
    return isinstance(part, ForeignPart) and part.tree.get("type") == "thinking"


def _thinking(part: Part) -> Reasoning:
    inner = part.tree.get("thinking") if isinstance(part, ForeignPart) else None
    texts = [inner] if isinstance(inner, str) else [object_of(t).get("text") for t in list_of(inner)]
    return Reasoning(content=tuple(text_of(text) for text in texts), extras={THINKING_PART: True})


def _with_annotations(parts: list[Part], tree: Tree) -> list[Part]:
    annotations = decode_annotations(tree.get("annotations"))
    if not annotations:
        return parts
    first, *rest = parts or [TextPart("")]
    if isinstance(first, TextPart):
        first = evolve(first, annotations=annotations)
    return [first, *rest]


def _other_parts(tree: Tree) -> list[Part]:
    parts: list[Part] = []
    if refusal := text_of(tree.get("refusal")):
        parts.append(RefusalPart(refusal))
    if audio := object_of(tree.get("audio")):
        parts.append(decode_audio(audio))
    parts += [decode_image(image) for image in list_of(tree.get("images"))]
    return parts


def decode_audio(tree: Tree) -> AudioPart:
    """Read the spoken answer of a message; in a request it is an id alone."""
    return AudioPart(
        Media(data=text_or_none(tree.get("data"))),
        text_or_none(tree.get("transcript")),
        text_or_none(tree.get("id")),
        int_or_none(tree.get("expires_at")),
    )


def decode_image(tree: Any) -> Part:
    """Read one of `images`, as OpenRouter gives pictures a model has made."""
    url = object_of(object_of(tree).get("image_url")).get("url")
    if not isinstance(url, str):
        return ForeignPart(NAME, object_of(tree))
    return ImagePart(media_from_url(url), extras=keep(tree, frozenset(("type", "image_url"))))


def decode_calls(tree: Tree, seed: str | None, choice: int) -> list[FunctionCall]:
    """Read `tool_calls`, and the deprecated `function_call`."""
    calls: list[FunctionCall] = []
    for call in list_of(tree.get("tool_calls")):
        if isinstance(call, dict):
            call_id = text_of(call.get("id")) or synthetic_call_id(seed, choice, len(calls))
            calls.append(_decode_call(call, call_id))
    legacy = tree.get("function_call")
    if isinstance(legacy, dict) and legacy.get("name"):
        call_id = synthetic_call_id(seed, choice, len(calls))
        name = text_of(legacy.get("name"))
        calls.append(FunctionCall(call_id, name, arguments_text(legacy), extras={LEGACY: True}))
    return calls


def _decode_call(tree: Tree, call_id: str) -> FunctionCall:
    freeform = tree.get("type") == "custom"
    inner = object_of(tree.get("custom" if freeform else "function"))
    extras = keep(tree, _CALL) | keep(inner, _FUNCTION, "@function/")
    text = text_of(inner.get("input")) if freeform else arguments_text(inner)
    call_id, signature = unpack_call_id(call_id)
    name = text_of(inner.get("name"))
    return FunctionCall(call_id, name, text, freeform=freeform, signature=signature, extras=extras)


def arguments_text(tree: Tree) -> str:
    """Return a call's arguments; some servers send the object itself where its text belongs."""
    arguments = tree.get("arguments")
    if isinstance(arguments, str):
        return arguments
    return orjson.dumps(arguments).decode() if arguments is not None else ""


def encode_assistant(
    items: Sequence[Item], reader: Reader, dropped: list[str], paths: Sequence[str] = ()
) -> Tree:
    """Write items as one assistant message; what it cannot hold is named in `dropped`.

    paths: of the items, where anybody will read what was dropped.
    """
    paths = paths or [""] * len(items)
    tree: Tree = {"role": "assistant", "content": None}
    thinking = [item for item in items if isinstance(item, Reasoning)]
    tree |= encode_reasoning([item for item in thinking if THINKING_PART not in item.extras], reader)
    parts = [
        (f"{path}.parts[{number}]", part)
        for path, item in zip(paths, items, strict=True)
        if isinstance(item, Message)
        for number, part in enumerate(item.parts)
    ]
    as_parts = [_encode_thinking(item) for item in thinking if THINKING_PART in item.extras]
    _encode_parts(tree, as_parts, parts, dropped)
    calls = [item for item in items if isinstance(item, FunctionCall)]
    if modern := [encode_call(call, reader) for call in calls if LEGACY not in call.extras]:
        tree["tool_calls"] = modern
    for call in calls:
        if LEGACY in call.extras:
            tree["function_call"] = {"name": call.name, "arguments": call.arguments}
    for item in items:
        tree |= restore(item.extras, MESSAGE_SCOPE)
        if isinstance(item, Message) and item.name is not None:
            tree["name"] = item.name
    return tree


def _encode_thinking(item: Reasoning) -> Tree:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text} for text in item.content]}


def _encode_parts(tree: Tree, content: list[Tree], parts: list[tuple[str, Part]], dropped: list[str]) -> None:
    plain = not content
    for path, part in parts:
        dropped += lost_extras(NAME, part.extras, path)
        if isinstance(part, TextPart) and part.signature is not None:
            dropped.append(f"{path}.signature")
        match part:
            case RefusalPart():
                tree["refusal"] = tree.get("refusal", "") + part.text
            case AudioPart():
                tree["audio"] = encode_audio(part)
            case ImagePart():
                url = url_of(part.media)
                image = {"type": "image_url", "image_url": {"url": url}, **restore(part.extras)}
                tree.setdefault("images", []).append(image)
            case _:
                encoded = encode_part(part)
                if encoded is None:
                    dropped.append(path)
                    continue
                plain = plain and isinstance(part, TextPart) and encoded.keys() == {"type", "text"}
                content.append(encoded)
        if isinstance(part, TextPart) and part.annotations:
            tree.setdefault("annotations", []).extend(map(encode_annotation, part.annotations))
    if content:
        tree["content"] = "".join([part["text"] for part in content]) if plain else content
    elif not any(tree.get(field) for field in ("refusal", "audio", "images")):
        tree["content"] = None


def encode_audio(part: AudioPart) -> Tree:
    """Write a spoken answer; an id alone where that is all there is."""
    tree: Tree = {"id": part.id or ""}
    if part.media.data is not None or part.transcript is not None:
        tree |= {
            "data": part.media.data or "",
            "expires_at": part.expires_at or 0,
            "transcript": part.transcript or "",
        }
    return tree


def encode_call(call: FunctionCall, reader: Reader) -> Tree:
    """Write one element of `tool_calls`."""
    inner = restore(call.extras, "@function/")
    if call.freeform:
        body: Tree = {"type": "custom", "custom": {"name": call.name, "input": call.arguments, **inner}}
    else:
        body = {"type": "function", "function": {"name": call.name, "arguments": call.arguments, **inner}}
    return {"id": reader.call_id(call), **body, **restore(call.extras)}


def joins(item: Item) -> bool:
    """Say whether an item of a conversation belongs into an assistant's message."""
    if isinstance(item, Message):
        return item.role == "assistant"
    return isinstance(item, FunctionCall | Reasoning)


def from_this_format(item: Reasoning) -> bool:
    """Say whether thinking came from a provider of this format, so that it may go back to one."""
    return REASONING_FIELDS in item.extras or THINKING_PART in item.extras or is_own(item)

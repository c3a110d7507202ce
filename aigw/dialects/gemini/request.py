"""A generateContent request: tree to `Request` and back.

Gemini keeps the model and the wish for a stream in the path. So the caller of `decode_request` puts them
into the tree first, as "model" (a string) and "stream" (a bool); `encode_request` leaves both out, and
whoever sends the request makes the path from `Request.model` and `Request.stream`.

Lenient by design: an unknown field is kept, not refused. Source: the Gemini API reference (v1beta),
read 2026-11.
"""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Encoded, Tree
from aigw.dialects.dropped import lost_extras
from aigw.dialects.fields import text_of
from aigw.dialects.gemini.contents import SYSTEM_ROLES, decode_contents, encode_contents
from aigw.dialects.gemini.fields import NAME, camel, keep, restore
from aigw.dialects.gemini.options import config_of, decode_options, encode_options
from aigw.dialects.gemini.parts import parts_of
from aigw.dialects.gemini.tools import decode_tool_config, decode_tools, encode_tools
from aigw.errors import ClientError, ErrorKind
from aigw.model import Extras, Message, Request

_KNOWN = frozenset(
    (
        "model",
        "stream",
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "serviceTier",
    )
)
# The caller's own instruction, written back if nobody has changed its text.
_INSTRUCTION = f"{NAME}:@instruction"
_TIERS = {"standard": "default", "unspecified": "auto"}
_TIER_WORDS = {"default": "standard", "auto": "unspecified", "flex": "flex", "priority": "priority"}
# What this format has no field for, and how a value says that it matters.
_UNHELD = (
    *("verbosity", "user", "safety_identifier", "prompt_cache_key", "cache_retention", "store"),
    *("previous_response_id",),
)


def decode_request(tree: Tree) -> Request:
    """Read a request whose tree also holds "model" and "stream", which its path told.

    Raises ClientError with `param` on what nothing can be made of.
    """
    tree = camel(tree)
    model = tree.get("model")
    if not isinstance(model, str) or not model:
        kind = ErrorKind.MISSING_FIELD if model is None else None
        raise ClientError("model: expected a non-empty string", kind=kind, param="model")
    stream = tree.get("stream") is True
    extras = keep(tree, _KNOWN)
    tier = text_of(tree.get("serviceTier")).lower() or None
    tool_choice = decode_tool_config(tree, extras)
    options = decode_options(config_of(tree), extras)
    return Request(
        model=model,
        items=decode_contents(tree.get("contents")),
        instructions=_decode_instruction(tree.get("systemInstruction"), extras),
        tools=decode_tools(tree.get("tools")),
        tool_choice=tool_choice,
        stream=stream,
        include_usage=stream,  # Gemini's streams always tell it
        service_tier=None if tier is None else _TIERS.get(tier, tier),
        extras=extras,
        **options,
    )


def _decode_instruction(value: Any, extras: Extras) -> str | None:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return None
    text = _text(value)
    if value != {"parts": [{"text": text}]}:
        extras[_INSTRUCTION] = value
    return text


def _text(instruction: Tree) -> str:
    return "\n\n".join([text_of(part.get("text")) for part in parts_of(camel(instruction))])


def encode_request(request: Request) -> Encoded:
    """Write a request's body, without model and stream, and say what this format could not hold."""
    dropped: list[str] = []
    tree: Tree = {"contents": encode_contents(request, dropped)}
    instruction = _encode_instruction(request)
    if instruction is not None and not tree["contents"]:
        # Gemini answers no instruction alone, though others do: then it is what the user says.
        tree["contents"] = [{**instruction, "role": "user"}]
    elif instruction is not None:
        tree["systemInstruction"] = instruction
    encode_tools(tree, request, dropped)
    if config := encode_options(request, dropped):
        tree["generationConfig"] = config
    if request.service_tier is not None:
        tree["serviceTier"] = _TIER_WORDS.get(request.service_tier, request.service_tier)
    dropped += [name for name in _UNHELD if getattr(request, name) is not None]
    dropped += ["metadata"] if request.metadata else []
    dropped += ["parallel_tool_calls"] if request.parallel_tool_calls is False else []
    dropped += lost_extras(NAME, request.extras)
    return Encoded(tree | restore(request.extras), tuple(dropped))


def _encode_instruction(request: Request) -> Tree | None:
    original = request.extras.get(_INSTRUCTION)
    texts = [] if request.instructions is None else [request.instructions]
    # Wherever they stand: a user's content would rob them of their authority.
    system = [item for item in request.items if isinstance(item, Message) and item.role in SYSTEM_ROLES]
    texts += [item.text for item in system]
    if isinstance(original, dict) and len(texts) == 1 and _text(original) == texts[0]:
        return original
    return {"parts": [{"text": text} for text in texts]} if texts else None

"""A request to create a response: tree to `Request` and back.

Lenient by design: an unknown field is kept, not refused. What concerns kept conversations
(`previous_response_id`, `conversation`, `background`) is carried, and is somebody else's to act on.
Sources: the Open Responses specification 2026-04-24, and OpenAI's API reference, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aigw.dialects.base import Encoded, Tree
from aigw.dialects.dropped import lost_extras
from aigw.dialects.fields import int_or_none, list_of, object_of, put, text_or_none
from aigw.dialects.openai_chat.effort import effort_of
from aigw.dialects.openresponses.checks import check_fields
from aigw.dialects.openresponses.conversation import encode_items
from aigw.dialects.openresponses.fields import EXTENSIONS, NAME, keep, restore
from aigw.dialects.openresponses.items import decode_item
from aigw.dialects.openresponses.tools import (
    decode_tool_choice,
    decode_tools,
    encode_tool,
    encode_tool_choice,
)
from aigw.errors import ClientError, ErrorKind
from aigw.model import Item, Message, ReasoningOptions, Request, ResponseFormat, Sampling, TextPart

_TEXT_FIELDS = (
    *("instructions", "service_tier", "user", "safety_identifier"),
    *("prompt_cache_key", "previous_response_id"),
)
_SAMPLING = ("temperature", "top_p", "top_logprobs")
_PENALTIES = ("presence_penalty", "frequency_penalty")
_UNSPOKEN = ("top_k", "min_p", "repetition_penalty", "logit_bias", "seed", "n")
_KNOWN = frozenset(
    (
        *_TEXT_FIELDS,
        *_SAMPLING,
        *_PENALTIES,
        "model",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "reasoning",
        "text",
        "stream",
        "metadata",
        "prompt_cache_retention",
        "store",
    )
)
_REASONING = frozenset(("effort", "summary"))
_REASONING_SCOPE = "@reasoning/"
_TEXT = frozenset(("format", "verbosity"))
_TEXT_SCOPE = "@text/"
_FORMAT = frozenset(("type", "name", "schema", "strict", "description"))
# Fields that ask for nothing that is not so anyway: whoever cannot hold them has lost nothing.
_SATISFIED = f"{NAME}:@satisfied"
_WITH_LOGPROBS = "message.output_text.logprobs"
_WITH_ENCRYPTED = "reasoning.encrypted_content"
_OWN_INCLUDES = frozenset((_WITH_LOGPROBS, _WITH_ENCRYPTED))
_SATISFIED_IF: dict[str, Callable[[Any], bool]] = {
    # No gateway shortens an input; a provider that would have to fails.
    "truncation": lambda value: value == "disabled",
    # Probabilities are asked for in each format's own way, and thinking comes back sealed from all of them.
    "include": lambda value: (
        isinstance(value, list) and all(one in _OWN_INCLUDES for one in value if isinstance(one, str))
    ),
    "stream_options": lambda value: value in ({}, {"include_obfuscation": False}),
    "background": lambda value: value is False,
}
# What may stand in the place of an input.
_OTHER_INPUTS = ("previous_response_id", "conversation", "prompt")


def decode_request(tree: Tree) -> Request:
    """Read a request. Raises ClientError with `param` on what nothing can be made of."""
    model = tree.get("model")
    if not isinstance(model, str) or not model:
        kind = ErrorKind.MISSING_FIELD if model is None else None
        raise ClientError("model: expected a non-empty string", kind=kind, param="model")
    check_fields(tree)
    extras = _keep(tree)
    text = object_of(tree.get("text"))
    extras |= keep(text, _TEXT, _TEXT_SCOPE)
    response_format = _decode_format(text.get("format"))
    if response_format is None and text.get("format") is not None:
        extras[f"{NAME}:{_TEXT_SCOPE}format"] = text["format"]
    stream = tree.get("stream") is True
    texts: dict[str, Any] = {field: text_or_none(tree.get(field)) for field in _TEXT_FIELDS}
    return Request(
        model=model,
        items=_decode_input(tree),
        tools=decode_tools(tree.get("tools")),
        tool_choice=decode_tool_choice(tree.get("tool_choice")),
        parallel_tool_calls=_bool(tree, "parallel_tool_calls"),
        max_output_tokens=int_or_none(tree.get("max_output_tokens")),
        sampling=_decode_sampling(tree, extras),
        reasoning=_decode_reasoning(tree.get("reasoning")),
        response_format=response_format,
        verbosity=text_or_none(text.get("verbosity")),
        stream=stream,
        include_usage=stream,  # the last event of this format always tells it
        metadata=object_of(tree.get("metadata")),
        cache_retention=text_or_none(tree.get("prompt_cache_retention")),
        store=_bool(tree, "store"),
        extras=extras,
        **texts,
    )


def _keep(tree: Tree) -> dict[str, Any]:
    extras = keep(tree, _KNOWN)
    satisfied = {
        field: tree[field] for field, is_so in _SATISFIED_IF.items() if field in tree and is_so(tree[field])
    }
    for field in satisfied:
        extras.pop(f"{NAME}:{field}", None)
    return extras | ({_SATISFIED: satisfied} if satisfied else {})


def _bool(tree: Tree, field: str) -> bool | None:
    value = tree.get(field)
    return value if isinstance(value, bool) else None


def _decode_input(tree: Tree) -> tuple[Item, ...]:
    value = tree.get("input")
    if isinstance(value, str):
        return (Message("user", (TextPart(value),)),)
    if value is None and any(tree.get(field) is not None for field in _OTHER_INPUTS):
        return ()
    if not isinstance(value, list):
        kind = ErrorKind.MISSING_FIELD if value is None else None
        raise ClientError("input: expected a string or a list of items", kind=kind, param="input")
    return tuple(decode_item(item, f"input[{number}]") for number, item in enumerate(value))


def _decode_sampling(tree: Tree, extras: dict[str, Any]) -> Sampling:
    values: dict[str, Any] = {}
    for field in (*_SAMPLING, *_PENALTIES):
        value = tree.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ClientError(f"{field}: expected a number, got {type(value).__name__}", param=field)
        values[field] = value
    if any(values[field] is not None for field in _PENALTIES):
        extras[EXTENSIONS] = True
    logprobs = _WITH_LOGPROBS in list_of(tree.get("include"))
    return Sampling(logprobs=True if logprobs else None, **values)


def _decode_reasoning(value: Any) -> ReasoningOptions | None:
    if not isinstance(value, dict):
        return None
    return ReasoningOptions(
        effort=text_or_none(value.get("effort")),
        summary=text_or_none(value.get("summary")),
        extras=keep(value, _REASONING, _REASONING_SCOPE),
    )


def _decode_format(value: Any) -> ResponseFormat | None:
    match value:
        case {"type": "text" | "json_object" | "json_schema" as kind}:
            return ResponseFormat(
                kind,
                name=text_or_none(value.get("name")),
                schema=object_of(value.get("schema")) or None,
                strict=_bool(value, "strict"),
                description=text_or_none(value.get("description")),
                extras=keep(value, _FORMAT),
            )
    return None


def encode_request(request: Request) -> Encoded:
    """Write a request, and say what this format could not hold."""
    dropped: list[str] = []
    tree: Tree = {"model": request.model, "input": encode_items(request.items, dropped)}
    for field in _TEXT_FIELDS:
        put(tree, field, getattr(request, field))
    put(tree, "parallel_tool_calls", request.parallel_tool_calls)
    put(tree, "max_output_tokens", request.max_output_tokens)
    put(tree, "store", request.store)
    put(tree, "metadata", request.metadata or None)
    put(tree, "prompt_cache_retention", request.cache_retention)
    put(tree, "reasoning", _encode_reasoning(request.reasoning, dropped))
    put(tree, "text", encode_text_options(request) or None)
    if request.stream:
        tree["stream"] = True
    _encode_sampling(tree, request, dropped)
    _encode_tools(tree, request, dropped)
    if set(request.modalities) - {"text"}:
        dropped.append("modalities")
    dropped += lost_extras(NAME, request.extras)
    tree |= restore(request.extras) | object_of(request.extras.get(_SATISFIED))
    _encode_include(tree, request)
    return Encoded(tree, tuple(dropped))


def _encode_include(tree: Tree, request: Request) -> None:
    include = [*list_of(tree.get("include"))]
    if request.sampling.logprobs and _WITH_LOGPROBS not in include:
        include.append(_WITH_LOGPROBS)
    wanted = request.reasoning is not None and request.reasoning.include_thoughts
    if wanted and _WITH_ENCRYPTED not in include:
        include.append(_WITH_ENCRYPTED)  # without it the thinking could not be sent back
    if include:
        tree["include"] = include


def _encode_reasoning(options: ReasoningOptions | None, dropped: list[str]) -> Tree | None:
    if options is None:
        return None
    if options.budget_tokens is not None:
        dropped.append("reasoning.budget_tokens")
    tree: Tree = {}
    put(tree, "effort", effort_of(options))
    put(tree, "summary", options.summary or ("auto" if options.include_thoughts else None))
    return (tree | restore(options.extras, _REASONING_SCOPE)) or None


def encode_text_options(request: Request) -> Tree:
    """Write `text`: the shape and the length of the answer."""
    tree: Tree = {}
    put(tree, "format", _encode_format(request.response_format))
    put(tree, "verbosity", request.verbosity)
    return tree | restore(request.extras, _TEXT_SCOPE)


def _encode_format(response_format: ResponseFormat | None) -> Tree | None:
    if response_format is None:
        return None
    tree: Tree = {"type": response_format.kind}
    if response_format.kind == "json_schema":
        tree["name"] = response_format.name or "response"
        put(tree, "description", response_format.description)
        # Not an optional field here: a format that asks for nothing more exact takes any object.
        tree["schema"] = response_format.schema or {"type": "object"}
        put(tree, "strict", response_format.strict)
    return tree | restore(response_format.extras)


def _encode_sampling(tree: Tree, request: Request, dropped: list[str]) -> None:
    sampling = request.sampling
    for field in _SAMPLING:
        put(tree, field, getattr(sampling, field))
    unspoken = [*_UNSPOKEN]
    if EXTENSIONS in request.extras:
        for field in _PENALTIES:
            put(tree, field, getattr(sampling, field))
    else:
        unspoken += _PENALTIES
    dropped += [f"sampling.{field}" for field in unspoken if getattr(sampling, field) is not None]
    if sampling.stop:
        dropped.append("sampling.stop")


def _encode_tools(tree: Tree, request: Request, dropped: list[str]) -> None:
    tools = []
    for number, tool in enumerate(request.tools):
        encoded = encode_tool(tool)
        if encoded is None:
            dropped.append(f"tools[{number}]")
            continue
        tools.append(encoded)
        dropped += lost_extras(NAME, tool.extras, f"tools[{number}]")
    if tools:
        tree["tools"] = tools
    if request.tool_choice is None:
        return
    choice = encode_tool_choice(request.tool_choice)
    if choice is None:
        dropped.append("tool_choice")
    elif tools or isinstance(choice, str):
        tree["tool_choice"] = choice

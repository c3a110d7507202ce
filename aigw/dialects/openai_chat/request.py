"""A chat completions request: tree to `Request` and back.

Lenient by design: an unknown field is kept, not refused, for a gateway must not break what was born
yesterday. Refused is only what nothing can be made of. Source: OpenAI's API reference, read 2026-11.
"""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Encoded, Tree
from aigw.dialects.dropped import lost_extras
from aigw.dialects.fields import int_or_none, list_of, object_of, text_of, text_or_none
from aigw.dialects.openai_chat.conversation import decode_messages, encode_messages
from aigw.dialects.openai_chat.effort import effort_of
from aigw.dialects.openai_chat.fields import EXTENSIONS, MAX_TOKENS, NAME, keep, restore
from aigw.dialects.openai_chat.tools import (
    decode_tool_choice,
    decode_tools,
    encode_tool,
    encode_tool_choice,
    split_legacy,
)
from aigw.errors import ClientError, ErrorKind
from aigw.model import ReasoningOptions, Request, ResponseFormat, Sampling

# Names that are the same on both sides.
_SAME_SAMPLING = (
    *("temperature", "top_p", "presence_penalty", "frequency_penalty", "n", "seed"),
    *("logprobs", "top_logprobs", "logit_bias"),
)
_EXTENSIONS = ("top_k", "min_p", "repetition_penalty")
_TEXT_FIELDS = ("verbosity", "service_tier", "user", "safety_identifier", "prompt_cache_key")
_KNOWN = frozenset(
    (
        *_SAME_SAMPLING,
        *_EXTENSIONS,
        *_TEXT_FIELDS,
        "model",
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "reasoning_effort",
        "response_format",
        "modalities",
        "stream",
        "stream_options",
        "metadata",
        "prompt_cache_retention",
        "store",
    )
)
_STREAM_OPTIONS = frozenset(("include_usage",))
_STREAM_SCOPE = "@stream_options/"
_STOP_STRING = f"{NAME}:@stop_string"
_FORMAT = frozenset(("type", "json_schema"))
_SCHEMA = frozenset(("name", "schema", "strict", "description"))


def decode_request(tree: Tree) -> Request:
    """Read a request. Raises ClientError with `param` on what nothing can be made of."""
    model = tree.get("model")
    if not isinstance(model, str) or not model:
        kind = ErrorKind.MISSING_FIELD if model is None else None
        raise ClientError("model: expected a non-empty string", kind=kind, param="model")
    extras = keep(tree, _KNOWN)
    options = object_of(tree.get("stream_options"))
    extras |= keep(options, _STREAM_OPTIONS, _STREAM_SCOPE)
    response_format = _decode_format(tree.get("response_format"))
    if response_format is None and tree.get("response_format") is not None:
        extras[f"{NAME}:response_format"] = tree["response_format"]
    effort = text_or_none(tree.get("reasoning_effort"))
    return Request(
        model=model,
        items=decode_messages(tree.get("messages")),
        tools=decode_tools(tree),
        tool_choice=decode_tool_choice(tree),
        parallel_tool_calls=_bool(tree, "parallel_tool_calls"),
        max_output_tokens=_decode_limit(tree, extras),
        sampling=_decode_sampling(tree, extras),
        reasoning=None if effort is None else ReasoningOptions(effort=effort),
        response_format=response_format,
        modalities=tuple(text_of(value) for value in list_of(tree.get("modalities"))),
        stream=tree.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        metadata=object_of(tree.get("metadata")),
        cache_retention=text_or_none(tree.get("prompt_cache_retention")),
        store=_bool(tree, "store"),
        extras=extras,
        **{field: text_or_none(tree.get(field)) for field in _TEXT_FIELDS},
    )


def _bool(tree: Tree, field: str) -> bool | None:
    value = tree.get(field)
    return value if isinstance(value, bool) else None


def _decode_limit(tree: Tree, extras: dict[str, Any]) -> int | None:
    modern, old = int_or_none(tree.get("max_completion_tokens")), int_or_none(tree.get("max_tokens"))
    if modern is None and old is not None:
        extras[MAX_TOKENS] = True
        return old
    if old is not None:
        extras[f"{NAME}:max_tokens"] = old
    return modern


def _decode_sampling(tree: Tree, extras: dict[str, Any]) -> Sampling:
    stop = tree.get("stop")
    if isinstance(stop, str):
        extras[_STOP_STRING] = True
        stop = [stop]
    spoken = [field for field in _EXTENSIONS if tree.get(field) is not None]
    if spoken:
        extras[EXTENSIONS] = spoken
    values = {field: _sampling_value(tree, field) for field in (*_SAME_SAMPLING, *_EXTENSIONS)}
    return Sampling(stop=tuple(text_of(value) for value in list_of(stop)), **values)


def _sampling_value(tree: Tree, field: str) -> Any:
    value = tree.get(field)
    if value is None:
        return None
    wanted: tuple[type, ...] = (int, float)
    if field == "logit_bias":
        wanted = (dict,)
    elif field == "logprobs":
        wanted = (bool,)
    if not isinstance(value, wanted) or (isinstance(value, bool) and field != "logprobs"):
        raise ClientError(f"{field}: expected {wanted[0].__name__}, got {type(value).__name__}", param=field)
    return value


def _decode_format(value: Any) -> ResponseFormat | None:
    match value:
        case {"type": "json_schema", "json_schema": dict(inner)}:
            return ResponseFormat(
                "json_schema",
                name=text_or_none(inner.get("name")),
                schema=object_of(inner.get("schema")) or None,
                strict=_bool(inner, "strict"),
                description=text_or_none(inner.get("description")),
                extras=keep(value, _FORMAT) | keep(inner, _SCHEMA, "@schema/"),
            )
        case {"type": "text" | "json_object" as kind}:
            return ResponseFormat(kind, extras=keep(value, _FORMAT))
    return None


def encode_request(request: Request) -> Encoded:
    """Write a request, and say what this format could not hold."""
    dropped: list[str] = []
    extras = request.extras
    tree: Tree = {"model": request.model, "messages": encode_messages(request, dropped)}
    _put(tree, "reasoning_effort", _encode_reasoning(request.reasoning, dropped))
    _put(tree, "response_format", _encode_format(request.response_format))
    _put(tree, "parallel_tool_calls", request.parallel_tool_calls)
    _put(tree, "max_tokens" if MAX_TOKENS in extras else "max_completion_tokens", request.max_output_tokens)
    _encode_sampling(tree, request, dropped)
    _encode_tools(tree, request, dropped)
    for field in _TEXT_FIELDS:
        _put(tree, field, getattr(request, field))
    _put(tree, "prompt_cache_retention", request.cache_retention)
    _put(tree, "store", request.store)
    _put(tree, "metadata", request.metadata or None)
    _put(tree, "modalities", list(request.modalities) or None)
    _encode_stream(tree, request)
    if request.previous_response_id is not None:
        dropped.append("previous_response_id")
    dropped += lost_extras(NAME, extras)
    return Encoded({**tree, **restore(extras)}, tuple(dropped))


def _put(tree: Tree, field: str, value: Any) -> None:
    if value is not None:
        tree[field] = value


def _encode_stream(tree: Tree, request: Request) -> None:
    if request.stream:
        tree["stream"] = True
    options = restore(request.extras, _STREAM_SCOPE)
    if request.include_usage:
        options["include_usage"] = True
    if options and request.stream:
        tree["stream_options"] = options


def _encode_reasoning(options: ReasoningOptions | None, dropped: list[str]) -> str | None:
    if options is None:
        return None
    unspoken = ("budget_tokens", "summary")
    dropped += [f"reasoning.{field}" for field in unspoken if getattr(options, field) is not None]
    return effort_of(options)


def _encode_format(response_format: ResponseFormat | None) -> Tree | None:
    if response_format is None:
        return None
    tree: Tree = {"type": response_format.kind, **restore(response_format.extras)}
    if response_format.kind == "json_schema":
        inner: Tree = {"name": response_format.name or "response"}
        for field in ("description", "schema", "strict"):
            _put(inner, field, getattr(response_format, field))
        tree["json_schema"] = inner | restore(response_format.extras, "@schema/")
    return tree


def _encode_sampling(tree: Tree, request: Request, dropped: list[str]) -> None:
    sampling = request.sampling
    for field in _SAME_SAMPLING:
        _put(tree, field, getattr(sampling, field))
    spoken = request.extras.get(EXTENSIONS, ())
    for field in _EXTENSIONS:
        if field in spoken:
            _put(tree, field, getattr(sampling, field))
        elif getattr(sampling, field) is not None:
            dropped.append(f"sampling.{field}")
    if sampling.stop:
        single = _STOP_STRING in request.extras and len(sampling.stop) == 1
        tree["stop"] = sampling.stop[0] if single else list(sampling.stop)


def _encode_tools(tree: Tree, request: Request, dropped: list[str]) -> None:
    modern, functions = split_legacy(request.tools)
    tools = []
    for number, tool in enumerate(modern):
        encoded = encode_tool(tool)
        if encoded is None:
            dropped.append(f"tools[{number}]")
        else:
            tools.append(encoded)
            dropped += lost_extras(NAME, tool.extras, f"tools[{number}]")
    if tools:
        tree["tools"] = tools
    if functions:
        tree["functions"] = functions
    if request.tool_choice is not None:
        choice = encode_tool_choice(request.tool_choice)
        if choice is None:
            dropped.append("tool_choice")
        elif tools or functions or "function_call" in choice:
            tree |= choice

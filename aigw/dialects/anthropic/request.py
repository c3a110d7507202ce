"""A messages request: tree to `Request` and back.

Lenient by design: an unknown field is kept, not refused, for a gateway must not break what was born
yesterday. Source: Anthropic's API reference and the types of its SDK, read 2026-11.
"""

from __future__ import annotations

from typing import Any

from aigw.dialects.anthropic.conversation import Conversation, decode_messages, decode_system
from aigw.dialects.anthropic.fields import NAME, keep, restore
from aigw.dialects.anthropic.options import (
    decode_config_extras,
    decode_format,
    decode_reasoning,
    encode_output,
    encode_thinking,
)
from aigw.dialects.anthropic.tools import (
    decode_tool_choice,
    decode_tools,
    encode_tool_choice,
    encode_tools,
    forces_a_call,
)
from aigw.dialects.base import Encoded, Tree
from aigw.dialects.fields import int_or_none, list_of, object_of, put, text_of, text_or_none
from aigw.errors import ClientError, ErrorKind
from aigw.model import Request, Sampling

DEFAULT_MAX_TOKENS = 8192
"""What is asked for where the caller set no limit, since this format insists on one.

All models since Claude 3.5 can write that much, and few answers are longer; a thinking budget is added.
"""

MAX_TEMPERATURE = 1.0
_MIN_TOP_P_THINKING = 0.95

_KNOWN = frozenset(
    (
        *("model", "messages", "system", "max_tokens", "stream", "stop_sequences"),
        *("temperature", "top_p", "top_k", "tools", "tool_choice", "metadata", "service_tier"),
        *("thinking", "output_config"),
    )
)
_METADATA = frozenset(("user_id",))
_METADATA_SCOPE = "@metadata/"
_TIERS = {"auto": "auto", "standard_only": "default"}
_TIER_WORDS = {tier: word for word, tier in _TIERS.items()}
_UNSPOKEN_SAMPLING = (
    *("min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("logit_bias", "logprobs", "top_logprobs"),
)
_UNSPOKEN = ("verbosity", "prompt_cache_key", "cache_retention", "previous_response_id")


def decode_request(tree: Tree) -> Request:
    """Read a request. Raises ClientError with `param` on what nothing can be made of.

    max_tokens may be absent: of what else answers than Anthropic, few ask for it.
    """
    model = tree.get("model")
    if not isinstance(model, str) or not model:
        kind = ErrorKind.MISSING_FIELD if model is None else None
        raise ClientError("model: expected a non-empty string", kind=kind, param="model")
    instructions, system = decode_system(tree.get("system"))
    tool_choice, parallel = decode_tool_choice(tree.get("tool_choice"))
    metadata = object_of(tree.get("metadata"))
    response_format = decode_format(tree)
    extras = keep(tree, _KNOWN if response_format is None else _KNOWN | {"output_format"})
    extras |= keep(metadata, _METADATA, _METADATA_SCOPE)
    extras |= decode_config_extras(tree, known_format=response_format is not None)
    tier = text_or_none(tree.get("service_tier"))
    stream = tree.get("stream") is True
    return Request(
        model=model,
        items=system + decode_messages(tree.get("messages")),
        instructions=instructions,
        tools=decode_tools(tree.get("tools")),
        tool_choice=tool_choice,
        parallel_tool_calls=parallel,
        max_output_tokens=int_or_none(tree.get("max_tokens")),
        sampling=_decode_sampling(tree),
        reasoning=decode_reasoning(tree),
        response_format=response_format,
        stream=stream,
        include_usage=stream,  # in this format every stream tells them
        service_tier=None if tier is None else _TIERS.get(tier, tier),
        user=text_or_none(metadata.get("user_id")),
        extras=extras,
    )


def _decode_sampling(tree: Tree) -> Sampling:
    stop = tuple(text_of(value) for value in list_of(tree.get("stop_sequences")))
    return Sampling(
        temperature=_number(tree, "temperature"),
        top_p=_number(tree, "top_p"),
        top_k=int_or_none(tree.get("top_k")),
        stop=stop,
    )


def _number(tree: Tree, field: str) -> float | None:
    value = tree.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClientError(f"{field}: expected a number, got {type(value).__name__}", param=field)
    return value


def encode_request(request: Request) -> Encoded:
    """Write a request, and say what this format could not hold."""
    dropped: list[str] = []
    conversation = Conversation(request, dropped)
    tree: Tree = {"model": request.model, "messages": conversation.messages()}
    put(tree, "system", conversation.system())
    _encode_tools(tree, request, dropped)
    _encode_thinking(tree, request, conversation, dropped)
    tree["max_tokens"] = _limit(request, tree)
    _encode_sampling(tree, request, dropped)
    if request.stream:
        tree["stream"] = True
    tree |= encode_output(request, dropped)
    _encode_rest(tree, request, dropped)
    dropped += [key for key in request.extras if not key.startswith(NAME + ":") and "@" not in key]
    return Encoded({**tree, **restore(request.extras)}, tuple(dropped))


def _encode_tools(tree: Tree, request: Request, dropped: list[str]) -> None:
    tools = encode_tools(request, dropped)
    if tools:
        tree["tools"] = tools
        put(tree, "tool_choice", encode_tool_choice(request, dropped))


def _encode_thinking(tree: Tree, request: Request, conversation: Conversation, dropped: list[str]) -> None:
    thinking = encode_thinking(request.reasoning)
    if thinking is None:
        return
    if thinking.get("type") == "enabled" and (
        # Both are refused with thinking of a set budget: a call that is forced, and a round of calls
        # that was begun without thinking (by another provider, say).
        forces_a_call(tree.get("tool_choice")) or conversation.calls_without_thinking()
    ):
        dropped.append("reasoning")
        return
    tree["thinking"] = thinking


def _limit(request: Request, tree: Tree) -> int:
    if request.max_output_tokens is not None:
        return request.max_output_tokens
    budget = int_or_none(object_of(tree.get("thinking")).get("budget_tokens")) or 0
    return DEFAULT_MAX_TOKENS + budget


def _encode_sampling(tree: Tree, request: Request, dropped: list[str]) -> None:
    sampling = request.sampling
    thinks = text_of(object_of(tree.get("thinking")).get("type")) in {"enabled", "adaptive"}
    values: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
    }
    for field, value in values.items():
        if value is None:
            continue
        if thinks and not _bears_thinking(field, value):
            dropped.append(f"sampling.{field}")
            continue
        if field == "temperature" and value > MAX_TEMPERATURE:
            dropped.append("sampling.temperature")
            tree[field] = MAX_TEMPERATURE
            continue
        tree[field] = value
    # The API refuses a stop sequence of white space alone.
    dropped += [f"sampling.stop[{n}]" for n, stop in enumerate(sampling.stop) if not stop.strip()]
    if stops := [stop for stop in sampling.stop if stop.strip()]:
        tree["stop_sequences"] = stops
    dropped += [f"sampling.{name}" for name in _UNSPOKEN_SAMPLING if getattr(sampling, name)]
    if sampling.seed is not None:
        dropped.append("sampling.seed")
    if sampling.n is not None and sampling.n != 1:
        dropped.append("sampling.n")


def _bears_thinking(field: str, value: float) -> bool:
    # The API refuses other values while the model thinks.
    if field == "temperature":
        return value == 1
    return field == "top_p" and value >= _MIN_TOP_P_THINKING


def _encode_rest(tree: Tree, request: Request, dropped: list[str]) -> None:
    metadata = restore(request.extras, _METADATA_SCOPE)
    put(metadata, "user_id", request.user or request.safety_identifier)
    if metadata:
        tree["metadata"] = metadata
    if request.user and request.safety_identifier:
        dropped.append("safety_identifier")
    tier = request.service_tier
    if tier is not None:
        if tier in _TIER_WORDS or tier in _TIERS:
            tree["service_tier"] = _TIER_WORDS.get(tier, tier)
        else:
            dropped.append("service_tier")
    dropped += [field for field in _UNSPOKEN if getattr(request, field) is not None]
    if request.metadata:
        dropped.append("metadata")
    if request.store:
        dropped.append("store")
    if any(kind != "text" for kind in request.modalities):
        dropped.append("modalities")

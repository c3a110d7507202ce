"""What an operator may say of models that refuse parts of a request: `[profiles."my-model-*"]`.

Plain frozen values. Knows the names of a request's places, and nothing of what is in the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from attrs import field, frozen

from aigw.config import checks
from aigw.config.checks import Check, Wanted, each, each_key

ApiName = Literal[
    "chat", "responses", "messages", "gemini", "completions", "embeddings", "images", "audio", "moderations"
]

RequestPath = Literal[
    "sampling.temperature",
    "sampling.top_p",
    "sampling.top_k",
    "sampling.min_p",
    "sampling.presence_penalty",
    "sampling.frequency_penalty",
    "sampling.repetition_penalty",
    "sampling.logit_bias",
    "sampling.seed",
    "sampling.stop",
    "sampling.n",
    "sampling.logprobs",
    "sampling.top_logprobs",
    "reasoning",
    "reasoning.effort",
    "reasoning.budget_tokens",
    "reasoning.summary",
    "reasoning.include_thoughts",
    "response_format",
    "response_format.kind",
    "response_format.strict",
    "response_format.description",
    "tools",
    "tools.strict",
    "tool_choice",
    "parallel_tool_calls",
    "items.name",
    "max_output_tokens",
    "verbosity",
    "modalities",
    "metadata",
    "service_tier",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "cache_retention",
    "store",
]
"""Places in a request that a profile may change; they are named alike in `x-aigw-dropped`."""

_PATHS = get_args(RequestPath)
_path: Check[str] = Check(f"one of {', '.join(_PATHS)}", lambda text: text in _PATHS)
_fillable: Check[str] = Check(
    "a place such as sampling.temperature, or a field of one format such as openresponses:include",
    lambda text: (text in _PATHS and not text.startswith(("tools", "items"))) or ":" in text,
)


def _mappable(_instance: object, _attribute: object, values: Mapping[str, dict[str, str]]) -> None:
    wrong = {path: Wanted("at least one value and what stands for it") for path in values if not values[path]}
    if wrong:
        raise Wanted(inside=wrong)


@frozen
class ProfileConfig:
    """One family of models. Its name is also the pattern of their names, unless `models` says other ones.

    models, unless: patterns of the provider's own model names. providers: names or kinds; none means all.
    apis: formats in which they are spoken to; none means all.
    replace: in place of what the catalogue knows of these models, rather than over it.
    drop: places of a request that they refuse.
    values: by place, values that they do not know and what stands for them.
    defaults: by place, what is said where the caller says nothing.
    rename: fields of the request on the wire, and the names that they know them by.
    max_output_tokens: the most that may be asked for.
    thinking: the only kind that they know: none, by a budget, or adaptive.
    prefill: whether they take an assistant's last message for the beginning of their answer.
    """

    models: tuple[str, ...] = field(default=(), validator=each(checks.filled))
    unless: tuple[str, ...] = field(default=(), validator=each(checks.filled))
    providers: tuple[str, ...] = field(default=(), validator=each(checks.filled))
    apis: tuple[ApiName, ...] = ()
    replace: bool = False
    drop: tuple[RequestPath, ...] = ()
    values: dict[str, dict[str, str]] = field(factory=dict, validator=[each_key(_path), _mappable])
    defaults: dict[str, object] = field(factory=dict, validator=each_key(_fillable))
    rename: dict[str, str] = field(factory=dict, validator=each_key(checks.filled))
    max_output_tokens: int | None = field(default=None, validator=checks.at_least_one)
    thinking: Literal["none", "budget", "adaptive"] | None = None
    prefill: bool | None = None

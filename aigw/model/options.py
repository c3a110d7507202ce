"""How an answer is to be made: sampling, depth of reasoning, shape of the output. No wire format."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from aigw.model.extras import Extras, JsonObject


@frozen
class Sampling:
    """Numbers that steer the sampler; None leaves the choice to the provider.

    n: how many answers. logprobs: whether token probabilities are wanted at all.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


@frozen
class ReasoningOptions:
    """How hard to think, and what to show of it.

    effort: "none", "minimal", "low", "medium", "high", or what a provider adds.
    budget_tokens: a limit in tokens. enabled: on or off where that is all a format can say.
    adaptive: the model decides by itself. summary: "auto", "concise", "detailed".
    include_thoughts: whether the thinking is wanted in the answer.
    """

    effort: str | None = None
    budget_tokens: int | None = None
    enabled: bool | None = None
    adaptive: bool | None = None
    summary: str | None = None
    include_thoughts: bool | None = None
    extras: Extras = field(factory=dict)


@frozen
class ResponseFormat:
    """The shape the answer's text must have. schema: a JSON schema, for kind "json_schema"."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None
    description: str | None = None
    extras: Extras = field(factory=dict)

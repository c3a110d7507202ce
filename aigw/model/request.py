"""One request for an answer, in no format's words."""

from __future__ import annotations

from attrs import field, frozen

from aigw.model.extras import Extras
from aigw.model.items import Item
from aigw.model.options import ReasoningOptions, ResponseFormat, Sampling
from aigw.model.tools import ForeignToolChoice, Tool, ToolChoice


@frozen
class Request:
    """What a caller asks of a model. Change it with `attrs.evolve`, never in place.

    instructions: system text of formats that keep it apart from the conversation; formats that put it
        among the messages decode it as a Message of role "system" or "developer" instead.
    stream, include_usage: how the caller wants to be answered; include_usage matters for streams alone.
    user: who the end user is, in the caller's own naming; safety_identifier likewise, hashed.
    cache_retention: how long a provider may keep the prompt's cache.
    modalities: kinds of output wanted ("text", "audio", "image"); empty means the model's default.
    previous_response_id: conversation kept by the answering side, to be continued.
    """

    model: str
    items: tuple[Item, ...] = ()
    instructions: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | ForeignToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    sampling: Sampling = field(factory=Sampling)
    reasoning: ReasoningOptions | None = None
    response_format: ResponseFormat | None = None
    verbosity: str | None = None
    modalities: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    metadata: dict[str, str] = field(factory=dict)
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    cache_retention: str | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    extras: Extras = field(factory=dict)

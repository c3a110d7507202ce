"""One whole answer, in no format's words."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen

from aigw.model.extras import Extras
from aigw.model.items import FunctionCall, Item, Message
from aigw.model.usage import Usage


class FinishReason(StrEnum):
    """Why an answer ended. What no format names is UNKNOWN, with the raw value kept beside it."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    CONTEXT_LENGTH = "context_length"
    PAUSE = "pause"
    CANCELLED = "cancelled"
    ERROR = "error"
    UNKNOWN = "unknown"


@frozen
class Choice:
    """One of the answers to one request; there is one unless `n` asked for more.

    finish_raw: the provider's own word for the reason, kept for the way back.
    stop_sequence: which one was met, if one was.
    """

    items: tuple[Item, ...] = ()
    finish_reason: FinishReason | None = None
    finish_raw: str | None = None
    stop_sequence: str | None = None
    index: int = 0
    extras: Extras = field(factory=dict)

    @property
    def text(self) -> str:
        """All that the choice's messages say, in one string."""
        return "".join([item.text for item in self.items if isinstance(item, Message)])

    @property
    def calls(self) -> tuple[FunctionCall, ...]:
        """The tool calls it asks for."""
        return tuple(item for item in self.items if isinstance(item, FunctionCall))


@frozen
class Response:
    """What a model answered. created: Unix seconds. status: of formats that name one."""

    id: str | None = None
    model: str | None = None
    created: int | None = None
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    service_tier: str | None = None
    status: str | None = None
    extras: Extras = field(factory=dict)

    @property
    def items(self) -> tuple[Item, ...]:
        """Items of the first choice, which is the only one nearly always."""
        return self.choices[0].items if self.choices else ()

    @property
    def text(self) -> str:
        """Text of the first choice."""
        return self.choices[0].text if self.choices else ""

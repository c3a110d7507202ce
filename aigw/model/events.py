"""Events: what happens while an answer streams, each told once and as little as possible.

The laws every decoder keeps, and every encoder may rely on:

- Started comes first, if anything comes but Failed. The last event is Finished or Failed, exactly once.
- In one choice at most one item is open at a time: ItemOpened, its deltas, ItemClosed. Items are
  numbered from 0 in the order they open, per choice. Choices may interleave.
- The deltas alone tell an item's texts: a skeleton holds none, and ItemClosed.item adds fields at most.
- Each choice ends with one ChoiceFinished, after its last item has closed.
- UsageReported holds the whole count so far; the last one counts, and comes before Finished or Failed.

`choice` is 0 unless the caller asked for several answers. `index` is an item's number in its choice,
`part` a part's number in its item. Values are `@define`d, not frozen: a stream makes thousands.
"""

from __future__ import annotations

from typing import Literal

from attrs import define, field

from aigw.errors import GatewayError
from aigw.model.extras import Extras, JsonObject
from aigw.model.items import Item
from aigw.model.parts import Annotation, Part
from aigw.model.response import FinishReason
from aigw.model.usage import Usage

ReasoningKind = Literal["content", "summary", "signature", "encrypted", "redacted"]


@define
class Started:
    """The provider has begun to answer. created: Unix seconds."""

    id: str | None = None
    model: str | None = None
    created: int | None = None
    service_tier: str | None = None
    extras: Extras = field(factory=dict)


@define
class ItemOpened:
    """An item begins. item: its skeleton, all that is known of it but its texts."""

    index: int
    item: Item
    choice: int = 0


@define
class TextDelta:
    """More text of a message, appended to its text part number `part`."""

    index: int
    text: str
    part: int = 0
    choice: int = 0
    logprobs: tuple[JsonObject, ...] = ()


@define
class RefusalDelta:
    """More of a refusal, appended to the message's refusal part number `part`."""

    index: int
    text: str
    part: int = 0
    choice: int = 0
    logprobs: tuple[JsonObject, ...] = ()


@define
class ReasoningDelta:
    """More of a reasoning item: of a text, or of one of its opaque fields.

    part: number of the text among those of its kind.
    extras: what one format says beside it; fold joins lists, and lets later values win.
    """

    index: int
    text: str
    kind: ReasoningKind = "content"
    part: int = 0
    choice: int = 0
    extras: Extras | None = None


@define
class ArgumentsDelta:
    """More of a tool call's arguments."""

    index: int
    text: str
    choice: int = 0


@define
class AudioDelta:
    """More of a spoken answer. data: base64 of whole bytes, each delta decodable by itself."""

    index: int
    data: str = ""
    transcript: str = ""
    part: int = 0
    choice: int = 0
    id: str | None = None
    expires_at: int | None = None


@define
class PartAdded:
    """A part that came whole (a picture, a foreign part); it takes the number `part`."""

    index: int
    added: Part
    part: int = 0
    choice: int = 0


@define
class AnnotationAdded:
    """A citation for the message's text part number `part`."""

    index: int
    annotation: Annotation
    part: int = 0
    choice: int = 0


@define
class ItemClosed:
    """An item is whole. item: all of it, where a format repeats it; it then outranks the deltas."""

    index: int
    item: Item | None = None
    choice: int = 0


@define
class ExtrasAdded:
    """Fields that one format alone has: of the response, or of a choice or an item if those are named."""

    extras: Extras
    choice: int | None = None
    index: int | None = None


@define
class ChoiceFinished:
    """One choice is whole."""

    reason: FinishReason
    raw: str | None = None
    stop_sequence: str | None = None
    choice: int = 0


@define
class UsageReported:
    """Token counts of the whole answer up to now."""

    usage: Usage


@define
class Finished:
    """The answer is whole. reason and raw repeat those of choice 0, for whoever watches the end alone."""

    reason: FinishReason = FinishReason.UNKNOWN
    raw: str | None = None


@define
class Failed:
    """The answer will never be whole."""

    error: GatewayError


@define
class Foreign:
    """An event that only the format `origin` has (a hosted tool's progress), as that format wrote it."""

    origin: str
    name: str
    tree: JsonObject
    choice: int = 0
    index: int | None = None


Event = (
    Started
    | ItemOpened
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ArgumentsDelta
    | AudioDelta
    | PartAdded
    | AnnotationAdded
    | ItemClosed
    | ExtrasAdded
    | ChoiceFinished
    | UsageReported
    | Finished
    | Failed
    | Foreign
)

"""Unfolding a whole answer into events, for a caller who wants a stream of a provider without one.

The reverse of `aigw.model.fold`: folding what this yields gives the same answer again.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from aigw.model.events import (
    AnnotationAdded,
    ArgumentsDelta,
    ChoiceFinished,
    Event,
    ExtrasAdded,
    Finished,
    ItemClosed,
    ItemOpened,
    PartAdded,
    ReasoningDelta,
    ReasoningKind,
    RefusalDelta,
    Started,
    TextDelta,
    UsageReported,
)
from aigw.model.items import FunctionCall, Item, Message, Reasoning
from aigw.model.parts import Part, RefusalPart, TextPart
from aigw.model.response import Choice, FinishReason, Response


def unfold(response: Response) -> Iterator[Event]:
    """Yield the events of a stream that would have brought this answer."""
    yield Started(response.id, response.model, response.created, response.service_tier, dict(response.extras))
    for choice in response.choices:
        yield from _choice(choice)
    if response.usage is not None:
        yield UsageReported(response.usage)
    if response.choices:
        first = response.choices[0]
        yield Finished(first.finish_reason or FinishReason.UNKNOWN, first.finish_raw)
    else:
        yield Finished()


def _choice(choice: Choice) -> Iterator[Event]:
    if choice.extras:
        yield ExtrasAdded(dict(choice.extras), choice.index)
    for index, item in enumerate(choice.items):
        yield ItemOpened(index, _skeleton(item), choice.index)
        yield from _deltas(item, index, choice.index)
        yield ItemClosed(index, choice=choice.index)
    # A whole answer may leave its reason out (Snowflake's do); a stream has to end on one.
    reason = choice.finish_reason or (FinishReason.TOOL_CALLS if choice.calls else FinishReason.STOP)
    yield ChoiceFinished(reason, choice.finish_raw, choice.stop_sequence, choice.index)


def _skeleton(item: Item) -> Item:
    match item:
        case Message():
            return evolve(item, parts=())
        case FunctionCall():
            return evolve(item, arguments="")
        case Reasoning():
            return evolve(item, summary=(), content=(), signature=None, encrypted_content=None, redacted=None)
        case _:
            return item


def _deltas(item: Item, index: int, choice: int) -> Iterator[Event]:
    match item:
        case Message():
            for number, part in enumerate(item.parts):
                yield from _part(part, index, number, choice)
        case FunctionCall():
            if item.arguments:
                yield ArgumentsDelta(index, item.arguments, choice)
        case Reasoning():
            yield from _reasoning(item, index, choice)
        case _:
            return


def _part(part: Part, index: int, number: int, choice: int) -> Iterator[Event]:
    match part:
        case TextPart(extras=extras, signature=signature) if not extras and signature is None:
            yield TextDelta(index, part.text, number, choice, part.logprobs)
            for annotation in part.annotations:
                yield AnnotationAdded(index, annotation, number, choice)
        case RefusalPart(extras=extras) if not extras:
            yield RefusalDelta(index, part.text, number, choice, part.logprobs)
        case _:
            yield PartAdded(index, part, number, choice)


def _reasoning(item: Reasoning, index: int, choice: int) -> Iterator[Event]:
    for number, text in enumerate(item.summary):
        yield ReasoningDelta(index, text, "summary", number, choice)
    for number, text in enumerate(item.content):
        yield ReasoningDelta(index, text, "content", number, choice)
    opaque: tuple[tuple[ReasoningKind, str | None], ...] = (
        ("signature", item.signature),
        ("encrypted", item.encrypted_content),
        ("redacted", item.redacted),
    )
    for kind, value in opaque:
        if value:
            yield ReasoningDelta(index, value, kind, 0, choice)

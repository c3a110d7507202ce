"""Tool calls that a request does not allow never reach its client, whatever the provider makes of that.

Owns `allowed_tools` and the choice "none" as hard constraints. Pure: canonical events and answers in and
out, in no format's words. A call that is not allowed is left out as if the model had not made it. Where
nothing else has been said the answer would be an empty one that calls itself complete: it fails instead,
so that another target can be tried.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import define, evolve, field, frozen

from aigw.dialects.base import StreamDecoder
from aigw.errors import ErrorKind, UpstreamError
from aigw.model import (
    Choice,
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Foreign,
    ForeignItem,
    FunctionCall,
    Item,
    ItemOpened,
    Message,
    Request,
    Response,
    ToolChoice,
)

_CALL = "_call"  # how the type of a hosted tool's call ends; before it stands the tool's


@frozen
class Restraint:
    """Which calls may be made. names: of functions and custom tools.

    hosted: types of a provider's own tools, and "mcp:label" for one server's.
    """

    names: frozenset[str] = frozenset()
    hosted: frozenset[str] = frozenset()

    def refused(self, item: Item) -> str | None:
        """Return the name of the tool that this item calls and must not; None where all is well."""
        match item:
            case FunctionCall():
                return None if item.name in self.names else item.name
            case ForeignItem():
                return self._refused_hosted(item.tree)
            case _:
                return None

    def _refused_hosted(self, tree: dict[str, Any]) -> str | None:
        kind = tree.get("type")
        if not isinstance(kind, str) or not kind.endswith(_CALL):
            return None
        tool = kind.removesuffix(_CALL)
        label = f"{tool}:{tree.get('server_label')}"
        # A tool's type may carry its date, or "preview".
        known = label in self.hosted or any(one.startswith(tool) and ":" not in one for one in self.hosted)
        return None if known else tool


def restraint_of(request: Request | None) -> Restraint | None:
    """Return what a request allows; None where it allows every call."""
    choice = None if request is None else request.tool_choice
    if not isinstance(choice, ToolChoice):
        return None
    if choice.mode == "none":
        return Restraint()
    if not choice.allowed:
        return None
    return Restraint(frozenset(filter(None, choice.allowed)), frozenset(_hosted(choice)))


def _hosted(choice: ToolChoice) -> Iterable[str]:
    # Formats with hosted tools keep the list as it came beside the names.
    for value in choice.extras.values():
        for tool in value if isinstance(value, list) else ():
            if isinstance(tool, dict) and isinstance(kind := tool.get("type"), str) and "name" not in tool:
                label = tool.get("server_label")
                yield kind if label is None else f"{kind}:{label}"


def refusal(names: Iterable[str]) -> UpstreamError:
    """Return the failure of an answer that was nothing but calls it must not make."""
    told = ", ".join(f'"{name}"' for name in names)
    return UpstreamError(
        f"the model called {told}, which tool_choice does not allow, and said nothing else",
        kind=ErrorKind.UPSTREAM_ERROR,
        code="model_error",
    )


def without_refused_calls(response: Response, restraint: Restraint | None) -> Response:
    """Leave the calls out of a whole answer. Raises UpstreamError where nothing else is in it."""
    if restraint is None:
        return response
    return evolve(response, choices=tuple(_choice(choice, restraint) for choice in response.choices))


def _choice(choice: Choice, restraint: Restraint) -> Choice:
    refused = [name for item in choice.items if (name := restraint.refused(item)) is not None]
    if not refused:
        return choice
    kept = tuple(item for item in choice.items if restraint.refused(item) is None)
    if not any(_says_something(item) for item in kept):
        raise refusal(refused)
    if choice.finish_reason is not FinishReason.TOOL_CALLS or any(
        isinstance(one, FunctionCall) for one in kept
    ):
        return evolve(choice, items=kept)
    return evolve(choice, items=kept, finish_reason=FinishReason.STOP, finish_raw=None)


def _says_something(item: Item) -> bool:
    return isinstance(item, Message | FunctionCall | ForeignItem)


@define(eq=False)
class _Told:
    """One choice as far as it has come. places: where each item that is told stands now."""

    places: dict[int, int] = field(factory=dict)
    refused: dict[int, str] = field(factory=dict)
    ids: set[object] = field(factory=set)
    says_something: bool = False
    has_calls: bool = False


class CallFilter:
    """Events in, those the client may see out; the laws of events hold for them too."""

    def __init__(self, restraint: Restraint) -> None:
        self._restraint = restraint
        self._choices: dict[int, _Told] = {}
        self._reason: tuple[FinishReason, str | None] | None = None
        self._failed = False

    def filter(self, events: Iterable[Event]) -> list[Event]:
        """Return what is left of some events."""
        return [kept for event in events if (kept := self._one(event)) is not None]

    def _one(self, event: Event) -> Event | None:
        if self._failed:
            return None
        if isinstance(event, Finished):
            return event if self._reason is None else Finished(*self._reason)
        number = getattr(event, "choice", None)
        if number is None:
            return event
        told = self._choices.setdefault(number, _Told())
        if isinstance(event, ItemOpened):
            return self._opened(event, told)
        if isinstance(event, ChoiceFinished):
            return self._finished(event, told)
        return self._about_item(event, told)

    def _opened(self, event: ItemOpened, told: _Told) -> Event | None:
        refused = self._restraint.refused(event.item)
        if refused is not None:
            told.refused[event.index] = refused
            if isinstance(event.item, ForeignItem):
                told.ids.add(event.item.tree.get("id"))
            return None
        told.says_something = told.says_something or _says_something(event.item)
        told.has_calls = told.has_calls or isinstance(event.item, FunctionCall)
        place = told.places[event.index] = len(told.places)
        return evolve(event, index=place)

    def _about_item(self, event: Any, told: _Told) -> Event | None:
        index = getattr(event, "index", None)
        if index in told.refused or (isinstance(event, Foreign) and event.tree.get("item_id") in told.ids):
            return None
        if index is not None:
            event.index = told.places.get(index, index)
        return event  # type: ignore[no-any-return]

    def _finished(self, event: ChoiceFinished, told: _Told) -> Event:
        if not told.refused:
            return event
        if not told.says_something:
            self._failed = True
            return Failed(refusal(told.refused.values()))
        if event.reason is FinishReason.TOOL_CALLS and not told.has_calls:
            event = evolve(event, reason=FinishReason.STOP, raw=None)
            if event.choice == 0:
                self._reason = (event.reason, None)
        return event


class RestrainedDecoder:
    """A decoder whose events are held to what the request allows."""

    def __init__(self, decoder: StreamDecoder, restraint: Restraint) -> None:
        self._decoder = decoder
        self._filter = CallFilter(restraint)

    def feed(self, chunk: bytes) -> list[Event]:
        return self._filter.filter(self._decoder.feed(chunk))

    def close(self) -> list[Event]:
        return self._filter.filter(self._decoder.close())


def restrained(decoder: StreamDecoder, restraint: Restraint | None) -> StreamDecoder:
    """Return a decoder that gives no call the request does not allow."""
    return decoder if restraint is None else RestrainedDecoder(decoder, restraint)

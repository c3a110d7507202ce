"""Redaction of streams without a codec: the frames of completions, responses and transcriptions.

Owns where those frames keep their texts: `choices[].text`, and a `delta` whose type ends in ".delta".
The number of frames stays, but for one more where held-back text must go out; frames that are numbered
are numbered anew from there. Any other text of a frame is redacted as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import define, evolve

from aigw.model import Event, Failed, Finished, Foreign
from aigw_redact.json_text import JsonStream, Stream
from aigw_redact.redactor import Count, Redactor
from aigw_redact.texts import Whole

_PLACE = ("item_id", "output_index", "content_index", "summary_index")
_ENDS = (".done", ".completed", ".incomplete", ".failed")
_SOUND = frozenset(("response.audio.delta", "speech.audio.delta"))


@define
class _Held:
    """One text under way. frame: the last one that brought some of it."""

    stream: Stream
    frame: Foreign


class FrameRedactor:
    """The `transform_stream` of one answer whose events are all `Foreign`."""

    def __init__(self, redactor: Redactor, count: Count) -> None:
        self._redactor = redactor
        self._count = count
        self._held: dict[tuple[Any, ...], _Held] = {}
        self._added = 0
        self._last = 0

    def __call__(self, event: Event) -> Iterable[Event]:
        """Take one event of the stream, return what stands in its place."""
        if isinstance(event, Foreign):
            added, frame = self._frame(event)
            return [*map(self._add, added), self._move(frame)]
        if isinstance(event, Finished | Failed):
            return [*map(self._add, self._flush({})), event]
        return (event,)

    def _frame(self, event: Foreign) -> tuple[list[Foreign], Foreign]:
        """Return what is to go out before this frame, and the frame itself."""
        tree = event.tree
        kind = str(tree.get("type") or event.name)
        if kind.endswith(".delta") and isinstance(tree.get("delta"), str):
            return [], event if kind in _SOUND else self._delta(event, kind)
        if isinstance(tree.get("choices"), list):
            return [], evolve(event, tree=self._choices(event))
        # What is told whole was told in deltas before, and counted there.
        whole = Whole(self._redactor, _uncounted).tree(tree)
        frame = event if whole is tree else evolve(event, tree=whole)
        return self._flush(_places(tree)) if kind.endswith(_ENDS) else [], frame

    def _delta(self, event: Foreign, kind: str) -> Foreign:
        tree = event.tree
        key = (kind, *(tree.get(name) for name in _PLACE))
        held = self._hold(key, event, is_json=kind.endswith("arguments.delta"))
        made = _with_text(tree, "delta", held.stream)
        return event if made is tree else evolve(event, tree=made)

    def _choices(self, event: Foreign) -> dict[str, Any]:
        choices = [self._choice(event, choice) for choice in event.tree["choices"]]
        return {**event.tree, "choices": choices}

    def _choice(self, event: Foreign, choice: Any) -> Any:
        if not isinstance(choice, dict) or not isinstance(choice.get("text"), str):
            return choice
        key = ("choice", choice.get("index"))
        frame = evolve(event, tree={**event.tree, "choices": [choice]})
        held = self._hold(key, frame, is_json=False)
        made = _with_text(choice, "text", held.stream)
        if choice.get("finish_reason") and (rest := self._held.pop(key).stream.close()):
            made = _without_tokens({**made, "text": made["text"] + rest})
        return made

    def _hold(self, key: tuple[Any, ...], frame: Foreign, *, is_json: bool) -> _Held:
        held = self._held.get(key)
        if held is None:
            stream: Stream = (
                JsonStream(self._redactor, self._count) if is_json else self._redactor.stream(self._count)
            )
            held = self._held[key] = _Held(stream, frame)
        held.frame = frame
        return held

    def _flush(self, places: dict[str, Any]) -> list[Foreign]:
        """Return what is held of the texts at these places; of all if none is named."""
        over = [key for key in self._held if _within(key, places)]
        return [frame for key in over for frame in _end(self._held.pop(key))]

    def _add(self, frame: Foreign) -> Foreign:
        """Number a frame that the provider did not send: it follows the last one, and moves the rest."""
        if not isinstance(frame.tree.get("sequence_number"), int):
            return frame
        self._added += 1
        self._last += 1
        return evolve(frame, tree={**frame.tree, "sequence_number": self._last})

    def _move(self, frame: Foreign) -> Foreign:
        number = frame.tree.get("sequence_number")
        if not isinstance(number, int):
            return frame
        self._last = number + self._added
        return evolve(frame, tree={**frame.tree, "sequence_number": self._last}) if self._added else frame


def _places(tree: dict[str, Any]) -> dict[str, Any]:
    """Return which text, part or item a frame is about."""
    places = {name: tree[name] for name in _PLACE if tree.get(name) is not None}
    item = tree.get("item")
    if isinstance(item, dict) and item.get("id"):
        places["item_id"] = item["id"]
    return places


def _within(key: tuple[Any, ...], places: dict[str, Any]) -> bool:
    known = dict(zip(_PLACE, key[1:], strict=False))
    return all(known.get(name) in {None, value} for name, value in places.items())


def _end(held: _Held) -> list[Foreign]:
    text = held.stream.close()
    if not text:
        return []
    tree = held.frame.tree
    if "choices" in tree:
        choice = _without_tokens({**tree["choices"][0], "text": text})
        return [evolve(held.frame, tree={**tree, "choices": [choice]})]
    return [evolve(held.frame, tree=_without_tokens({**tree, "delta": text}))]


def _with_text(tree: dict[str, Any], key: str, stream: Stream) -> dict[str, Any]:
    """Feed one field to its stream and return the tree with what came of it; the same if all of it did."""
    was_holding = stream.holding
    text = stream.feed(tree[key])
    return tree if text == tree[key] and not was_holding else _without_tokens({**tree, key: text})


def _without_tokens(tree: dict[str, Any]) -> dict[str, Any]:
    """Drop the log probabilities: token by token they spell the text that was redacted."""
    if not tree.get("logprobs"):
        return tree
    return {**tree, "logprobs": [] if isinstance(tree["logprobs"], list) else None}


def _uncounted(_name: str) -> None:
    return None

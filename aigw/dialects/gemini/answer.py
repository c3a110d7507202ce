"""Trees of GenerateContentResponse in, canonical events out: one tree for a whole answer, many for a stream.

Owns what stands beside the candidates: the answer's name, token counts, a blocked prompt, an error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import object_of, text_of, text_or_none
from aigw.dialects.gemini.candidate_decoder import CandidateDecoder
from aigw.dialects.gemini.errors import error_from_tree
from aigw.dialects.gemini.fields import NAME, PROMPT_BLOCKED, int_or_none, keep
from aigw.dialects.gemini.usage import decode_usage
from aigw.errors import GatewayError, ProtocolError
from aigw.model import (
    ChoiceFinished,
    Event,
    Extras,
    ExtrasAdded,
    Failed,
    Finished,
    FinishReason,
    Started,
    UsageReported,
)

_KNOWN = frozenset(("candidates", "usageMetadata", "modelVersion", "responseId", "createTime"))
# The exact time, written back if nobody has changed the second it says.
CREATE_TIME = f"{NAME}:@create_time"


class AnswerDecoder:
    """The state of one answer. out: events nobody has taken yet. ended: the last event has been told."""

    def __init__(self) -> None:
        self.out: list[Event] = []
        self.ended = False
        self._candidates: dict[int, CandidateDecoder] = {}
        self._started = False
        self._seed = ""
        self._extras: Extras = {}
        self._usage: Tree | None = None

    def take(self) -> list[Event]:
        """Return the events so far, once."""
        # Candidates write to the same list: it is emptied, never replaced.
        events = self.out[:]
        self.out.clear()
        return events

    def feed(self, tree: Tree) -> None:
        """Take one response, or one chunk. Raises ProtocolError on what is none."""
        if tree.get("error"):
            self.fail(error_from_tree(tree))
            return
        if not self._started:
            self._start(tree)
        elif not tree.keys() <= _KNOWN:
            self._take_extras(tree)
        usage = tree.get("usageMetadata")
        if usage.__class__ is dict:
            self._usage = usage
        candidates = tree.get("candidates")
        if candidates.__class__ is list:
            for candidate in candidates:
                self._candidate(candidate)
        elif candidates is not None:
            raise ProtocolError(f"candidates: expected a list, got {type(candidates).__name__}")

    def _start(self, tree: Tree) -> None:
        self._started = True
        response_id = text_or_none(tree.get("responseId")) or None
        self._seed = response_id or ""
        self._extras = keep(tree, _KNOWN)
        created = _seconds(tree.get("createTime"))
        extras = dict(self._extras)
        if created is not None:
            extras[CREATE_TIME] = tree["createTime"]
        self.out.append(Started(response_id, text_or_none(tree.get("modelVersion")), created, extras=extras))

    def _take_extras(self, tree: Tree) -> None:
        found = keep(tree, _KNOWN)
        changed = {key: value for key, value in found.items() if self._extras.get(key) != value}
        if changed:
            self._extras |= changed
            self.out.append(ExtrasAdded(changed))

    def _candidate(self, tree: Any) -> None:
        if tree.__class__ is not dict:
            raise ProtocolError(f"candidates: expected objects, got {type(tree).__name__}")
        number = tree.get("index", 0)
        if number.__class__ is not int:
            number = int_or_none(number) or 0
        candidate = self._candidates.get(number)
        if candidate is None:
            candidate = self._candidates[number] = CandidateDecoder(number, self._seed, self.out)
        candidate.feed(tree)

    @property
    def whole(self) -> bool:
        """Whether every candidate has said why it ended; a blocked prompt is an answer too."""
        if not self._candidates:
            return bool(self._block_reason)
        return all(candidate.word is not None for candidate in self._candidates.values())

    @property
    def _block_reason(self) -> str:
        return text_of(object_of(self._extras.get(f"{NAME}:promptFeedback")).get("blockReason"))

    def finish(self) -> None:
        """The answer is whole: tell what is still owed."""
        reason, word = FinishReason.UNKNOWN, None
        for number in sorted(self._candidates, reverse=True):
            candidate = self._candidates[number]
            candidate.close()
            reason, word = candidate.finish, candidate.word
        if not self._candidates and self._block_reason:
            # Whatever the word, OTHER included: it was the prompt's doing.
            reason, word = FinishReason.CONTENT_FILTER, self._block_reason
            self.out.append(ExtrasAdded({PROMPT_BLOCKED: True}, 0))
            self.out.append(ChoiceFinished(reason, word))
        self._tell_usage()
        self.out.append(Finished(reason, word))
        self.ended = True

    def fail(self, error: GatewayError) -> None:
        """The answer will never be whole."""
        self._tell_usage()
        self.out.append(Failed(error))
        self.ended = True

    def _tell_usage(self) -> None:
        if self._usage is not None:
            self.out.append(UsageReported(decode_usage(self._usage)))


def _seconds(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def create_time(created: int | None, original: Any) -> str | None:
    """Write the time an answer was made; original: as Google said it."""
    if created is None:
        return None
    if isinstance(original, str) and _seconds(original) == created:
        return original
    try:
        return datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None

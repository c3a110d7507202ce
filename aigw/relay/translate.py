"""Another format, or an editing hook: decoder -> transforms -> encoder, in one flat loop.

Owns the order of the three and that a plugin which fails ends the stream instead of letting unedited
text through. Knows no format: decoder and encoder come from dialects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from aigw.dialects.base import StreamDecoder, StreamEncoder
from aigw.errors import GatewayError
from aigw.hooks.table import Hook
from aigw.model import (
    ArgumentsDelta,
    AudioDelta,
    Event,
    Failed,
    Finished,
    Foreign,
    PartAdded,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    Usage,
    UsageReported,
)

_CONTENT = frozenset(
    {TextDelta, RefusalDelta, ReasoningDelta, ArgumentsDelta, AudioDelta, PartAdded, Foreign}
)


class TranslateRelay:
    """Decode a stream, let plugins edit its events, encode it for the client.

    own_id: what the answer is called, whatever its provider calls it.
    defaults: id and time (Unix seconds) of the answer, for formats whose streams tell none.
    hide_usage: the client did not ask for token counts; they are taken note of and not shown.
    """

    may_be_empty = False

    def __init__(  # noqa: PLR0913 - the two codecs, what stands between them, and what they cannot know
        self,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        transforms: Sequence[tuple[Hook, Callable[[Event], Iterable[Event]]]] = (),
        *,
        hide_usage: bool = False,
        own_id: str | None = None,
        defaults: tuple[str, int] | None = None,
    ) -> None:
        self.has_content = False
        self.ended = False
        self.error: GatewayError | None = None
        self.usage: Usage | None = None
        self._decoder = decoder
        self._encoder = encoder
        self._transforms = transforms
        self._hide_usage = hide_usage
        self._own_id = own_id
        self._defaults = defaults

    def feed(self, chunk: bytes) -> bytes:
        return b"" if self.ended else self._pass_on(self._decoder.feed(chunk))

    def close(self) -> bytes:
        return b"" if self.ended else self._pass_on(self._decoder.close())

    def fail(self, error: GatewayError) -> bytes:
        self.ended = True
        self.error = error
        return self._encoder.fail(error)

    def _pass_on(self, events: list[Event]) -> bytes:
        for event in events:  # what the provider counted, whatever plugins make of it
            if isinstance(event, UsageReported):
                self.usage = event.usage
        edited = events
        for hook, transform in self._transforms:
            edited = apply(hook, transform, edited)
        out = [self._one(event) for event in edited]
        # A plugin may edit an answer, and not keep its end back.
        if events and not self.ended and isinstance(events[-1], Finished | Failed):
            out.append(self._one(events[-1]))
        return b"".join(out)

    def _one(self, event: Event) -> bytes:
        if self.ended:  # nothing goes out behind the terminal event
            return b""
        kind = type(event)
        if kind in _CONTENT:
            self.has_content = True
        elif kind is Started and self._defaults is not None:
            assert isinstance(event, Started)  # noqa: S101
            event.id = self._own_id or event.id or self._defaults[0]
            event.created = self._defaults[1] if event.created is None else event.created
        elif kind is UsageReported and self._hide_usage:
            return b""
        elif kind is Finished:
            self.ended = self.may_be_empty = True
            return self._encoder.encode(event) + self._encoder.close()
        elif kind is Failed:
            assert isinstance(event, Failed)  # noqa: S101
            self.ended = True
            self.error = event.error
            return self._encoder.fail(event.error)
        return self._encoder.encode(event)


def apply(hook: Hook, transform: Callable[[Event], Iterable[Event]], events: Iterable[Event]) -> list[Event]:
    """Run one plugin over the events. One that fails ends the stream, unless it only observes."""
    edited: list[Event] = []
    for event in events:
        try:
            edited.extend(transform(event))
        except GatewayError:
            raise
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; failed() decides
            hook.failed(error)
            edited.append(event)
    return edited

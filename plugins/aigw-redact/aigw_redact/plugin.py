"""The plugin: which hook redacts what. Knows the hooks; the work is done by the files beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from aigw.hooks.spec import Plugin
from aigw_redact.config import RedactConfig
from aigw_redact.events import EventRedactor
from aigw_redact.frames import FrameRedactor
from aigw_redact.texts import Whole

if TYPE_CHECKING:
    from aigw.hooks.spec import EventTransform
    from aigw.model import Request, Response
    from aigw.pipeline.exchange import Exchange
    from aigw.pipeline.payload import Payload

NAME = "redact"


class Redact(Plugin):
    """Redacts secrets and personal data, in what clients send and in what they get."""

    name: ClassVar[str] = NAME
    Config: ClassVar[type] = RedactConfig

    def __init__(self, config: RedactConfig | None = None) -> None:
        config = config or RedactConfig()
        self._redactor = config.redactor()
        self._in_requests = "request" in config.directions
        self._in_answers = "response" in config.directions

    async def rewrite_request(self, exchange: Exchange, payload: Payload[Request]) -> None:
        """Redact what the client has sent, before a target is chosen."""
        if not self._in_requests:
            return
        whole = Whole(self._redactor, _counter(exchange))
        request = payload.decoded()
        if request is not None:
            made = whole.request(request)
            if made != request:
                payload.replace(made)
            return
        old = {name: payload.fields[name] for name in exchange.endpoint.texts if name in payload.fields}
        new = {name: whole.tree(value) for name, value in old.items()}
        if new != old:
            payload.edit().update(new)

    async def rewrite_response(self, exchange: Exchange, payload: Payload[Response]) -> None:
        """Redact a whole answer."""
        if not self._in_answers:
            return
        whole = Whole(self._redactor, _counter(exchange))
        response = payload.decoded()
        if response is not None:
            made = whole.response(response)
            if made != response:
                payload.replace(made)
            return
        tree = whole.tree(payload.fields)
        if tree is not payload.fields:
            payload.edit().update(tree)

    def transform_stream(self, exchange: Exchange) -> EventTransform | None:
        """Redact a streamed answer."""
        if not self._in_answers:
            return None
        kind = FrameRedactor if exchange.endpoint.codec is None else EventRedactor
        return kind(self._redactor, _counter(exchange))


def _counter(exchange: Exchange) -> Callable[[str], None]:
    counts: Counter[str] = exchange.scratch.setdefault(NAME, Counter())

    def count(name: str) -> None:
        counts[name] += 1

    return count

"""The plugin: a line for each exchange, and what was kept of its bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from attrs import define, field

from aigw.errors import ConfigError
from aigw.hooks.spec import Plugin
from aigw_request_log.config import RequestLogConfig
from aigw_request_log.file import RotatingFile, Sink, StandardOutput
from aigw_request_log.line import Body, take
from aigw_request_log.writer import Writer, now

if TYPE_CHECKING:
    from aigw.gateway import Gateway
    from aigw.hooks.spec import FrameWatcher
    from aigw.model import Request, Response
    from aigw.pipeline.exchange import Exchange, Record
    from aigw.pipeline.payload import Payload

NAME = "request-log"


@define
class _Frames:
    """What was kept of a stream."""

    limit: int
    kept: bytearray = field(factory=bytearray)
    size: int = 0

    def see(self, frames: bytes) -> None:
        self.size += len(frames)
        if len(self.kept) < self.limit:
            self.kept += frames[: self.limit - len(self.kept)]


class RequestLog(Plugin):
    """Writes one JSON line for each exchange. A failing log never refuses a request."""

    name: ClassVar[str] = NAME
    on_failure: ClassVar[Literal["closed", "open"]] = "open"
    Config: ClassVar[type] = RequestLogConfig

    def __init__(self, config: RequestLogConfig | None = None) -> None:
        self.config = config or RequestLogConfig()
        self._limit = self.config.max_body_bytes
        self._writer: Writer | None = None

    async def setup(self, gateway: Gateway) -> AsyncIterator[None]:  # noqa: ARG002 - the hook's signature
        """Open the file; at the end write all that is still queued, and close it."""
        config = self.config
        self._writer = Writer(self._sink(), config.queue_lines, frozenset(config.redact_fields))
        running = self._writer.running()
        try:
            await running.__aenter__()
        except OSError as error:
            raise ConfigError(
                [f"plugins.{NAME}.path: {config.path} cannot be written: {error.strerror}"]
            ) from error
        try:
            yield
        finally:
            await running.__aexit__(None, None, None)

    def watch_stream(self, exchange: Exchange) -> FrameWatcher | None:
        """Keep a copy of a streamed answer, as the client gets it."""
        if not self.config.bodies:
            return None
        frames = exchange.scratch[NAME] = _Frames(self._limit)
        return frames.see

    async def rewrite_response(self, exchange: Exchange, payload: Payload[Response]) -> None:
        """Keep a copy of a whole answer, as the plugins before this one have left it."""
        if self.config.bodies:
            exchange.scratch[NAME] = Body.cut(payload.body(), self._limit, payload.content_type)

    def on_complete(self, record: Record) -> None:
        """Queue the line."""
        if self._writer is None:
            return
        line = take(record, now())
        if self.config.bodies:
            line["request"] = self._request(record.exchange.payload)
            line["response"] = _response(record.exchange.scratch.get(NAME))
        self._writer.put(line)

    def _request(self, payload: Payload[Request]) -> Body | None:
        if payload.content_type != "application/json":
            return Body(b"", len(payload.raw), payload.content_type)
        body = payload.body()
        return Body.cut(body, self._limit) if body else None

    def _sink(self) -> Sink:
        if self.config.path == "-":
            return StandardOutput()
        return RotatingFile(Path(self.config.path), self.config.rotate_bytes, self.config.keep_files)


def _response(kept: object) -> Body | None:
    if isinstance(kept, _Frames):
        return Body(bytes(kept.kept), kept.size, "text/event-stream")
    return kept if isinstance(kept, Body) else None

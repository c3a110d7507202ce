"""`ReplayProvider`: plays recordings, or makes them.

Owns which of the two a call gets, and whose turn it is among recordings of the same request.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import parse_qsl

import orjson
from attrs import evolve

from aigw.dialects.endpoints import ENDPOINTS, Endpoint
from aigw.errors import ClientError, ErrorKind, ServerError
from aigw.upstream.provider import ALL_APIS, Answer, BaseProvider, Call
from aigw.upstream.replay.answers import PlayedAnswer, RecordedAnswer, until
from aigw.upstream.replay.options import VOLATILE, AfterLast, Mode, Pace
from aigw.upstream.replay.recording import Asked, Chunk, Recording
from aigw.upstream.replay.scrub import Scrubber
from aigw.upstream.replay.shelf import Shelf
from aigw.upstream.wrapper import WrapperProvider
from aigw.wire.multipart import boundary_of

logger = logging.getLogger("aigw.upstream.replay")

_BOUNDARY: Final = b"boundary"


class ReplayProvider(WrapperProvider):
    """Answers from the recordings in a folder; with a provider behind it, also makes them.

    provider: whom to record; playing needs none.
    dir, mode, pace, ignore, after_last: see `ReplayOptions`.
    secrets: texts that never get into a file, beside those that look like a secret.

    calls, played, recorded: how many there were; an answer left before its end is not recorded.

    Raises ValueError on a folder that is not there to be played, and on files that are no recordings.
    """

    def __init__(  # noqa: PLR0913 - each is one setting, all optional but the folder
        self,
        provider: BaseProvider | None = None,
        *,
        dir: str | Path,  # noqa: A002 - as it is called in configuration
        name: str = "replay",
        mode: Mode = "play",
        pace: Pace = "none",
        ignore: Iterable[str] = VOLATILE,
        after_last: AfterLast = "repeat",
        secrets: Iterable[str] = (),
    ) -> None:
        folder = Path(dir)
        _check(folder, mode, provider)
        self._shelf = Shelf(folder, ignore)
        super().__init__(provider or _Nobody(self._shelf.recordings), name)
        self._mode = mode
        self._pace = pace
        self._after_last = after_last
        self._scrubber = Scrubber(secrets)
        self._turns: Counter[str] = Counter()
        self._old = {self._shelf.key_of(recording.asked) for recording in self._shelf.recordings}
        self.calls = 0
        self.played = 0
        self.recorded = 0

    async def call(self, call: Call) -> Answer:
        """Play or record. Raises ClientError: 404 where no recording matches, 409 where one is in the way."""
        self.calls += 1
        scrubber = self._scrubber.knowing(call.client_key)
        asked = asked_of(call, scrubber)
        key = self._shelf.key_of(asked)
        known = self._shelf.find(key)
        if self._mode == "play" or (self._mode == "record_missing" and known):
            return await self._play(asked, key, known)
        if self._mode == "record" and key in self._old:
            raise self._in_the_way(known)
        return await self._record(call, asked, scrubber.knowing(*found_in(call, scrubber)))

    async def _play(self, asked: Asked, key: str, known: Sequence[Recording]) -> Answer:
        if not known:
            raise self._nothing_matches(asked)
        turn = self._turns[key]
        if turn >= len(known) and self._after_last == "error":
            raise self._refusal(f"{known[-1].name} was the last recording of this request, and it was played")
        self._turns[key] += 1
        self.played += 1
        recording = known[min(turn, len(known) - 1)]
        started_at = asyncio.get_running_loop().time()
        if self._pace == "original":
            await until(started_at + recording.head_s)
        return PlayedAnswer(recording, self._pace, started_at)

    async def _record(self, call: Call, asked: Asked, scrubber: Scrubber) -> Answer:
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        answer = await self.wraps[0].call(call)
        headers = scrubber.answer_headers(answer.headers)
        begun = Recording("", asked, answer.status, headers, loop.time() - started_at, ())
        return RecordedAnswer(answer, started_at, partial(self._save, begun, scrubber))

    def _save(self, begun: Recording, scrubber: Scrubber, chunks: Sequence[Chunk]) -> None:
        # Written in the loop: a moment's wait in a test costs less than what a thread can be late for.
        is_events = begun.headers.get("content-type", "").startswith("text/event-stream")
        clean = scrubber.events if is_events else scrubber.chunks
        cleaned = clean([chunk.content for chunk in chunks])
        whole = tuple(
            Chunk(chunk.at_s, content) for chunk, content in zip(chunks, cleaned, strict=True) if content
        )
        try:
            written = self._shelf.add(evolve(begun, chunks=whole))
        except OSError as error:
            raise ServerError(
                f'provider "{self.name}" cannot write a recording: {error.strerror}',
                kind=ErrorKind.MISCONFIGURED,
                provider=self.name,
            ) from error
        self.recorded += 1
        logger.info("recorded %s", written.name)

    def _nothing_matches(self, asked: Asked) -> ClientError:
        what = f"no recording matches this request for {asked.path}"
        near = self._shelf.nearest(asked)
        if near is None:
            return self._refusal(f"{what}: there are no recordings yet")
        recording, difference = near
        return self._refusal(f"{what}; the nearest is {recording.name}, which differs in {difference}")

    def _in_the_way(self, known: Sequence[Recording]) -> ClientError:
        message = (
            f"{known[0].name} records this request already; delete it to record it again, "
            'or use mode = "record_missing"'
        )
        return self._refusal(message, ErrorKind.CONFLICT)

    def _refusal(self, message: str, kind: ErrorKind = ErrorKind.NOT_FOUND) -> ClientError:
        # The caller's fault and not the provider's, so that no other target answers in its place.
        return ClientError(f'replay "{self.name}": {message}', kind=kind, provider=self.name)


def asked_of(call: Call, scrubber: Scrubber) -> Asked:
    """Return what a call asks, without its secrets."""
    headers = scrubber.request_headers(call.headers)
    body = call.body
    content_type = call.headers.get("Content-Type", "")
    if content_type.lower().startswith("multipart/"):
        boundary = boundary_of(content_type)
        body = body.replace(boundary, _BOUNDARY)  # clients make up another for each request
        headers["content-type"] = content_type.replace(boundary.decode(), _BOUNDARY.decode())
    return Asked(
        call.method,
        scrubber.text(call.path),
        scrubber.text(call.model),
        call.stream,
        scrubber.query(call.query),
        headers,
        _body(body, scrubber),
    )


def found_in(call: Call, scrubber: Scrubber) -> Iterator[str]:
    """Yield the secrets that a call holds: the answer may repeat them where nothing tells what they are."""
    yield from scrubber.found(call.path)
    yield from scrubber.found(dict(parse_qsl(call.query)))
    try:
        yield from scrubber.found(orjson.loads(call.body))
    except orjson.JSONDecodeError:
        yield from scrubber.found(call.body.decode("utf-8", "replace"))


def _body(body: bytes, scrubber: Scrubber) -> Any:
    try:
        return scrubber.tree(orjson.loads(body))
    except orjson.JSONDecodeError:
        return scrubber.join([body])


class _Nobody(BaseProvider):
    """Stands behind a replay that only plays: speaks what was recorded, and is never called."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        super().__init__("nobody")
        paths = {recording.asked.path for recording in recordings}
        found = {endpoint.api for endpoint in ENDPOINTS for path in paths if _leads(endpoint, path)}
        self.apis = frozenset(api for api in found if api is not None) or ALL_APIS
        self._models = sorted({recording.asked.model for recording in recordings})

    async def call(self, call: Call) -> Answer:  # noqa: ARG002
        raise AssertionError("a replay that plays calls nobody")

    async def models(self) -> list[str]:
        return self._models


def _leads(endpoint: Endpoint, path: str) -> bool:
    """Tell whether a path is this endpoint's, whatever the model that stands in it."""
    head, _, tail = endpoint.path.partition("{model}")
    return path == head or bool(tail and path.startswith(head) and path.endswith(tail))


def _check(folder: Path, mode: Mode, provider: BaseProvider | None) -> None:
    if mode not in get_args(Mode):
        raise ValueError(f'mode: got "{mode}", wanted one of {", ".join(get_args(Mode))}')
    if mode != "play" and provider is None:
        raise ValueError(f'mode: got "{mode}" and no provider to record, wanted "play"')
    if mode == "play" and not folder.is_dir():
        raise ValueError(f'dir: got "{folder}", wanted a folder with recordings')

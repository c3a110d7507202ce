"""How each fault is done: one function a kind, and the table of them.

Each gets the call, the fault, and `proceed`, which asks whatever stands behind; a fault that needs no answer
does not ask. Knows no provider by name and keeps no state.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import Final, NoReturn

from attrs import frozen

from aigw.dialects.base import StreamGrammar
from aigw.errors import ErrorKind, GatewayError, ProtocolError, UpstreamError
from aigw.upstream.chaos.bodies import EVENTS, ChangedAnswer, is_events, pieces
from aigw.upstream.chaos.fault import Fault
from aigw.upstream.provider import Answer, Call
from aigw.wire.sse import split_frames

JSON: Final = "application/json"

_BROKEN_FRAME: Final = b'data: {"chaos": [1, 2\n\n'
_ERRORS: Final[Mapping[int, ErrorKind]] = MappingProxyType(
    {
        400: ErrorKind.INVALID_REQUEST,
        401: ErrorKind.AUTHENTICATION,
        403: ErrorKind.PERMISSION,
        404: ErrorKind.MODEL_NOT_FOUND,
        408: ErrorKind.UPSTREAM_TIMEOUT,
        409: ErrorKind.CONFLICT,
        413: ErrorKind.TOO_LARGE,
        429: ErrorKind.RATE_LIMITED,
        503: ErrorKind.UPSTREAM_OVERLOADED,
        504: ErrorKind.UPSTREAM_TIMEOUT,
        529: ErrorKind.UPSTREAM_OVERLOADED,
    }
)


@frozen
class Case:
    """One fault that befalls one call. proceed: asks what stands behind. dice: for bytes by chance."""

    call: Call
    fault: Fault
    proceed: Callable[[], Awaitable[Answer]]
    dice: Random

    @property
    def content_type(self) -> str:
        """What a good answer to this call would be."""
        if self.call.stream:
            return EVENTS
        return "audio/mpeg" if self.call.path.endswith("/audio/speech") else JSON


async def _pass(case: Case) -> Answer:
    return await case.proceed()


async def _latency(case: Case) -> Answer:
    fault = case.fault
    await asyncio.sleep(fault.head_s)
    answer = await case.proceed()

    async def late() -> AsyncGenerator[bytes, None]:
        wait_s = fault.first_byte_s
        async for piece in pieces(answer):
            await asyncio.sleep(wait_s)
            yield piece
            wait_s = fault.chunk_s

    return ChangedAnswer(late(), behind=answer)


async def _drip(case: Case) -> Answer:
    answer, fault = await case.proceed(), case.fault

    async def drops() -> AsyncGenerator[bytes, None]:
        async for piece in pieces(answer):
            for start in range(0, len(piece), fault.size_bytes):
                yield piece[start : start + fault.size_bytes]
                await asyncio.sleep(fault.pause_s)

    return ChangedAnswer(drops(), behind=answer)


async def _status(case: Case) -> Answer:
    fault = case.fault
    answer = (
        Answer.json(error_body(case), status=fault.status)
        if fault.body is None
        else Answer.whole(fault.body.encode(), JSON, status=fault.status)
    )
    headers = dict(answer.headers)
    if fault.retry_after_s is not None:
        headers["Retry-After"] = str(int(-(-fault.retry_after_s // 1)))  # whole seconds, rounded up
        headers["retry-after-ms"] = str(round(fault.retry_after_s * 1000))
    answer.headers = headers
    return answer


async def _connect(_case: Case) -> Answer:
    raise UpstreamError("chaos: no connection", kind=ErrorKind.UPSTREAM_UNREACHABLE)


async def _hang(_case: Case) -> Answer:
    return await forever()


async def _empty(case: Case) -> Answer:
    return Answer.whole(b"", case.content_type)


async def _disguise(case: Case) -> Answer:
    return Answer.json(error_body(case))


async def _garbage(case: Case) -> Answer:
    noise = case.dice.randbytes(case.fault.size_bytes)
    return await _instead(case, noise)


async def _stream_error(case: Case) -> Answer:
    grammar = case.call.endpoint.grammar
    if not case.call.stream or grammar is None:
        return await _disguise(case)
    return await _instead(case, grammar.encode_error(_error(case.fault)))


async def _silent(case: Case) -> Answer:
    return await _instead(case, None)


async def _malformed(case: Case) -> Answer:
    answer, fault = await case.proceed(), case.fault

    async def broken() -> AsyncGenerator[bytes, None]:
        if not is_events(answer):
            yield (await answer.read()).rstrip()[:-1] + b", chaos"
            return
        number = 0
        async for piece in pieces(answer):
            if number == fault.after:
                yield _BROKEN_FRAME
            yield piece
            number += 1

    return ChangedAnswer(broken(), behind=answer)


async def _truncate(case: Case) -> Answer:
    answer, grammar = await case.proceed(), case.call.endpoint.grammar

    async def cut() -> AsyncGenerator[bytes, None]:
        if grammar is None or not is_events(answer):
            body = await answer.read()
            yield body[: len(body) // 2]
            return
        async for piece in pieces(answer):
            if _is_end(grammar, piece):
                return
            yield piece

    return ChangedAnswer(cut(), behind=answer)


async def _disconnect(case: Case) -> Answer:
    answer, left = await case.proceed(), case.fault.at_byte

    async def torn() -> AsyncGenerator[bytes, None]:
        rest = left
        async for piece in pieces(answer):
            if rest <= 0:
                break
            yield piece[:rest]
            rest -= len(piece)
        raise UpstreamError("chaos: the connection is lost", kind=ErrorKind.UPSTREAM_TRUNCATED)

    return ChangedAnswer(torn(), behind=answer)


async def _instead(case: Case, last: bytes | None) -> Answer:
    """Answer with so many frames as the fault lets through, then `last` and the end; None is no end."""
    after = case.fault.after
    behind = await case.proceed() if after else None

    async def body() -> AsyncGenerator[bytes, None]:
        if behind is not None:
            number = 0
            async for piece in pieces(behind):
                if number == after:
                    break
                yield piece
                number += 1
        yield await forever() if last is None else last

    return ChangedAnswer(body(), behind=behind, content_type=case.content_type)


async def forever() -> NoReturn:
    """Wait until somebody cancels it."""
    while True:
        await asyncio.Event().wait()


def error_body(case: Case) -> object:
    """Return an error in the shape that the called endpoint's format gives it."""
    return case.call.endpoint.errors.encode_error(_error(case.fault))[1]


def _error(fault: Fault) -> GatewayError:
    kind = _ERRORS.get(
        fault.status, ErrorKind.UPSTREAM_ERROR if fault.status >= 500 else ErrorKind.INVALID_REQUEST
    )
    code = "server_error" if fault.status >= 500 else None
    return GatewayError(fault.message, kind=kind, code=code, status=fault.status)


def _is_end(grammar: StreamGrammar, frame: bytes) -> bool:
    """Tell whether a frame is what makes an answer whole; what follows it is part of the end."""
    try:
        sightings = [grammar.examine(each.event, each.data) for each in split_frames(frame)]
    except ProtocolError:
        return False
    return any(sighting.finished or sighting.terminal for sighting in sightings)


INJECTIONS: Final[Mapping[str, Callable[[Case], Awaitable[Answer]]]] = MappingProxyType(
    {
        "pass": _pass,
        "latency": _latency,
        "drip": _drip,
        "status": _status,
        "connect": _connect,
        "hang": _hang,
        "empty": _empty,
        "disguise": _disguise,
        "garbage": _garbage,
        "malformed": _malformed,
        "truncate": _truncate,
        "disconnect": _disconnect,
        "stream_error": _stream_error,
        "silent": _silent,
    }
)

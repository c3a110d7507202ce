"""A response that generates nothing: its input is kept, so that the next one can continue from it.

Owns the answer to `generate: false`, which clients send over a WebSocket to hand over a long input ahead of
time. Asks no provider. Source: OpenAI's guide to WebSocket mode.
"""

from __future__ import annotations

import time

from aiohttp import web

from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ClientError, ErrorKind
from aigw.model import Finished, FinishReason, Started
from aigw.pipeline.exchange import EXCHANGE, Exchange
from aigw.relay.ending import Ending
from aigw.relay.outlet import Sink
from aigw.responses.converse import open_session


async def warm_up(request: web.Request) -> web.StreamResponse:
    """Answer with an empty response that can be continued."""
    exchange = request[EXCHANGE]
    await open_session(exchange)
    if exchange.gateway.models.resolve(exchange.model) is None:
        raise ClientError(
            f'model "{exchange.model}": no route; GET /v1/models lists what there is',
            kind=ErrorKind.MODEL_NOT_FOUND,
            param="model",
        )
    frames = _frames(exchange)

    async def carry(sink: Sink) -> None:
        kept = frames if exchange.keeper is None else await exchange.keeper.before_end(exchange, frames)
        await sink.write(kept)
        exchange.bytes_sent = len(kept)
        await sink.write_eof()

    exchange.status = 200
    exchange.committed = True
    response = await exchange.outlet.send_stream(exchange, {"x-request-id": exchange.id}, carry)
    exchange.ending = Ending.FAILED if exchange.error else Ending.COMPLETE
    return response


def _frames(exchange: Exchange) -> bytes:
    encoder = OPENRESPONSES.stream_encoder(exchange.asked())
    started = Started(id=exchange.answer_id, model=exchange.model, created=int(time.time()))
    return encoder.encode(started) + encoder.encode(Finished(FinishReason.STOP)) + encoder.close()

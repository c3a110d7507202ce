"""A client of `/v1/responses` over a WebSocket, as plain as the wire."""

import json

import aiohttp

from support.openresponses_wire import DESCRIPTION, check_event, validator
from support.responses_automaton import accept

ENDS = {"response.completed", "response.incomplete", "response.failed"}


class Talk:
    """One open connection."""

    def __init__(self, socket):
        self.socket = socket

    async def ask(self, input="hi", **fields):  # noqa: A002 - the wire's own name
        """Send a turn for model "m"; a field set to `...` is left out."""
        message = {"type": "response.create", "model": "m", "input": input, **fields}
        await self.socket.send_json({name: value for name, value in message.items() if value is not ...})

    async def next(self):
        """Return the next message, parsed."""
        message = await self.socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        return json.loads(message.data)

    async def answer(self):
        """Return the events of one turn, up to its terminal one or the envelope that refuses it."""
        events = [await self.next()]
        while not (events[-1]["type"] in ENDS or is_envelope(events[-1])):
            events.append(await self.next())
        return events

    async def turn(self, input="hi", **fields):  # noqa: A002
        """Ask, and return the events of the answer."""
        await self.ask(input, **fields)
        return await self.answer()

    async def response(self, input="hi", **fields):  # noqa: A002
        """Ask, and return the response that has completed."""
        events = await self.turn(input, **fields)
        assert events[-1]["type"] == "response.completed", events[-1]
        return events[-1]["response"]

    async def refused(self, input="hi", **fields):  # noqa: A002
        """Ask, and return the envelope that is all of the answer."""
        (envelope,) = await self.turn(input, **fields)
        return check_envelope(envelope)

    async def closed(self):
        """Return the code the gateway closes with; nothing may come before."""
        message = await self.socket.receive(timeout=5)
        assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}, message
        return self.socket.close_code


def is_envelope(tree):
    return tree["type"] == "error" and "sequence_number" not in tree


def check_envelope(tree):
    """Hold an error envelope to the specification; return it."""
    assert tree["type"] == "error"
    assert isinstance(tree["status"], int)
    assert tree["error"]["code"]
    assert tree["error"]["message"]
    if DESCRIPTION.exists():
        validator("WebSocketErrorEvent").validate(tree)
    return tree


def check_turn(trees, *, failed=False):
    """Hold the events of a turn to the specification."""
    assert [tree["sequence_number"] for tree in trees] == list(range(len(trees)))
    assert trees[-1]["type"] in ENDS
    for tree in trees:
        check_event(tree)
    accept(trees, failed=failed)

"""A gateway with one caller, for responses that outlive the request they came by."""

import asyncio
import json

from attrs import define

from aigw.gateway import Gateway
from aigw.wire.sse import split_frames

ENDED = {"completed", "failed", "incomplete", "cancelled"}


class Records:
    """A plugin that keeps what `on_complete` was told."""

    name = "records"

    def __init__(self):
        self.records = []

    def on_complete(self, record):
        if record.path == "/v1/responses":
            self.records.append(record)


@define(eq=False)
class House:
    """A gateway that runs. caller: of tenant "a"."""

    gateway: Gateway
    url: str
    caller: object
    records: list

    @property
    def jobs(self):
        return self.gateway.responses.jobs

    @property
    def store(self):
        return self.gateway.responses.guard.store

    async def begin(self, model="m", **fields):
        """Begin a background response; return its id."""
        told = await self.caller.ask("hi", model=model, background=True, **fields)
        assert told.body["status"] == "queued"
        return told.id

    async def show(self, name):
        return (await self.caller.get(f"/v1/responses/{name}")).body

    async def ended(self, name):
        """Poll a response until it has ended; return it."""
        async with asyncio.timeout(5):
            while (tree := await self.show(name))["status"] not in ENDED:  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.01)
        return tree

    async def cancel(self, name):
        return await self.caller.post(f"/v1/responses/{name}/cancel")

    async def events(self, name, **query):
        """Return what there is of a response's stream, to its end."""
        query = {"stream": "true", **query}
        async with self.caller.session.get(
            f"{self.url}/v1/responses/{name}", params=query, headers=self.caller.headers
        ) as response:
            assert response.status == 200, await response.text()
            return trees(await response.read())


def trees(data):
    """Read a whole stream into trees."""
    *frames, last = split_frames(data)
    assert last.data == b"[DONE]"
    found = [json.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [tree["type"] for tree in found]
    return found

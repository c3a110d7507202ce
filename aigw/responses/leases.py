"""Running responses as they truly stand, and their end from outside.

Owns what a restart means for a background response: its lease passes, and whoever looks at it next finishes
it as failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson
from attrs import evolve

from aigw.dialects.base import Tree
from aigw.responses.endings import cancelled, failed, stopped
from aigw.responses.partial import partial_output
from aigw.stores.base import ResponseRecord

if TYPE_CHECKING:
    from aigw.responses.runtime import Responses


async def settled(responses: Responses, record: ResponseRecord) -> ResponseRecord:
    """Return a response as it stands; one that is said to run and does not has failed.

    Raises ServerError when the store cannot be asked.
    """
    is_spoken_for = (record.lease_until or 0.0) > time.time()
    if not record.is_running or is_spoken_for or responses.jobs.find(record.tenant, record.id):
        return record
    return await _finished(responses, record, lambda tree, output: failed(tree, stopped(), output))


async def called_off(responses: Responses, record: ResponseRecord) -> ResponseRecord:
    """Cancel a response that runs, wherever it does; return it as it stands then."""
    job = responses.jobs.find(record.tenant, record.id)
    if job is not None:
        await job.cancel()
        guard = responses.guard
        found = await guard.ask(guard.store.response(record.tenant, record.id))
        record = found or record
    return await _finished(responses, record, cancelled) if record.is_running else record


async def _finished(
    responses: Responses, record: ResponseRecord, end: Callable[[Tree, list[Tree]], Tree]
) -> ResponseRecord:
    """End a response from outside with what it has put out, unless it has ended meanwhile."""
    guard = responses.guard
    events = await guard.ask(guard.store.events(record.tenant, record.id))
    output = partial_output(body for _, body in events)
    tree = end(orjson.loads(record.body), output)
    ids = [item["id"] for item in output if isinstance(item.get("id"), str)]
    ended = evolve(
        record,
        status=tree["status"],
        body=orjson.dumps(tree),
        item_ids=tuple(dict.fromkeys((*record.item_ids, *ids))),
        lease_until=None,
    )
    if await guard.ask(guard.store.finish(ended)):
        return ended
    found = await guard.ask(guard.store.response(record.tenant, record.id))
    return found or ended

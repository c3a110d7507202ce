"""What stores look for inside the JSON they keep: items by their ids. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator

import orjson


def items_inside(kept_input: bytes, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (id, JSON) of every item with an id in a response's `input` and in the output in its `body`."""
    for item in [*_list(orjson.loads(kept_input)), *_list(orjson.loads(body).get("output"))]:
        if isinstance(item, dict) and isinstance(item.get("id"), str):
            yield item["id"], orjson.dumps(item)


def _list(found: object) -> list[object]:
    return found if isinstance(found, list) else []

"""Names of responses and items that the gateway makes.

Those of items are marked, so that they can be taken off on the way to a provider, which would look them up.
Where an item belongs to one response its name holds the response's: a store then finds it without an index.
All begin with the time, so that what is kept one after the other lies side by side in a store: ids without
an order cost it more than twice as much.
"""

from __future__ import annotations

from random import getrandbits
from time import time_ns

_MARK = "aigw"
_RESPONSE = "resp_"
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "compaction": "cmp",
}


def new_response_id() -> str:
    """Return a new name for a response."""
    return f"{_RESPONSE}{_now()}{getrandbits(136):034x}"


def new_conversation_id() -> str:
    """Return a new name for a conversation."""
    return f"conv_{_now()}{getrandbits(136):034x}"


def new_item_id(item_type: object) -> str:
    """Return a new name for an item of this type."""
    return f"{_PREFIXES.get(str(item_type), 'item')}_{_MARK}{_now()}{getrandbits(64):016x}"


def given_item_id(response_id: str, item_type: object, place: int) -> str:
    """Return the name of an item that the request of a response brings; stores read in it whose it is."""
    name = response_id.removeprefix(_RESPONSE)
    return f"{_PREFIXES.get(str(item_type), 'item')}_{_MARK}{name}i{place:02x}"


def is_own(item_id: object) -> bool:
    """Tell whether the gateway has named this item."""
    return isinstance(item_id, str) and item_id.partition("_")[2].startswith(_MARK)


def _now() -> str:
    return f"{time_ns() // 1000:014x}"

"""Lists of items as OpenAI's API gives them: pages of them, and each item in its listed form.

Owns the query that asks for a page, the list object, and what a listed item has that a sent one may lack.
Asks no store. Source: OpenAI's published OpenAPI description, 2026-08.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from aigw.dialects.base import Tree
from aigw.errors import ClientError

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
DESCENDING = {"asc": False, "desc": True}

# Kinds of items whose schema wants a status; without one they are whole.
_WITH_STATUS = frozenset(
    (
        *("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"),
        *("computer_call", "computer_call_output", "local_shell_call", "shell_call", "shell_call_output"),
        *("apply_patch_call", "apply_patch_call_output", "tool_search_call", "tool_search_output"),
        *("file_search_call", "web_search_call", "image_generation_call", "code_interpreter_call"),
    )
)


@frozen
class Paging:
    """What part of a list is wanted. after: the id of the item before the first one."""

    after: str | None = None
    limit: int = DEFAULT_LIMIT
    descending: bool = True


def read_paging(query: Mapping[str, str]) -> Paging:
    """Read the query of a list. Raises ClientError naming the parameter that cannot be used.

    `include` adds fields at OpenAI; the gateway keeps items whole, and always shows all of them.
    """
    order = query.get("order", "desc")
    if order not in DESCENDING:
        raise ClientError(f'order must be "asc" or "desc", got "{order[:40]}"', param="order")
    return Paging(query.get("after") or None, _limit(query.get("limit")), DESCENDING[order])


def _limit(value: str | None) -> int:
    if value is None:
        return DEFAULT_LIMIT
    limit = int(value) if value.isascii() and value.isdecimal() and len(value) < 4 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise ClientError(
            f'limit must be a whole number from 1 to {MAX_LIMIT}, got "{value[:40]}"', param="limit"
        )
    return limit


def cut(items: Sequence[Tree], paging: Paging) -> Tree:
    """Return a page of these items, given the oldest first. Raises ClientError for a wrong `after`."""
    ordered = [*reversed(items)] if paging.descending else [*items]
    start = 0
    if paging.after is not None:
        ids = [item.get("id") for item in ordered]
        if paging.after not in ids:
            raise no_such_place(paging.after)
        start = ids.index(paging.after) + 1
    end = start + paging.limit
    return listed(ordered[start:end], has_more=end < len(ordered))


def no_such_place(after: str) -> ClientError:
    """Return the error for a page that is to begin behind an item which is not in the list."""
    return ClientError(f"after: item '{after}' is not in this list", param="after")


def listed(items: Sequence[Tree], *, has_more: bool = False) -> Tree:
    """Return the list object. The schema wants both ids to be texts, also of an empty list."""
    return {
        "object": "list",
        "data": [shown(item) for item in items],
        "first_id": items[0]["id"] if items else "",
        "last_id": items[-1]["id"] if items else "",
        "has_more": has_more,
    }


def shown(item: Tree) -> Tree:
    """Return an item as it is shown: with a status, and the content of a message in parts."""
    tree = {**item}
    if tree.get("type") in _WITH_STATUS:
        tree["status"] = tree.get("status") or "completed"
    if tree.get("type") == "message":
        tree["content"] = _parts(tree.get("content"), is_output=tree.get("role") == "assistant")
    return tree


def _parts(content: object, *, is_output: bool) -> object:
    if content is None or isinstance(content, str):
        content = [{"type": "output_text" if is_output else "input_text", "text": content or ""}]
    if not isinstance(content, list):
        return content
    return [_part(part) if isinstance(part, dict) else part for part in content]


def _part(part: Tree) -> Tree:
    match part.get("type"):
        case "output_text":
            return {"annotations": [], "logprobs": [], **part}
        case "input_image":
            return {**part, "detail": part.get("detail") or "auto"}
    return part

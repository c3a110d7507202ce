"""A whole response: tree to `Response` and back."""

from __future__ import annotations

from collections.abc import Sequence

from aigw.dialects.base import Tree
from aigw.dialects.fields import text_or_none
from aigw.dialects.openai_chat.errors import error_from_tree
from aigw.dialects.openresponses.echo import echo, said_by_provider
from aigw.dialects.openresponses.fields import keep, seconds_or_none
from aigw.dialects.openresponses.finish import Ending, decode_finish, encode_finish
from aigw.dialects.openresponses.items import decode_item
from aigw.dialects.openresponses.output import encode_output_item
from aigw.dialects.openresponses.usage import encode_usage, read_usage
from aigw.errors import ClientError, ProtocolError
from aigw.model import Choice, Extras, FunctionCall, Item, Request, Response, Usage

DEFAULT_ID = "resp_0"
_KNOWN = frozenset(
    (
        *("id", "object", "created_at", "model", "output", "output_text", "usage"),
        *("service_tier", "status", "error", "incomplete_details"),
    )
)


def decode_response(tree: Tree) -> Response:
    """Read a response. Raises ProtocolError on what is none, and the error it tells if it tells one."""
    output = tree.get("output")
    if tree.get("status") == "failed" or (not isinstance(output, list) and tree.get("error")):
        raise error_from_tree(tree)
    if not isinstance(output, list):
        raise ProtocolError(f"output: expected a list, got {type(output).__name__}")
    items = tuple(decode_output_item(item, number) for number, item in enumerate(output))
    calls = any(isinstance(item, FunctionCall) for item in items)
    reason, raw = decode_finish(tree, has_calls=calls)
    return Response(
        id=text_or_none(tree.get("id")) or None,
        model=text_or_none(tree.get("model")),
        created=seconds_or_none(tree.get("created_at")),
        choices=(Choice(items, reason, raw),),
        usage=read_usage(tree),
        service_tier=text_or_none(tree.get("service_tier")) or None,
        status=text_or_none(tree.get("status")),
        extras=response_extras(tree),
    )


def decode_output_item(tree: object, number: int) -> Item:
    """Read one item of an answer. Raises ProtocolError on what is none."""
    try:
        return decode_item(tree, f"output[{number}]")
    except ClientError as error:
        raise ProtocolError(error.message) from error


def response_extras(tree: Tree) -> Extras:
    """Return what a provider of this format says in a response beyond the vocabulary."""
    return keep(tree, _KNOWN)


def encode_response(response: Response, request: Request | None) -> Tree:
    """Write a response with every field the specification wants. Of several answers, the first one."""
    choice = response.choices[0] if response.choices else Choice()
    ending = encode_finish(choice.finish_reason, choice.finish_raw)
    if choice.finish_reason is None and response.status in {"queued", "in_progress"}:
        ending = Ending(response.status)
    output = encode_output(choice.items, response.id, ending)
    base = base_of(response.id, response.model, response.created, response.service_tier, request)
    return snapshot(base, said_by_provider(response.extras, request), ending, output, response.usage)


def base_of(
    response_id: str | None,
    model: str | None,
    created: int | None,
    service_tier: str | None,
    request: Request | None,
) -> Tree:
    """Return the fields that stay the same while an answer comes."""
    tree: Tree = {
        "id": response_id or DEFAULT_ID,
        "object": "response",
        "created_at": created or 0,
        "model": model or (request.model if request is not None else ""),
        **echo(request),
    }
    return tree if service_tier is None else tree | {"service_tier": service_tier}


def snapshot(base: Tree, said: Tree, ending: Ending, output: Sequence[Tree], usage: Usage | None) -> Tree:
    """Return a response as it stands in the state `ending`. said: fields that outrank all others."""
    completed = ending.status == "completed"
    error = {"code": "server_error", "message": "the model failed to answer"}
    return {
        **base,
        "status": ending.status,
        # No clock here: at least it is never before it began.
        "completed_at": base["created_at"] if completed else None,
        "error": error if ending.status == "failed" else None,
        "incomplete_details": ending.details,
        "output": list(output),
        "usage": None if usage is None else encode_usage(usage),
        **said,
    }


def encode_output(items: Sequence[Item], response_id: str | None, ending: Ending) -> list[Tree]:
    """Write the items of an answer; only the last one of an incomplete answer may be incomplete itself."""
    output: list[Tree] = []
    for number, item in enumerate(items):
        last = ending.incomplete and number == len(items) - 1
        status = "incomplete" if last else "completed"
        if ending.status in {"queued", "in_progress"}:
            status = "in_progress"
        tree = encode_output_item(item, response_id, len(output), status)
        if tree is not None:
            output.append(tree)
    return output

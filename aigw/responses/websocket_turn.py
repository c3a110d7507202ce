"""What a client says over a WebSocket: from a message to the request of one turn.

Owns the one kind of message there is, and which fields of a request have no place in it. Sends nothing.
Source: OpenResponses 2026-04-24; `generate` is OpenAI's, from its guide to WebSocket mode.
"""

from __future__ import annotations

from typing import Any

import orjson
from attrs import frozen

from aigw.dialects.base import Tree
from aigw.errors import ClientError, ErrorKind

CREATE = "response.create"
# How the answer travels is settled. What asks for just that may be said, as OpenAI's own clients do.
_SETTLED: dict[str, tuple[object, ...]] = {
    "stream": (True,),
    "stream_options": (),
    "background": (),
    "stream_id": (),
}


@frozen
class Turn:
    """One turn as it was asked for.

    body: the request, as HTTP would have it. generate: False asks only to have the input kept.
    previous_id: what it continues, also where the message is otherwise at fault.
    """

    body: bytes
    generate: bool = True
    previous_id: str | None = None
    error: ClientError | None = None


def read_turn(message: str | bytes) -> Turn:
    """Read a message; one that is at fault gives a turn that will fail."""
    fields: Tree = {}
    try:
        fields = _object(message)
        _check(fields)
        generate = _generate(fields.pop("generate", None))
    except ClientError as error:
        return Turn(b"", previous_id=_previous(fields), error=error)
    del fields["type"]
    return Turn(orjson.dumps({**fields, "stream": True}), generate, _previous(fields))


def _object(message: str | bytes) -> Tree:
    if isinstance(message, bytes):
        raise ClientError("binary messages are not read here; send JSON in a text message")
    try:
        tree = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise ClientError(f"the message is not valid JSON: {error}", kind=ErrorKind.INVALID_JSON) from error
    if not isinstance(tree, dict):
        raise ClientError(f'a message must be an object with a "type", got {_seen(tree)}')
    return tree


def _check(fields: Tree) -> None:
    kind = fields.get("type")
    if kind != CREATE:
        raise ClientError(
            f'"type" must be "{CREATE}", the only message there is; got {_seen(kind)}', param="type"
        )
    for name, allowed in _SETTLED.items():
        if name in fields and fields[name] not in allowed:
            raise ClientError(
                f'"{name}" has no place in a WebSocket message: a connection streams one response at a '
                "time, while it lasts; leave it out",
                kind=ErrorKind.UNSUPPORTED,
                param=name,
            )


def _generate(value: object) -> bool:
    if value is None or isinstance(value, bool):
        return value is not False
    raise ClientError(f'"generate" must be true or false, got {_seen(value)}', param="generate")


def _previous(fields: Tree) -> str | None:
    value = fields.get("previous_response_id")
    return value if isinstance(value, str) else None


def _seen(value: Any) -> str:
    return orjson.dumps(value).decode()[:40]

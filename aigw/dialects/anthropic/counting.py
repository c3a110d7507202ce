"""Counting a prompt's tokens: `/v1/messages/count_tokens` asks with a request and answers with a number."""

from __future__ import annotations

from aigw.dialects.anthropic.request import decode_request, encode_request
from aigw.dialects.base import Encoded, Tree
from aigw.dialects.fields import int_or_none
from aigw.errors import ProtocolError
from aigw.model import Request

# What steers the answer: the endpoint refuses fields that only an answer needs.
_UNCOUNTED = frozenset(
    ("max_tokens", "stream", "stop_sequences", "temperature", "top_p", "top_k", "metadata", "service_tier")
)


def decode_count_request(tree: Tree) -> Request:
    """Read the question. Raises ClientError as a request for an answer would."""
    return decode_request(tree)


def encode_count_request(request: Request) -> Encoded:
    """Write the question."""
    encoded = encode_request(request)
    tree = {field: value for field, value in encoded.tree.items() if field not in _UNCOUNTED}
    return Encoded(tree, encoded.dropped)


def decode_count(tree: Tree) -> int:
    """Return the number. Raises ProtocolError where there is none."""
    count = int_or_none(tree.get("input_tokens"))
    if count is None:
        raise ProtocolError("input_tokens: expected a number")
    return count


def encode_count(input_tokens: int) -> Tree:
    """Write the number."""
    return {"input_tokens": input_tokens}

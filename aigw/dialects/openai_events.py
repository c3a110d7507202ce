"""How to watch the streams of OpenAI's other APIs, those that only pass through.

Owns one StreamGrammar each for legacy completions, responses, images, speech and transcription: enough
to know a stream's end, its failure and its token counts, and nothing of its content. In the event-typed
ones `type` in the data names the event where the frame does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import orjson

from aigw.dialects.base import Sighting, StreamGrammar, Tree
from aigw.dialects.fields import int_or_none, list_of, object_of, text_of
from aigw.dialects.openai_chat.errors import encode_error, error_from_tree
from aigw.dialects.openai_chat.grammar import CLOSING, DONE, encode_error_frame, parse
from aigw.dialects.openai_chat.usage import read_usage
from aigw.errors import GatewayError
from aigw.model import Usage
from aigw.wire.sse import encode_frame

ReadUsage = Callable[[Tree], Usage | None]


def read_token_usage(tree: Tree) -> Usage | None:
    """Return the counts of an API that speaks of input_tokens and output_tokens."""
    usage = tree.get("usage")
    if not isinstance(usage, dict):
        return None
    inputs = object_of(usage.get("input_tokens_details") or usage.get("input_token_details"))
    outputs = object_of(usage.get("output_tokens_details") or usage.get("output_token_details"))
    return Usage(
        input_tokens=_count(usage, "input_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        cached_tokens=_count(inputs, "cached_tokens"),
        cache_write_tokens=_count(inputs, "cache_write_tokens"),
        reasoning_tokens=_count(outputs, "reasoning_tokens"),
        audio_input_tokens=_count(inputs, "audio_tokens"),
        audio_output_tokens=_count(outputs, "audio_tokens"),
        total_tokens=int_or_none(usage.get("total_tokens")),
    )


def _count(tree: Tree, field: str) -> int:
    return max(0, int_or_none(tree.get(field)) or 0)


def _examine_completion(event: str | None, data: bytes) -> Sighting:
    if data.strip() == DONE:
        return Sighting(terminal=True)
    tree = parse(data)
    if tree.get("error") or event == "error":
        return Sighting(error=error_from_tree(tree))
    choices = [object_of(choice) for choice in list_of(tree.get("choices"))]
    return Sighting(
        content=any(choice.get("text") for choice in choices),
        finished=any(choice.get("finish_reason") for choice in choices),
        usage=read_usage(tree),
        usage_only=not choices and isinstance(tree.get("usage"), dict),
    )


_PREAMBLE = frozenset(("response.created", "response.queued", "response.in_progress"))
_RESPONSES_END = frozenset(("response.completed", "response.incomplete"))


def _examine_response(event: str | None, data: bytes) -> Sighting:
    if data.strip() == DONE:  # some servers add it after response.completed
        return Sighting()
    tree = parse(data)
    name = event or text_of(tree.get("type"))
    response = object_of(tree.get("response"))
    usage = read_token_usage(response)
    if name == "response.failed":
        return Sighting(error=error_from_tree(response), usage=usage)
    if _tells_error(name, tree):
        told = _is_told_both_ways(tree) and event == "error"
        return Sighting(error=error_from_tree(tree), to_be_repeated=told, to_be_retold=not told)
    if name in _PREAMBLE:
        return Sighting(usage=usage, begun=True)
    ended = name in _RESPONSES_END
    return Sighting(content=True, terminal=ended, finished=ended, usage=usage)


def _examine_typed(ends: frozenset[str], event: str | None, data: bytes) -> Sighting:
    if data.strip() == DONE:
        return Sighting()
    tree = parse(data)
    name = event or text_of(tree.get("type"))
    if _tells_error(name, tree):
        return Sighting(error=error_from_tree(tree))
    ended = name in ends
    return Sighting(content=True, terminal=ended, finished=ended, usage=read_token_usage(tree))


def _is_told_both_ways(tree: Tree) -> bool:
    """Tell whether an error event is what the specification wants, and what OpenAI's clients read."""
    inner = object_of(tree.get("error"))
    numbered = int_or_none(tree.get("sequence_number")) is not None
    return numbered and "message" in tree and inner.keys() >= {"type", "code", "message", "param"}


def _tells_error(name: str, tree: Tree) -> bool:
    return name == "error" or (not name and bool(tree.get("error")))


def _response_error_frame(error: GatewayError) -> bytes:
    """Return the `error` event of a responses stream. Its number is unknown where bytes only pass through."""
    tree = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
    return encode_frame(orjson.dumps(tree), "error")


def _typed_error_frame(error: GatewayError) -> bytes:
    """Return the `error` event of the streams whose data holds an error object."""
    return encode_frame(orjson.dumps({"type": "error", **encode_error(error)[1]}), "error")


def _typed(*ends: str) -> StreamGrammar:
    suspects = (*(end.encode() for end in ends), b'"error"', b"event: error", b"event:error", DONE)
    return StreamGrammar(
        suspects=suspects, examine=partial(_examine_typed, frozenset(ends)), encode_error=_typed_error_frame
    )


COMPLETIONS = StreamGrammar(
    suspects=(
        DONE,
        b'"usage":{',
        b'"usage": {',
        b'"error"',
        b'"finish_reason":"',
        b'"finish_reason": "',
    ),
    examine=_examine_completion,
    encode_error=encode_error_frame,
    closing=CLOSING,
)
RESPONSES = StreamGrammar(
    suspects=(
        b"response.completed",
        b"response.incomplete",
        b"response.failed",
        b'"error"',
        b"event: error",
        b"event:error",
        DONE,
    ),
    examine=_examine_response,
    encode_error=_response_error_frame,
)
IMAGES = _typed("image_generation.completed", "image_edit.completed")
SPEECH = _typed("speech.audio.done")
TRANSCRIPTIONS = _typed("transcript.text.done")

"""A whole GenerateContentResponse: tree to `Response` and back.

Decoding is that of a stream of one chunk, so that both can never differ.
"""

from __future__ import annotations

from aigw.dialects.base import Tree
from aigw.dialects.gemini.answer import CREATE_TIME, AnswerDecoder, create_time
from aigw.dialects.gemini.calls import encode_call
from aigw.dialects.gemini.errors import error_from_tree
from aigw.dialects.gemini.fields import PROMPT_BLOCKED, restore
from aigw.dialects.gemini.finish import encode_finish
from aigw.dialects.gemini.grounding import encode_annotations
from aigw.dialects.gemini.logprobs import encode_logprobs
from aigw.dialects.gemini.parts import encode_part
from aigw.dialects.gemini.reasoning import encode_reasoning
from aigw.dialects.gemini.signatures import for_gemini_client
from aigw.dialects.gemini.usage import encode_usage
from aigw.errors import ProtocolError
from aigw.model import Choice, FunctionCall, Item, Message, Reasoning, Request, Response, TextPart, fold

_EXPECTED = ("candidates", "promptFeedback", "usageMetadata", "responseId", "modelVersion")


def decode_response(tree: Tree) -> Response:
    """Read an answer. Raises ProtocolError on what is none, and the error it tells if it tells one."""
    if tree.get("error"):
        raise error_from_tree(tree)
    if not any(tree.get(field) is not None for field in _EXPECTED):
        raise ProtocolError("candidates: expected a list, and found nothing of an answer")
    answer = AnswerDecoder()
    answer.feed(tree)
    answer.finish()
    return fold(answer.take())


def encode_response(response: Response, request: Request | None) -> Tree:
    """Write an answer in the shape Google's own clients parse."""
    tree: Tree = {}
    candidates = [
        encode_candidate(choice) for choice in response.choices if PROMPT_BLOCKED not in choice.extras
    ]
    if candidates or not response.choices:
        tree["candidates"] = candidates
    if response.usage is not None:
        tree["usageMetadata"] = encode_usage(response.usage)
    tree |= head(response, request)
    return tree | restore(response.extras)


def head(response: Response, request: Request | None) -> Tree:
    """Write what names an answer, and stands in each chunk of a stream too."""
    tree: Tree = {"modelVersion": response.model or ("" if request is None else request.model)}
    if response.id:
        tree["responseId"] = response.id
    if made := create_time(response.created, response.extras.get(CREATE_TIME)):
        tree["createTime"] = made
    return tree


def encode_candidate(choice: Choice) -> Tree:
    """Write one choice."""
    parts = [part for item in choice.items for part in _encode_item(item)]
    texts = [
        part
        for item in choice.items
        if isinstance(item, Message)
        for part in item.parts
        if isinstance(part, TextPart)
    ]
    tree: Tree = {"content": {"parts": parts, "role": "model"}, "index": choice.index}
    tree["finishReason"] = encode_finish(choice.finish_reason, choice.finish_raw)
    if logprobs := [prob for part in texts for prob in part.logprobs]:
        tree["logprobsResult"] = encode_logprobs(logprobs)
    tree |= encode_annotations([(part.text, part.annotations) for part in texts], choice.extras)
    return tree | restore(choice.extras)


def _encode_item(item: Item) -> list[Tree]:
    match item:
        case Message():
            encoded = [encode_part(part, for_gemini_client, "") for part in item.parts]
            return [part for part in encoded if part not in (None, {"text": ""})]
        case Reasoning():
            return encode_reasoning(item, for_gemini_client, "")
        case FunctionCall():
            return [encode_call(item, for_gemini_client, "")]
        case _:
            return []

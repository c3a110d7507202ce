"""What the laws of dialects need to know of Gemini: its schema, its grammar, and what it cannot say."""

import json
import re

import orjson
from attrs import evolve
from google.genai import types

from aigw.model import FunctionCall, Message, TextPart
from aigw.wire.sse import split_frames

WORDS = re.findall(
    r"\w+",
    """
    model contents role parts text thought thoughtSignature functionCall functionResponse id name args
    response result error inlineData fileData mimeType data fileUri executableCode candidates content
    finishReason STOP index usageMetadata promptTokenCount candidatesTokenCount totalTokenCount user
    thoughtsTokenCount promptFeedback blockReason groundingMetadata groundingChunks groundingSupports
    citationMetadata segment startIndex endIndex logprobsResult chosenCandidates topCandidates partialArgs
    jsonPath willContinue systemInstruction tools functionDeclarations parameters toolConfig mode AUTO
    functionCallingConfig allowedFunctionNames generationConfig thinkingConfig thinkingBudget topK
    responseSchema responseMimeType type properties items nullable details message code status
    """,
)


def check_whole(tree):
    usage = dict(tree.get("usageMetadata", {}))
    usage.pop("serviceTier", None)  # Google sends it, and its own types do not know it yet
    types.GenerateContentResponse.model_validate_json(json.dumps({**tree, "usageMetadata": usage}))


def check_frames(frames, *, failed):
    """Check the trees of a whole stream: counts and finish reasons in the last one, and nowhere else."""
    last = frames[-1]
    if failed:
        assert last.keys() == {"error"}
        assert last["error"]["message"]
        frames = frames[:-1]
    else:
        assert all(candidate["finishReason"] for candidate in last["candidates"])
    for frame in frames:
        check_whole(frame)
        assert frame is last or "usageMetadata" not in frame
        assert frame is last or not any("finishReason" in candidate for candidate in frame["candidates"])


def check_stream(data, *, failed):
    frames = split_frames(data)
    assert all(frame.event is None for frame in frames)
    check_frames([json.loads(frame.data) for frame in frames], failed=failed)


def holds(response):
    """A refusal is a text like any other, arguments are objects, thoughts are counted beside the answer."""
    usage = response.usage
    if usage is not None:
        usage = evolve(usage, output_tokens=max(usage.output_tokens, usage.reasoning_tokens))
    choices = [
        evolve(choice, items=tuple(_item(item) for item in choice.items)) for choice in response.choices
    ]
    return evolve(response, choices=tuple(choices), usage=usage)


def holds_request(request):
    return evolve(request, items=tuple(_item(item) for item in request.items))


def _item(item):
    if isinstance(item, Message):
        return evolve(item, parts=tuple(TextPart(part.text) for part in item.parts))
    if not isinstance(item, FunctionCall):
        return item
    try:
        args = orjson.loads(item.arguments.strip() or "{}")
    except orjson.JSONDecodeError:
        return item
    return evolve(item, arguments=orjson.dumps(args).decode()) if isinstance(args, dict) else item


CHECKS = (check_whole, check_stream, WORDS, holds, holds_request)

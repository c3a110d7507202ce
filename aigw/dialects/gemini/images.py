"""Pictures: OpenAI's request for some, asked of a Gemini model that draws, or of Imagen.

As with embeddings, trees are turned into trees. Gemini draws one picture an answer, Imagen up to four;
neither takes a size in pixels, so of a size its proportions are asked for. Both answer with the bytes alone.
Source: the Gemini API's pages on image generation and Imagen, and the reference (v1beta), read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import log
from typing import Any

from aigw.dialects.base import Encoded, Tree
from aigw.dialects.fields import list_of, object_of, text_of
from aigw.dialects.gemini.fields import camel, int_or_none, object_at
from aigw.dialects.gemini.parts import parts_of
from aigw.errors import ClientError, ErrorKind, ProtocolError

MAX_IMAGEN_IMAGES = 4

_GEMINI_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_IMAGEN_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_NATIVE_SIZE = "1024x1024"
_HELD = frozenset(("model", "prompt", "n", "size", "response_format", "stream"))
# What asks for nothing but what comes anyway.
_USUAL: dict[str, tuple[Any, ...]] = {
    "response_format": ("b64_json",),
    "output_format": ("png",),
    "background": ("auto",),
    "quality": ("auto", "standard"),
    "moderation": ("auto",),
    "partial_images": (0,),
}


def encode_for_gemini(tree: Tree) -> Encoded:
    """Write an OpenAI request as generateContent. Raises ClientError on what cannot be answered so."""
    prompt, dropped = _prompt(tree), _lost(tree)
    config: Tree = {"responseModalities": ["IMAGE"]}
    if ratio := _ratio(tree, _GEMINI_RATIOS, dropped):
        config["imageConfig"] = {"aspectRatio": ratio}
    if (int_or_none(tree.get("n")) or 1) > 1:
        dropped.append("n")
    contents = [{"role": "user", "parts": [{"text": prompt}]}]
    return Encoded({"contents": contents, "generationConfig": config}, tuple(dropped))


def encode_for_imagen(tree: Tree) -> Encoded:
    """Write an OpenAI request as Imagen's predict. Raises ClientError on what cannot be answered so."""
    prompt, dropped = _prompt(tree), _lost(tree)
    count = int_or_none(tree.get("n")) or 1
    if count > MAX_IMAGEN_IMAGES:
        dropped.append("n")
    parameters: Tree = {"sampleCount": min(max(count, 1), MAX_IMAGEN_IMAGES)}
    if ratio := _ratio(tree, _IMAGEN_RATIOS, dropped):
        parameters["aspectRatio"] = ratio
    return Encoded({"instances": [{"prompt": prompt}], "parameters": parameters}, tuple(dropped))


def _prompt(tree: Tree) -> str:
    if tree.get("stream") is True:
        raise ClientError(
            "stream: this model's pictures come whole", kind=ErrorKind.UNSUPPORTED, param="stream"
        )
    prompt = tree.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        kind = ErrorKind.MISSING_FIELD if prompt is None else None
        raise ClientError("prompt: expected a string that is not empty", kind=kind, param="prompt")
    return prompt


def _lost(tree: Tree) -> list[str]:
    """Name the fields that ask for more than these models can be asked for."""
    lost = [key for key in tree if key not in _HELD and tree[key] not in (None, *_USUAL.get(key, ()))]
    if tree.get("response_format") not in (None, *_USUAL["response_format"]):
        lost.append("response_format")
    return lost


def _ratio(tree: Tree, known: Sequence[str], dropped: list[str]) -> str | None:
    """Return the proportions to ask for, the nearest there are; no size is kept but the usual one."""
    size = tree.get("size")
    if size is None or size == "auto":
        return None
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not width or not height:
        raise ClientError('size: expected "auto" or a size such as "1024x1024"', param="size")
    if size != _NATIVE_SIZE:
        dropped.append("size")
    return min(known, key=lambda ratio: abs(log(width / height) - log(_value(ratio))))


def _value(ratio: str) -> float:
    wide, _, high = ratio.partition(":")
    return int(wide) / int(high)


def decode_from_gemini(tree: Tree, _request: Tree) -> Tree:
    """Read an answer of generateContent as OpenAI's, without the time it was made.

    Raises ProtocolError on what holds no picture, ClientError where the model declined to draw it.
    """
    pictures: list[Tree] = []
    reasons = [text_of(object_at(tree, "promptFeedback").get("blockReason"))]
    for candidate in [camel(object_of(each)) for each in list_of(tree.get("candidates"))]:
        reasons.append(text_of(candidate.get("finishReason")))
        for part in parts_of(object_at(candidate, "content")):
            data = object_at(camel(part), "inlineData")
            if data.get("data") and not part.get("thought"):
                pictures.append(data)
    result = _images(pictures, [text_of(data.get("data")) for data in pictures], reasons)
    usage = object_at(tree, "usageMetadata")
    if usage:
        result["usage"] = _usage(usage)
    return result


def decode_from_imagen(tree: Tree, _request: Tree) -> Tree:
    """Read an answer of predict as OpenAI's; raises as `decode_from_gemini` does."""
    found = [object_of(prediction) for prediction in list_of(tree.get("predictions"))]
    pictures = [prediction for prediction in found if prediction.get("bytesBase64Encoded")]
    reasons = [text_of(prediction.get("raiFilteredReason")) for prediction in found]
    return _images(pictures, [text_of(each.get("bytesBase64Encoded")) for each in pictures], reasons)


def _images(pictures: Sequence[Tree], data: Sequence[str], reasons: Iterable[str]) -> Tree:
    if not pictures:
        told = [reason for reason in reasons if reason and reason != "STOP"]
        if told:
            raise ClientError(f"the model drew no picture: {told[0]}", kind=ErrorKind.CONTENT_FILTER)
        raise ProtocolError("candidates: expected at least one picture")
    result: Tree = {"data": [{"b64_json": each} for each in data]}
    kind = text_of(pictures[0].get("mimeType")).partition("/")[2]
    if kind:
        result["output_format"] = kind
    return result


def _usage(usage: Tree) -> Tree:
    inputs = int_or_none(usage.get("promptTokenCount")) or 0
    thoughts = int_or_none(usage.get("thoughtsTokenCount")) or 0
    outputs = (int_or_none(usage.get("candidatesTokenCount")) or 0) + thoughts
    return {
        "input_tokens": inputs,
        "output_tokens": outputs,
        "total_tokens": int_or_none(usage.get("totalTokenCount")) or inputs + outputs,
        "input_tokens_details": {"text_tokens": inputs, "image_tokens": 0},
    }

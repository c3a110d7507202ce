"""Images: generations, edits and variations, whole and streamed. Each is a small real PNG.

Source: OpenAI's API reference, read 2026-11.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator

from aigw.upstream.demo import words
from aigw.upstream.demo.fields import invalid, missing, one_of, string, whole_number
from aigw.upstream.demo.png import draw
from aigw.upstream.demo.question import Question, Tree
from aigw.upstream.demo.script import Script, Whole, event_frame
from aigw.upstream.demo.steering import Steering, without_steering

MAX_SIDE = 64
MAX_ECHO = 80

_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_TITLE = "aigw demo"


def answer(question: Question, _steering: Steering) -> Script | Whole:
    """Answer one request. Raises Refusal."""
    tree = question.tree
    if question.path != "/v1/images/generations" and not question.files.get("image"):
        raise missing("image")
    prompt = "" if question.path == "/v1/images/variations" else without_steering(string(tree, "prompt"))
    width, height = _read_size(tree)
    one_of(tree, "output_format", ("png",))
    form = one_of(tree, "response_format", ("b64_json", "url"))
    count = whole_number(tree, "n", 1, 10) or 1
    pictures = [_picture(question, at, width, height) for at in range(count)]
    usage = _usage(words.count(prompt), count)
    size = f"{width}x{height}"
    if question.stream:
        partial = whole_number(tree, "partial_images", 0, 3) or 0
        return Script(map(event_frame, _events(question, pictures, partial, size, usage)))
    about = f"aigw demo, drawn without a model: {words.cut(prompt, MAX_ECHO)}"
    rows = [{**_row(picture, form), "revised_prompt": about} for picture in pictures]
    about_all = {"background": "opaque", "output_format": "png", "quality": "low", "size": size}
    return Whole.json({"created": question.created, "data": rows, **about_all, "usage": usage})


def _read_size(tree: Tree) -> tuple[int, int]:
    size = tree.get("size")
    if size is None or size == "auto":
        return MAX_SIDE, MAX_SIDE
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if found is None:
        raise invalid("size", size, "Supported values are: 'auto' and WIDTHxHEIGHT, as '1024x1024'.")
    return min(int(found[1]), MAX_SIDE), min(int(found[2]), MAX_SIDE)


def _picture(question: Question, at: int, width: int, height: int) -> str:
    """Return the picture as base64; its colour comes from the prompt and the files."""
    hue = bytes.fromhex(question.id("", at)[:6])
    return b64encode(draw(width, height, (hue[0], hue[1], hue[2]), _TITLE)).decode()


def _row(picture: str, form: str) -> Tree:
    if form == "url":
        return {"url": f"data:image/png;base64,{picture}"}
    return {"b64_json": picture}


def _usage(prompt_words: int, count: int) -> Tree:
    """Count words of the prompt, and each picture as one."""
    return {
        "input_tokens": prompt_words,
        "input_tokens_details": {"text_tokens": prompt_words, "image_tokens": 0},
        "output_tokens": count,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": count},
        "total_tokens": prompt_words + count,
    }


def _events(question: Question, pictures: list[str], partial: int, size: str, usage: Tree) -> Iterator[Tree]:
    kind = "image_edit" if question.path == "/v1/images/edits" else "image_generation"
    for picture in pictures:
        event = {
            "b64_json": picture,
            "created_at": question.created,
            "size": size,
            "quality": "low",
            "background": "opaque",
            "output_format": "png",
        }
        for at in range(partial):
            yield {"type": f"{kind}.partial_image", **event, "partial_image_index": at}
        yield {"type": f"{kind}.completed", **event, "usage": usage}

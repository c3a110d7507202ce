"""What the demo says: a prompt in, a reply out, whatever API it came through.

Owns the words, and the choice between text, a structure and tool calls. Knows no wire format.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from attrs import field, frozen

from aigw.upstream.demo import words
from aigw.upstream.demo.question import Question
from aigw.upstream.demo.steering import without_steering
from aigw.upstream.demo.tools import Toolbox, arguments, example
from aigw.upstream.demo.words import Limits

DISCLAIMER = (
    "This is the aigw demo: no language model wrote this. "
    "Set OPENAI_API_KEY and start aigw again to connect a real provider."
)
MAX_ECHO = 80
MAX_RESULT = 200


@frozen
class Prompt:
    """What there is to answer.

    text: the user's last message. results: what tools answered to it. prompt_words: everything said so far.
    structure: None for prose, {} for any JSON object, else a JSON schema.
    """

    text: str
    prompt_words: int
    results: tuple[str, ...] = ()
    toolbox: Toolbox = field(factory=Toolbox)
    structure: Any = None
    limits: Limits = field(factory=Limits)
    chunks: int | None = None


@frozen
class ToolCall:
    """One call, with its arguments as JSON text in a stream's pieces."""

    id: str
    name: str
    pieces: list[str]

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


@frozen
class Reply:
    """One answer: text in a stream's pieces, or tool calls."""

    pieces: list[str] = field(factory=list)
    calls: tuple[ToolCall, ...] = ()
    finish: Literal["stop", "length", "tool_calls"] = "stop"

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def words(self) -> int:
        return words.count(self.text) + sum(words.count(call.arguments) for call in self.calls)


def reply_to(prompt: Prompt, question: Question, choice: int = 0) -> Reply:
    """Return the answer to a prompt; `choice` counts from 0 when several were asked for."""
    picked = () if prompt.results else prompt.toolbox.pick(prompt.text)
    if picked:
        calls = tuple(
            ToolCall(question.id("call_", choice, at), tool.name, words.into(arguments(tool), prompt.chunks))
            for at, tool in enumerate(picked)
        )
        return Reply(calls=calls, finish="tool_calls")
    if prompt.structure is None:
        pieces = words.exactly(_prose(prompt, choice), prompt.chunks)
    else:
        pieces = words.into(_structure(prompt), prompt.chunks)
    pieces, shortened = prompt.limits.hold(pieces)
    return Reply(pieces, finish="length" if shortened else "stop")


def _prose(prompt: Prompt, choice: int) -> str:
    again = f" (Answer {choice + 1}.)" if choice else ""
    if prompt.results:
        quoted = ", ".join(f'"{words.cut(result, MAX_RESULT)}"' for result in prompt.results)
        return f"The tool answered {quoted}. {DISCLAIMER}{again}"
    said = words.cut(without_steering(prompt.text), MAX_ECHO)
    greeting = f'Hello! You said: "{said}".' if said else "Hello!"
    return f"{greeting} {DISCLAIMER}{again}"


def _structure(prompt: Prompt) -> str:
    if prompt.structure == {}:
        said = words.cut(without_steering(prompt.text), MAX_ECHO)
        return json.dumps({"demo": True, "message": DISCLAIMER, "you_said": said}, ensure_ascii=False)
    return example(prompt.structure, "Invalid schema for response_format", "response_format")

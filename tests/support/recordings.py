"""Recorded answers of the four formats by what happens in them, and what a client is to find in each."""

from pathlib import Path
from typing import Any

from attrs import frozen

WIRE = Path(__file__).parent.parent / "wire"
FOLDERS = {
    "chat": "openai_chat",
    "responses": "openresponses",
    "messages": "anthropic",
    "gemini": "gemini",
}
USAGE = {"chat": (9, 4), "responses": (10, 5), "messages": (10, 5), "gemini": (9, 7)}
CACHED = {"chat": 3, "responses": 4, "messages": 0, "gemini": 0}


@frozen
class Recorded:
    """One answer. finish: why it ended, in one word of ours. file: in the provider's folder of wire/."""

    file: str
    text: str = ""
    thoughts: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    finish: str = "stop"
    edit: tuple[bytes, bytes] = (b"", b"")

    def bytes(self, api, *, stream):
        path = WIRE / FOLDERS[api] / (self.file + (".sse" if stream else ".json"))
        old, new = self.edit
        raw = path.read_bytes()
        assert old in raw
        return raw.replace(old, new)


HORSE = "Žluťoučký kůň 🐎"
ANSWERS = {
    "text": {
        "chat": Recorded("text", "Příliš žluťoučký"),
        "responses": Recorded("text", HORSE),
        "messages": Recorded("text", HORSE),
        "gemini": Recorded("text", "Hello"),
    },
    "one tool call": {
        "chat": Recorded("tool_call_without_id", calls=(("f", {}),), finish="call"),
        "responses": Recorded(
            "items_without_deltas",
            "4",
            "Two and two.",
            calls=(("weather", {"city": "Prague"}),),
            finish="call",
        ),
        "messages": Recorded(
            "tool_use", "Let me see.", calls=(("get_weather", {"city": "Brno"}),), finish="call"
        ),
        "gemini": Recorded("call_with_id", "Let me see. ", calls=(("f", {"q": "žluť 🐎"}),), finish="call"),
    },
    "parallel tool calls": {
        "chat": Recorded("interleaved_tool_calls", calls=(("f", {"a": 1}), ("g", {"b": 2})), finish="call"),
        "responses": Recorded(
            "interleaved_tool_calls", calls=(("weather", {"city": "Prague"}), ("time", {})), finish="call"
        ),
        "messages": Recorded(
            "parallel_tool_use", calls=(("f", {"a": 1}), ("g", {"b": [2, "ž"]})), finish="call"
        ),
        "gemini": Recorded(
            "parallel_calls",
            calls=(("f", {"a": 1}), ("g", {}), ("f", {"a": [{"b": None}]})),
            finish="call",
        ),
    },
    "reasoning": {
        "chat": Recorded("reasoning_content", "4", "Let me think"),
        "responses": Recorded("reasoning_summary", "4", "First. Then."),
        "messages": Recorded("thinking", "42", "Hm, let me see."),
        "gemini": Recorded("thoughts", "42 it is", "Hm, yes"),
    },
    "refusal": {
        "chat": Recorded("refusal", "I won't", finish="refused in words"),
        "responses": Recorded("refusal", "I cannot.", finish="refused in words"),
        "messages": Recorded("refusal", "I can", finish="refusal"),
        "gemini": Recorded("safety_stop", "Take ", finish="filter"),
    },
    "length": {
        "chat": Recorded("text", "Příliš žluťoučký", finish="length", edit=(b'"stop"', b'"length"')),
        "responses": Recorded("out_of_tokens", "Once upon", finish="length"),
        "messages": Recorded("max_tokens", "one tw", finish="length"),
        "gemini": Recorded("finish_with_text", "Hello", finish="length"),
    },
}

FINISHES = {
    "chat": {
        "stop": "stop",
        "call": "tool_calls",
        "length": "length",
        "refusal": "content_filter",
        "filter": "content_filter",
        "refused in words": "stop",
    },
    "responses": {
        "stop": "completed",
        "call": "completed",
        "length": "incomplete:max_output_tokens",
        "refusal": "incomplete:content_filter",
        "filter": "incomplete:content_filter",
        "refused in words": "completed",
    },
    "messages": {
        "stop": "end_turn",
        "call": "tool_use",
        "length": "max_tokens",
        "refusal": "refusal",
        "filter": "refusal",
        "refused in words": "refusal",
    },
    "gemini": {
        "stop": "STOP",
        "call": "STOP",
        "length": "MAX_TOKENS",
        "refusal": "SAFETY",
        "filter": "SAFETY",
        "refused in words": "STOP",
    },
}

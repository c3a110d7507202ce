"""Which endpoint a JSON body was written for, where nothing but the body is there.

Owns the marks by which formats are told apart. A guess, and told as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

import orjson

from aigw.dialects.base import Tree
from aigw.explain.form import UsageError

_ANTHROPIC_FIELDS = frozenset({"system", "stop_sequences", "thinking", "anthropic_version"})
_ANTHROPIC_BLOCKS = frozenset(
    {"tool_use", "tool_result", "thinking", "redacted_thinking", "document", "image"}
)


def guess_path(body: bytes, headers: Iterable[str] = ()) -> str:
    """Return the path for a body. Raises UsageError where it has no marks, or the path needs more."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"the body is no JSON ({error.msg}); --path says where it is to go") from None
    if not isinstance(tree, dict):
        raise UsageError("the body is no JSON object; --path says where it is to go")
    if "messages" in tree:
        is_anthropic = "anthropic-version" in {name.lower() for name in headers} or _is_anthropic(tree)
        return "/v1/messages" if is_anthropic else "/v1/chat/completions"
    if "contents" in tree:
        return _gemini(tree)
    if "input" in tree:
        return "/v1/embeddings" if "embed" in str(tree.get("model")) else "/v1/responses"
    if "prompt" in tree:
        return "/v1/completions"
    raise UsageError("the body has none of messages, contents, input, prompt; --path says where it is to go")


def _gemini(tree: Tree) -> str:
    model = tree.get("model")
    if not isinstance(model, str) or not model:
        raise UsageError(
            "a Gemini request has its model in the path; wanted --path /v1beta/models/MODEL:generateContent"
        )
    return f"/v1beta/models/{quote(model.removeprefix('models/'), safe='')}:generateContent"


def _is_anthropic(tree: Tree) -> bool:
    if _ANTHROPIC_FIELDS & tree.keys():
        return True
    tools = tree.get("tools")
    if isinstance(tools, list) and any(isinstance(tool, dict) and "input_schema" in tool for tool in tools):
        return True
    return any(block.get("type") in _ANTHROPIC_BLOCKS for block in _blocks(tree["messages"]))


def _blocks(messages: object) -> Iterator[Tree]:
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            yield from (block for block in content if isinstance(block, dict))

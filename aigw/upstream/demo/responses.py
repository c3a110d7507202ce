"""The Responses API, whole: one message or some function calls. Stateless: it keeps no response.

Source: OpenAI's API reference, read 2026-11. The stream is in `responses_stream`.
"""

from __future__ import annotations

from typing import Any

from aigw.upstream.demo.fields import object_or_empty
from aigw.upstream.demo.question import Question, Tree
from aigw.upstream.demo.responses_request import read_prompt, refuse_state
from aigw.upstream.demo.responses_stream import script
from aigw.upstream.demo.script import Script, Whole
from aigw.upstream.demo.steering import Steering
from aigw.upstream.demo.talk import Prompt, Reply, reply_to

_ECHOED: Tree = {
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def answer(question: Question, steering: Steering) -> Script | Whole:
    """Answer one request. Raises Refusal."""
    refuse_state(question.tree)
    prompt = read_prompt(question.tree, steering)
    reply = reply_to(prompt, question)
    head = _head(question)
    items = output_items(question, reply)
    end = ending(question, prompt, reply, items)
    if question.stream:
        return script(head, reply, items, end)
    return Whole.json({**head, **end})


def _head(question: Question) -> Tree:
    """Return a response that has only begun, with what the request set said again."""
    tree = question.tree
    echoed = {name: default if tree.get(name) is None else tree[name] for name, default in _ECHOED.items()}
    return {
        "id": question.id("resp_"),
        "object": "response",
        "created_at": question.created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": question.model,
        "output": [],
        "previous_response_id": None,
        "service_tier": "default",
        "store": False,
        "reasoning": {"effort": None, "summary": None, **object_or_empty(tree, "reasoning")},
        "text": _text(object_or_empty(tree, "text")),
        "tool_choice": _tool_choice(tree.get("tool_choice")),
        "tools": [_tool(tool) for tool in tree.get("tools") or ()],
        "usage": None,
        **echoed,
    }


def _text(options: Tree) -> Tree:
    shape = object_or_empty(options, "format", "text.format") or {"type": "text"}
    if shape.get("type") == "json_schema":
        shape = {"description": None, "strict": False, **shape}
    return {**options, "format": shape}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        return {"mode": "auto", **choice}
    return "auto" if choice is None else choice


def _tool(tool: Tree) -> Tree:
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": True, **tool}


def output_items(question: Question, reply: Reply) -> list[Tree]:
    """Return the finished output: function calls, or one message."""
    if reply.calls:
        return [
            {
                "type": "function_call",
                "id": question.id("fc_", call.id),
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments,
                "status": "completed",
            }
            for call in reply.calls
        ]
    part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
    status = "incomplete" if reply.finish == "length" else "completed"
    message = {"type": "message", "id": question.id("msg_"), "status": status, "role": "assistant"}
    return [{**message, "content": [part]}]


def ending(question: Question, prompt: Prompt, reply: Reply, items: list[Tree]) -> Tree:
    """Return the fields that the end of an answer sets."""
    usage = {
        "input_tokens": prompt.prompt_words,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": reply.words,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt.prompt_words + reply.words,
    }
    end: dict[str, Any] = {"status": "completed", "completed_at": question.created}
    if reply.finish == "length":
        end = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    return {**end, "output": items, "usage": usage}

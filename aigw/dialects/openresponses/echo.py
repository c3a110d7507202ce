"""What a response repeats of its request: the format wants every field, set or not.

What the provider itself has repeated, where it speaks this format, outranks this; but for what is kept, and
what it continues: of that only the side which keeps it knows, and it has told it in the request.
"""

from __future__ import annotations

from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, object_of, text_of
from aigw.dialects.openresponses.fields import restore
from aigw.dialects.openresponses.request import encode_text_options
from aigw.dialects.openresponses.tools import encode_tool, encode_tool_choice
from aigw.model import Extras, FunctionTool, ReasoningOptions, Request, Tool

_NOTHING = Request("")
_STATE = frozenset(("background", "conversation", "previous_response_id", "store"))


def echo(request: Request | None) -> Tree:
    """Return the fields of a response that its request decides, with the values that hold by default."""
    request = request or _NOTHING
    sampling, extras = request.sampling, restore(request.extras)
    choice = None if request.tool_choice is None else encode_tool_choice(request.tool_choice)
    conversation = extras.get("conversation")
    tree: Tree = {
        "background": extras.get("background") is True,
        "frequency_penalty": sampling.frequency_penalty or 0.0,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": int_or_none(extras.get("max_tool_calls")),
        "metadata": request.metadata,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "presence_penalty": sampling.presence_penalty or 0.0,
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "prompt_cache_retention": request.cache_retention,
        "reasoning": _reasoning(request.reasoning),
        "safety_identifier": request.safety_identifier,
        "service_tier": request.service_tier or "default",
        # Nothing is kept unless somebody above says so.
        "store": request.store is True,
        "temperature": 1.0 if sampling.temperature is None else sampling.temperature,
        "text": _text(request),
        "tool_choice": "auto" if choice is None else choice,
        "tools": [written for tool in request.tools if (written := _tool(tool)) is not None],
        "top_logprobs": sampling.top_logprobs or 0,
        "top_p": 1.0 if sampling.top_p is None else sampling.top_p,
        "truncation": text_of(extras.get("truncation")) or "disabled",
        "user": request.user,
    }
    if conversation is not None:
        tree["conversation"] = object_of(conversation) or {"id": text_of(conversation)}
    return tree


def said_by_provider(extras: Extras, request: Request | None) -> Tree:
    """Return the fields of a response that are its provider's to say; with no request, all it has said."""
    said = restore(extras)
    if request is None:
        return said
    return {field: value for field, value in said.items() if field not in _STATE}


def _reasoning(options: ReasoningOptions | None) -> Tree:
    effort = None if options is None else options.effort
    return {"effort": effort, "summary": None if options is None else options.summary}


def _text(request: Request) -> Tree:
    tree = {"format": {"type": "text"}, **encode_text_options(request)}
    shape = tree["format"]
    if isinstance(shape, dict) and shape.get("type") == "json_schema":
        tree["format"] = {"description": None, "strict": False, **shape}
    return tree


def _tool(tool: Tool) -> Tree | None:
    tree = encode_tool(tool)
    if isinstance(tool, FunctionTool) and tree is not None:
        return {"description": None, "parameters": None, "strict": None, **tree}
    return tree

"""What a provider was asked, read off the wire by hand and told in no format's words."""

import json
from typing import Any

from anthropic.types import message_create_params
from attrs import define, field
from google.genai import types
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

_PARAMS = {
    "chat": TypeAdapter(completion_create_params.CompletionCreateParamsNonStreaming),
    "responses": TypeAdapter(response_create_params.ResponseCreateParamsNonStreaming),
    "messages": TypeAdapter(message_create_params.MessageCreateParamsNonStreaming),
}
_SNAKES = {"mime_type": "mimeType", "parameters_json_schema": "parametersJsonSchema"}


@define
class Received:
    """One request. results: (call id, text, is error); calls: (id, name, arguments)."""

    system: str | None = None
    texts: list[str] = field(factory=list)
    images: list[tuple[str, str]] = field(factory=list)
    tools: dict[str, Any] = field(factory=dict)
    must_call: bool = False
    calls: list[tuple[str, str, Any]] = field(factory=list)
    results: list[tuple[str, str, bool]] = field(factory=list)
    signatures: list[str] = field(factory=list)
    schema: Any = None
    max_tokens: int | None = None
    temperature: float | None = None
    stop: list[str] = field(factory=list)
    thinks: bool = False


def read(api, tree):
    """Read a request. Raises ValueError where the vendor's own types would not have it."""
    if api == "gemini":
        _check_gemini(tree)
    else:
        checked = _PARAMS[api].validate_python(_with_defaults(tree))
        for value in checked.values():  # pydantic checks an Iterable while it is gone through
            if not isinstance(value, str | dict | int | float | list):
                list(value)
    return {"chat": _chat, "responses": _responses, "messages": _messages, "gemini": _gemini}[api](tree)


def _with_defaults(tree):
    """Fill in what OpenAI's types demand of their users, and OpenAI's API does not."""
    tree = json.loads(json.dumps({key: tree[key] for key in tree if key != "stream"}))
    for tool in tree.get("tools", ()) if "input" in tree else ():
        tool.setdefault("strict", None)
    for item in tree.get("input", ()) if isinstance(tree.get("input"), list) else ():
        if item.get("type") == "reasoning":
            item.setdefault("id", "rs_1")
        for part in item.get("content", ()) if isinstance(item.get("content"), list) else ():
            if part["type"] == "input_image":
                part.setdefault("detail", "auto")
    return tree


def _check_gemini(tree):
    known = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"}
    assert tree.keys() <= known
    for content in [*tree["contents"], *filter(None, [tree.get("systemInstruction")])]:
        types.Content.model_validate_json(json.dumps(content))
    for content in tree["contents"]:
        assert content["role"] in {"user", "model"}
        assert content["parts"]
    for tool in tree.get("tools", ()):
        types.Tool.model_validate_json(json.dumps(tool))
    types.GenerationConfig.model_validate_json(json.dumps(tree.get("generationConfig", {})))
    types.ToolConfig.model_validate_json(json.dumps(tree.get("toolConfig", {})))


def _parts(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def _data_url(url):
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), data


def _chat(tree):
    seen = Received()
    for message in tree["messages"]:
        parts = _parts(message.get("content"))
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        if message["role"] in {"system", "developer"}:
            seen.system = text
        elif message["role"] == "tool":
            seen.results.append((message["tool_call_id"], text, False))
        elif message["role"] == "user":
            seen.texts.append(text)
            seen.images += [
                _data_url(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"
            ]
        for call in message.get("tool_calls", ()):
            function = call["function"]
            seen.calls.append((call["id"], function["name"], json.loads(function["arguments"])))
    seen.tools = {
        tool["function"]["name"]: tool["function"].get("parameters") for tool in tree.get("tools", ())
    }
    seen.must_call = tree.get("tool_choice") == "required"
    seen.schema = tree.get("response_format", {}).get("json_schema", {}).get("schema")
    seen.max_tokens = tree.get("max_completion_tokens") or tree.get("max_tokens")
    seen.temperature = tree.get("temperature")
    stop = tree.get("stop", [])
    seen.stop = [stop] if isinstance(stop, str) else stop
    seen.thinks = "reasoning_effort" in tree
    return seen


def _responses(tree):
    seen = Received(system=tree.get("instructions"))
    for item in _parts(tree["input"]):
        kind = item.get("type", "message")
        if kind == "function_call":
            seen.calls.append((item["call_id"], item["name"], json.loads(item["arguments"])))
        elif kind == "function_call_output":
            parts = _parts(item["output"])
            seen.results.append((item["call_id"], "".join(part["text"] for part in parts), False))
        elif kind == "reasoning":
            seen.signatures += [item["encrypted_content"]] if item.get("encrypted_content") else []
        elif kind == "message" and item["role"] in {"system", "developer"}:
            seen.system = "".join(part["text"] for part in _parts(item["content"]))
        elif item.get("role") == "user":
            parts = _parts(item["content"])
            seen.texts.append("".join(part.get("text", "") for part in parts))
            seen.images += [_data_url(part["image_url"]) for part in parts if part["type"] == "input_image"]
    seen.tools = {tool["name"]: tool.get("parameters") for tool in tree.get("tools", ())}
    seen.must_call = tree.get("tool_choice") == "required"
    seen.schema = tree.get("text", {}).get("format", {}).get("schema")
    seen.max_tokens = tree.get("max_output_tokens")
    seen.temperature = tree.get("temperature")
    seen.thinks = "reasoning" in tree
    return seen


def _messages(tree):  # noqa: C901 - one case a kind of block
    seen = Received()
    if "system" in tree:
        seen.system = "".join(part["text"] for part in _parts(tree["system"]))
    assert [message["role"] for message in tree["messages"]][:1] == ["user"]
    for message in tree["messages"]:
        text = ""
        for block in _parts(message["content"]):
            match block["type"]:
                case "text":
                    text += block["text"]
                case "image":
                    seen.images.append((block["source"]["media_type"], block["source"]["data"]))
                case "tool_use":
                    seen.calls.append((block["id"], block["name"], block["input"]))
                case "tool_result":
                    said = "".join(part["text"] for part in _parts(block.get("content")))
                    seen.results.append((block["tool_use_id"], said, block.get("is_error", False)))
                case "thinking":
                    seen.signatures.append(block["signature"])
                case "redacted_thinking":
                    seen.signatures.append(block["data"])
        if message["role"] == "user" and text:
            seen.texts.append(text)
    seen.tools = {tool["name"]: tool["input_schema"] for tool in tree.get("tools", ())}
    seen.must_call = tree.get("tool_choice", {}).get("type") == "any"
    seen.schema = tree.get("output_config", {}).get("format", {}).get("schema")
    seen.max_tokens = tree["max_tokens"]
    seen.temperature = tree.get("temperature")
    seen.stop = tree.get("stop_sequences", [])
    seen.thinks = "thinking" in tree
    return seen


def _gemini(tree):  # noqa: C901 - one case a kind of part
    seen = Received()
    for spelling, plain in _SNAKES.items():  # Google's SDK mixes two spellings, and Google reads both
        tree = json.loads(json.dumps(tree).replace(f'"{spelling}":', f'"{plain}":'))
    if "systemInstruction" in tree:
        seen.system = "".join(part["text"] for part in tree["systemInstruction"]["parts"])
    for content in tree["contents"]:
        text = ""
        for part in content["parts"]:
            seen.signatures += [part["thoughtSignature"]] if "thoughtSignature" in part else []
            if "functionCall" in part:
                call = part["functionCall"]
                seen.calls.append((call.get("id", ""), call["name"], call.get("args", {})))
            elif "functionResponse" in part:
                answer = part["functionResponse"]
                [(key, value)] = answer["response"].items()
                seen.results.append((answer.get("id", ""), value, key == "error"))
            elif "inlineData" in part:
                seen.images.append((part["inlineData"]["mimeType"], part["inlineData"]["data"]))
            elif not part.get("thought"):
                text += part["text"]
        if content["role"] == "user" and text:
            seen.texts.append(text)
    for tool in tree.get("tools", ()):
        for function in tool["functionDeclarations"]:
            seen.tools[function["name"]] = function.get("parametersJsonSchema", function.get("parameters"))
    calling = tree.get("toolConfig", {}).get("functionCallingConfig", {})
    seen.must_call = calling.get("mode") == "ANY"
    config = tree.get("generationConfig", {})
    seen.schema = config.get("responseJsonSchema", config.get("responseSchema"))
    seen.max_tokens = config.get("maxOutputTokens")
    seen.temperature = config.get("temperature")
    seen.stop = config.get("stopSequences", [])
    seen.thinks = "thinkingConfig" in config
    return seen

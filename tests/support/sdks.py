"""The four vendors' own SDKs as clients: one wish in, sent as that SDK sends it; what it understood out."""

import base64
import contextlib
import json
import warnings
from typing import Any

import anthropic
import openai
from attrs import define, field, frozen
from google import genai
from google.genai import types

PNG = b"\x89PNG\r\n\x1a\n"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ANSWER_SCHEMA = {**SCHEMA, "additionalProperties": False}


@frozen
class Wish:
    """What is asked, in no format's words. turns: what was said before, in the client's own words.

    results: (call id, name, text, is error) of the tools the last turn called.
    """

    text: str = "hi"
    system: str | None = None
    image: bool = False
    tools: tuple[str, ...] = ()
    must_call: bool = False
    schema: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    thinking: bool = False
    turns: tuple[Any, ...] = ()
    results: tuple[tuple[str, str, str, bool], ...] = ()
    model: str = "m"
    headers: dict[str, str] = field(factory=dict)


@define
class Told:
    """What the SDK made of the answer. turns: the answer as this SDK's users send it back."""

    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, str, dict[str, Any]]] = field(factory=list)
    finish: str = ""
    usage: tuple[int, int] | None = None
    turns: list[Any] = field(factory=list)
    model: str = ""
    id: str = ""


class _Chat:
    fails = openai.APIError

    def __init__(self, url):
        self.client = openai.AsyncOpenAI(base_url=url + "/v1", api_key="sk-client", max_retries=0)

    async def close(self):
        await self.client.close()

    def request(self, wish):  # noqa: C901 - one line a wish
        said = [{"role": "user", "content": wish.text}]
        if wish.system:
            said.insert(0, {"role": "system", "content": wish.system})
        if wish.image:
            url = "data:image/png;base64," + base64.b64encode(PNG).decode()
            image = {"type": "image_url", "image_url": {"url": url}}
            said[-1] = {"role": "user", "content": [{"type": "text", "text": wish.text}, image]}
        said += wish.turns
        for call_id, _, text, _ in wish.results:
            said.append({"role": "tool", "tool_call_id": call_id, "content": text})
        asked = {"model": wish.model, "messages": said, "extra_headers": wish.headers}
        if wish.tools:
            asked["tools"] = [
                {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in wish.tools
            ]
        if wish.must_call:
            asked["tool_choice"] = "required"
        if wish.schema:
            shape = {"name": "answer", "schema": ANSWER_SCHEMA, "strict": True}
            asked["response_format"] = {"type": "json_schema", "json_schema": shape}
        if wish.max_tokens:
            asked["max_completion_tokens"] = wish.max_tokens
        if wish.temperature is not None:
            asked["temperature"] = wish.temperature
        if wish.stop:
            asked["stop"] = list(wish.stop)
        if wish.thinking:
            asked["reasoning_effort"] = "high"
        return asked

    @staticmethod
    def turn(calls):
        return [
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": i,
                        "type": "function",
                        "function": {"name": name, "arguments": json.dumps(arguments)},
                    }
                    for i, name, arguments in calls
                ],
            }
        ]

    async def ask(self, wish, *, stream):
        asked = self.request(wish)
        if not stream:
            return self.told(await self.client.chat.completions.create(**asked))
        asked["stream_options"] = {"include_usage": True}
        async with self.client.chat.completions.stream(**asked) as events:
            # The helper raises for what cannot be parsed; we want it as it is.
            with contextlib.suppress(openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                async for _ in events:
                    pass
            return self.told(events.current_completion_snapshot)

    def told(self, answer):
        [choice] = answer.choices
        message = choice.message
        calls = [
            (call.id, call.function.name, json.loads(call.function.arguments))
            for call in message.tool_calls or ()
        ]
        usage = answer.usage and (answer.usage.prompt_tokens, answer.usage.completion_tokens)
        more = message.model_extra or {}
        turn = message.model_dump(exclude_none=True)
        for call in turn.get("tool_calls", ()):  # what the stream helper adds for its users alone
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
        turn.pop("parsed", None)
        return Told(
            text=message.content or message.refusal or "",
            thoughts=more.get("reasoning_content") or more.get("reasoning") or "",
            calls=calls,
            finish=choice.finish_reason,
            usage=usage,
            turns=[turn],
            model=answer.model,
            id=answer.id,
        )


class _Responses(_Chat):
    def request(self, wish):
        said = [{"role": "user", "content": wish.text}]
        if wish.image:
            url = "data:image/png;base64," + base64.b64encode(PNG).decode()
            parts = [
                {"type": "input_text", "text": wish.text},
                {"type": "input_image", "image_url": url, "detail": "auto"},
            ]
            said[-1] = {"role": "user", "content": parts}
        said += wish.turns
        for call_id, _, text, _ in wish.results:
            said.append({"type": "function_call_output", "call_id": call_id, "output": text})
        asked = {"model": wish.model, "input": said, "extra_headers": wish.headers}
        if wish.system:
            asked["instructions"] = wish.system
        if wish.tools:
            asked["tools"] = [
                {"type": "function", "name": name, "parameters": SCHEMA, "strict": False}
                for name in wish.tools
            ]
        if wish.must_call:
            asked["tool_choice"] = "required"
        if wish.schema:
            shape = {"type": "json_schema", "name": "answer", "schema": ANSWER_SCHEMA, "strict": True}
            asked["text"] = {"format": shape}
        if wish.max_tokens:
            asked["max_output_tokens"] = wish.max_tokens
        if wish.temperature is not None:
            asked["temperature"] = wish.temperature
        if wish.thinking:
            asked["reasoning"] = {"effort": "high", "summary": "auto"}
            asked["include"] = ["reasoning.encrypted_content"]
        return asked

    @staticmethod
    def turn(calls):
        return [
            {"type": "function_call", "call_id": i, "name": name, "arguments": json.dumps(arguments)}
            for i, name, arguments in calls
        ]

    async def ask(self, wish, *, stream):
        asked = self.request(wish)
        if not stream:
            return self.told(await self.client.responses.create(**asked))
        async with self.client.responses.stream(**asked) as events:
            final = None
            async for event in events:
                if event.type in {"response.completed", "response.incomplete", "response.failed"}:
                    assert final is None
                    final = event.response
                if event.type == "error":
                    raise openai.APIError(event.message, None, body=None)  # type: ignore[arg-type]
            assert final is not None
            if final.status == "failed":
                raise openai.APIError(final.error.message, None, body=None)
            return self.told(final)

    def told(self, answer):
        told = Told(model=answer.model, id=answer.id, finish=answer.status)
        for item in answer.output:
            turn = item.model_dump(exclude_none=True)
            turn.pop("parsed_arguments", None)
            for part in turn.get("content", ()):
                part.pop("parsed", None)
            told.turns.append(turn)
            if item.type == "message":
                told.text += "".join(
                    part.refusal if part.type == "refusal" else part.text for part in item.content
                )
            elif item.type == "function_call":
                told.calls.append((item.call_id, item.name, json.loads(item.arguments)))
            elif item.type == "reasoning":
                parts = [*item.summary, *(item.content or ())]
                told.thoughts += "".join(part.text for part in parts)
        if answer.incomplete_details:
            told.finish += ":" + answer.incomplete_details.reason
        if answer.usage:
            told.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
        return told


class _Messages:
    fails = anthropic.APIError

    def __init__(self, url):
        self.client = anthropic.AsyncAnthropic(base_url=url, api_key="sk-client", max_retries=0)

    async def close(self):
        await self.client.close()

    def request(self, wish):
        content = wish.text
        if wish.image:
            source = {
                "type": "base64",
                "media_type": "image/png",
                "data": base64.b64encode(PNG).decode(),
            }
            content = [{"type": "text", "text": wish.text}, {"type": "image", "source": source}]
        said = [{"role": "user", "content": content}, *wish.turns]
        if wish.results:
            blocks = [
                {"type": "tool_result", "tool_use_id": i, "content": text, "is_error": is_error}
                for i, _, text, is_error in wish.results
            ]
            said.append({"role": "user", "content": blocks})
        asked = {
            "model": wish.model,
            "messages": said,
            "max_tokens": wish.max_tokens or 4096,
            "extra_headers": wish.headers,
        }
        if wish.system:
            asked["system"] = wish.system
        if wish.tools:
            asked["tools"] = [{"name": name, "input_schema": SCHEMA} for name in wish.tools]
        if wish.must_call:
            asked["tool_choice"] = {"type": "any"}
        if wish.schema:
            asked["output_config"] = {"format": {"type": "json_schema", "schema": ANSWER_SCHEMA}}
        if wish.temperature is not None:
            asked["extra_body"] = {"temperature": wish.temperature}
        if wish.stop:
            asked["stop_sequences"] = list(wish.stop)
        if wish.thinking:
            asked["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        return asked

    @staticmethod
    def turn(calls):
        blocks = [
            {"type": "tool_use", "id": i, "name": name, "input": arguments} for i, name, arguments in calls
        ]
        return [{"role": "assistant", "content": blocks}]

    async def ask(self, wish, *, stream):
        asked = self.request(wish)
        if not stream:
            return self.told(await self.client.messages.create(**asked))
        async with self.client.messages.stream(**asked) as events:
            return self.told(await events.get_final_message())

    def told(self, answer):
        told = Told(model=answer.model, id=answer.id, finish=answer.stop_reason)
        for block in answer.content:
            if block.type == "text":
                told.text += block.text
            elif block.type == "thinking":
                told.thoughts += block.thinking
            elif block.type == "tool_use":
                told.calls.append((block.id, block.name, block.input))
        told.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
        content = [block.model_dump(exclude_none=True) for block in answer.content]
        for block in content:
            block.pop("parsed_output", None)
        told.turns = [{"role": "assistant", "content": content}]
        return told


class _Gemini:
    fails = genai.errors.APIError

    def __init__(self, url):
        options = types.HttpOptions(base_url=url)
        self.client = genai.Client(api_key="sk-client", http_options=options)

    async def close(self):
        with contextlib.suppress(AttributeError):
            await self.client.aio.aclose()
        self.client.close()

    def request(self, wish):  # noqa: C901 - one line a wish
        parts = [types.Part(text=wish.text)]
        if wish.image:
            parts.append(types.Part.from_bytes(data=PNG, mime_type="image/png"))
        said = [types.Content(role="user", parts=parts), *wish.turns]
        if wish.results:
            parts = [
                types.Part(
                    function_response=types.FunctionResponse(
                        id=i, name=name, response={"error" if is_error else "output": text}
                    )
                )
                for i, name, text, is_error in wish.results
            ]
            said.append(types.Content(role="user", parts=parts))
        config = {"http_options": types.HttpOptions(headers=wish.headers)}
        if wish.system:
            config["system_instruction"] = wish.system
        if wish.tools:
            functions = [
                types.FunctionDeclaration(name=name, parameters_json_schema=SCHEMA) for name in wish.tools
            ]
            config["tools"] = [types.Tool(function_declarations=functions)]
        if wish.must_call:
            config["tool_config"] = types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
            )
        if wish.schema:
            config |= {"response_mime_type": "application/json", "response_json_schema": ANSWER_SCHEMA}
        if wish.max_tokens:
            config["max_output_tokens"] = wish.max_tokens
        if wish.temperature is not None:
            config["temperature"] = wish.temperature
        if wish.stop:
            config["stop_sequences"] = list(wish.stop)
        if wish.thinking:
            config["thinking_config"] = types.ThinkingConfig(thinking_budget=2048, include_thoughts=True)
        return {"model": wish.model, "contents": said, "config": types.GenerateContentConfig(**config)}

    @staticmethod
    def turn(calls):
        parts = [
            types.Part(function_call=types.FunctionCall(id=i, name=name, args=arguments))
            for i, name, arguments in calls
        ]
        return [types.Content(role="model", parts=parts)]

    async def ask(self, wish, *, stream):
        asked = self.request(wish)
        with warnings.catch_warnings():  # it subclasses aiohttp's session, which aiohttp advises against
            warnings.simplefilter("ignore", DeprecationWarning)
            if not stream:
                return self.told([await self.client.aio.models.generate_content(**asked)])
            frames = await self.client.aio.models.generate_content_stream(**asked)
            return self.told([frame async for frame in frames])

    def told(self, frames):
        told = Told(model=frames[-1].model_version or "", id=frames[-1].response_id or "")
        parts = []
        for frame in frames:
            for candidate in frame.candidates or ():
                if candidate.finish_reason:
                    assert not told.finish
                    told.finish = candidate.finish_reason.name
                parts += (candidate.content and candidate.content.parts) or ()
            if frame.prompt_feedback and frame.prompt_feedback.block_reason:
                told.finish = frame.prompt_feedback.block_reason.name
            if frame.usage_metadata:
                counts = frame.usage_metadata
                output = (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0)
                told.usage = (counts.prompt_token_count or 0, output)
        for part in parts:
            if part.thought:
                told.thoughts += part.text or ""
            elif part.text:
                told.text += part.text
            elif part.function_call:
                call = part.function_call
                told.calls.append((call.id or "", call.name, call.args or {}))
        told.turns = [types.Content(role="model", parts=parts)]
        return told


SDKS = {"chat": _Chat, "responses": _Responses, "messages": _Messages, "gemini": _Gemini}

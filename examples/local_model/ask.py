"""Ask the local model through the gateway: whole, streamed, as JSON, and for a tool."""

from __future__ import annotations

import sys

from openai import OpenAI

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "country": {"type": "string", "maxLength": 20},
    },
    "required": ["city", "country"],
    "additionalProperties": False,
}
TOOL = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def main(base_url: str = "http://127.0.0.1:8080/v1") -> None:
    """Print four answers of the model that the gateway calls "small"."""
    client = OpenAI(base_url=base_url, api_key="none-needed")

    def ask(question: str, **options: object) -> object:
        messages = [{"role": "user", "content": question}]
        return client.chat.completions.create(
            model="small", messages=messages, max_tokens=80, temperature=0, **options
        )

    whole = ask("What is the capital of France?")
    print("whole: ", whole.choices[0].message.content.strip(), whole.usage.total_tokens, "tokens")

    print("stream:", end="", flush=True)
    for chunk in ask("Why is the sky blue?", stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
        if chunk.usage:
            print("", chunk.usage.total_tokens, "tokens")

    wanted = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}
    place = ask("Which city is the capital of France, and in which country is it?", response_format=wanted)
    print("json:  ", place.choices[0].message.content)

    tools = [{"type": "function", "function": TOOL}]
    called = ask("What is the weather in Paris?", tools=tools, tool_choice="required")
    for call in called.choices[0].message.tool_calls or ():
        print("tool:  ", call.function.name, " ".join(call.function.arguments.split()))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The openai SDK with a gateway that runs: chat, stream, tools.

Run it beside `aigw`: `python openai_sdk.py [BASE_URL [MODEL [KEY]]]`. Needs `pip install openai`.
"""

from __future__ import annotations

import json
import sys

from openai import OpenAI

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city right now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def main(base_url: str = "http://127.0.0.1:8080/v1", model: str = "demo", key: str = "any") -> None:
    """Print three answers."""
    client = OpenAI(base_url=base_url, api_key=key)
    messages = [{"role": "user", "content": "Hello there"}]

    answer = client.chat.completions.create(model=model, messages=messages)
    print("chat:  ", answer.choices[0].message.content)

    print("stream:", end=" ")
    for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()

    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = client.chat.completions.create(
        model=model, messages=messages, tools=[WEATHER], tool_choice="required"
    )
    messages.append(answer.choices[0].message)
    for call in answer.choices[0].message.tool_calls:
        print("tool:  ", call.function.name, json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "18 degrees, light rain"})
    answer = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    print("answer:", answer.choices[0].message.content)


if __name__ == "__main__":
    main(*sys.argv[1:])

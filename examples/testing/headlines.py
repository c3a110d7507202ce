"""The application under test: asks a model for a headline, and lives with a model that does not answer."""

from __future__ import annotations

import openai

NO_HEADLINE = "(no headline today)"


async def headline(client: openai.AsyncOpenAI, article: str, model: str = "writer") -> str:
    """Return a headline for an article; what is there in its place when no model can be reached."""
    messages = [{"role": "user", "content": f"A headline for this, please: {article}"}]
    try:
        answer = await client.chat.completions.create(model=model, messages=messages)
    except openai.APIError:
        return NO_HEADLINE
    return answer.choices[0].message.content or NO_HEADLINE


async def told_slowly(client: openai.AsyncOpenAI, article: str, model: str = "writer") -> list[str]:
    """Return the pieces of a headline as they come; a stream that breaks off ends in "..."."""
    messages = [{"role": "user", "content": f"A headline for this, please: {article}"}]
    pieces = []
    try:
        async for chunk in await client.chat.completions.create(model=model, messages=messages, stream=True):
            pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    except openai.APIError:
        pieces.append("...")
    return pieces

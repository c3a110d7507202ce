"""Sets of APIs that more than one row has."""

from __future__ import annotations

from aigw.dialects.endpoints import Api

OPENAI_APIS = frozenset(Api) - {Api.MESSAGES, Api.GEMINI}
"""What a server may speak that calls itself OpenAI-compatible."""

CHAT_AND_EMBEDDINGS = frozenset({Api.CHAT, Api.EMBEDDINGS})

OPENAI_TOOLS = frozenset(
    {"web_search", "file_search", "code_interpreter", "image_generation", "computer_use_preview", "mcp"}
)
"""What OpenAI's own servers run by themselves while they make a response."""

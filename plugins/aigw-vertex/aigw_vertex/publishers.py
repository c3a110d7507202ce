"""Whose a model is, and which formats a publisher's models speak: rows of data.

Source: Vertex AI's documentation, "Use Claude models", "Call Vertex AI models by using the OpenAI library"
and "Partner and open models", read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from aigw.dialects.endpoints import Api

GOOGLE = "google"
SPOKEN = frozenset({Api.GEMINI, Api.MESSAGES, Api.CHAT})

# By the bare names; the first that matches counts.
PUBLISHERS = (
    ("claude-*", "anthropic"),
    ("gpt-oss-*", "openai"),
    ("llama-*", "meta"),
    ("deepseek-*", "deepseek-ai"),
    ("qwen*", "qwen"),
    ("*", GOOGLE),
)

_APIS = {GOOGLE: frozenset({Api.GEMINI, Api.CHAT}), "anthropic": frozenset({Api.MESSAGES})}
_ALL_OTHERS = frozenset({Api.CHAT})


def split_model(model: str, own: Mapping[str, str]) -> tuple[str, str]:
    """Return publisher and bare name of `claude-x` or `anthropic/claude-x`.

    own: patterns of bare names to publishers, which come before the rows here.
    """
    publisher, slash, name = model.partition("/")
    if slash:
        return publisher, name
    rows = (*own.items(), *PUBLISHERS)
    return next(publisher for pattern, publisher in rows if fnmatchcase(model, pattern)), model


def spoken_by(publisher: str) -> frozenset[Api]:
    """Return the formats of a publisher's models."""
    return _APIS.get(publisher, _ALL_OTHERS)

"""What clients may note beside a response or a conversation: a few short texts under names of their own.

Source: OpenAI's published OpenAPI description, 2026-08.
"""

from __future__ import annotations

from aigw.dialects.base import Tree
from aigw.errors import ClientError

MAX_PAIRS = 16
MAX_KEY_CHARS = 64
MAX_VALUE_CHARS = 512


def read_metadata(value: object) -> Tree:
    """Return metadata that keeps the rules; none at all is none. Raises ClientError naming the pair."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ClientError(
            f"metadata must be an object of texts, got {type(value).__name__}", param="metadata"
        )
    if len(value) > MAX_PAIRS:
        raise ClientError(f"metadata may hold {MAX_PAIRS} pairs, got {len(value)}", param="metadata")
    for key, text in value.items():
        _check_pair(key, text)
    return value


def _check_pair(key: str, text: object) -> None:
    if len(key) > MAX_KEY_CHARS:
        raise ClientError(
            f'a key of metadata may have {MAX_KEY_CHARS} characters, got {len(key)}: "{key[:20]}..."',
            param="metadata",
        )
    path = f"metadata.{key}"
    if not isinstance(text, str):
        raise ClientError(f"{path} must be a text, got {type(text).__name__}", param=path)
    if len(text) > MAX_VALUE_CHARS:
        raise ClientError(f"{path} may have {MAX_VALUE_CHARS} characters, got {len(text)}", param=path)

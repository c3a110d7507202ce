"""Redaction of JSON trees that nobody here has a codec for: every string but those that are structure.

Owns which fields are structure: types, ids, addresses, base64. Knows no format beyond such names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Redact = Callable[[str], str]

STRUCTURE = frozenset(
    (
        "type",
        "role",
        "id",
        "object",
        "model",
        "status",
        "url",
        "image_url",
        "file_url",
        "file_data",
        "b64_json",
        "partial_image_b64",
        "data",
        "audio",
        "embedding",
        "encrypted_content",
        "signature",
        "thoughtSignature",
        "usage",
        "logprobs",
        "obfuscation",
    )
)
"""Fields whose value is no text that a person or a model wrote; `*_id` beside them."""

JSON_TEXTS = frozenset(("arguments", "partial_json"))
"""Fields that hold JSON as text."""


def walk(tree: Any, redact: Redact, redact_json: Redact) -> Any:
    """Return the tree redacted; the very same object where nothing was."""
    if isinstance(tree, str):
        return redact(tree)
    if isinstance(tree, list):
        made = [walk(value, redact, redact_json) for value in tree]
        return made if any(new is not old for new, old in zip(made, tree, strict=True)) else tree
    if isinstance(tree, dict):
        return _table(tree, redact, redact_json)
    return tree


def _table(tree: dict[str, Any], redact: Redact, redact_json: Redact) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for key, value in tree.items():
        if key in STRUCTURE or key.endswith("_id"):
            continue
        text = redact_json if key in JSON_TEXTS else redact
        made = walk(value, text, redact_json)
        if made is not value and made != value:
            changed[key] = made
    # What the tokens spell out is the text all over again.
    if changed and tree.get("logprobs"):
        changed["logprobs"] = None
    return {**tree, **changed} if changed else tree

"""What a request looks like, as far as rules ask: how large its input is, whether it has images or tools.

Owns an estimate that is cheap and works in every client format: it walks the body once and knows a few
words of each. It counts characters; no tokenizer is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, frozen

CHARS_PER_TOKEN = 4
TOKENS_PER_FILE = 1000
"""What an image or a file is taken to be worth, however it is given."""

_IMAGE_TYPES = frozenset({"image", "image_url", "input_image"})
_FILE_TYPES = frozenset({"file", "input_file", "document", "input_audio", "audio"})
_INLINE = ("inlineData", "inline_data", "fileData", "file_data")


@frozen
class Shape:
    """The look of one request. context_tokens: an estimate of its input."""

    context_tokens: int
    has_images: bool
    has_tools: bool


def shape_of(fields: Mapping[str, Any]) -> Shape:
    """Look at a request's fields, in whichever format they are."""
    walk = _Walk()
    walk.see(fields)
    tools = fields.get("tools") or fields.get("functions")
    return Shape(walk.chars // CHARS_PER_TOKEN + walk.files * TOKENS_PER_FILE, walk.images, bool(tools))


@define
class _Walk:
    chars: int = 0
    files: int = 0
    images: bool = False

    def see(self, root: object) -> None:
        left: list[object] = [root]  # no recursion: a client chooses how deep it goes
        while left:
            node = left.pop()
            if isinstance(node, str):
                self.chars += len(node)
            elif isinstance(node, list):
                left.extend(node)
            elif isinstance(node, Mapping) and not self._is_file(node):
                left.extend(node.values())

    def _is_file(self, node: Mapping[str, Any]) -> bool:
        kind = node.get("type")
        inline = next((node[name] for name in _INLINE if isinstance(node.get(name), Mapping)), None)
        if not isinstance(kind, str):
            kind = ""
        if kind not in _IMAGE_TYPES and kind not in _FILE_TYPES and inline is None:
            return False
        self.files += 1
        mime = "" if inline is None else str(inline.get("mimeType") or inline.get("mime_type") or "")
        self.images = self.images or kind in _IMAGE_TYPES or mime.startswith("image/")
        return True

"""Items: the units a conversation is made of, both what is sent and what is answered.

The vocabulary is OpenResponses': a tool call and a line of reasoning are items of their own beside
messages, not fields of one. Knows no wire format.
"""

from __future__ import annotations

from attrs import field, frozen

from aigw.model.extras import Extras, JsonObject
from aigw.model.parts import Part, TextPart


@frozen
class Message:
    """Something said. role: "system", "developer", "user", "assistant", or what a format adds.

    phase: "commentary" or "final_answer" where a model tells them apart.
    name: the speaker, where several share a role.
    """

    role: str
    parts: tuple[Part, ...] = ()
    id: str | None = None
    status: str | None = None
    phase: str | None = None
    name: str | None = None
    extras: Extras = field(factory=dict)

    @property
    def text(self) -> str:
        """All text parts in one string."""
        return "".join([part.text for part in self.parts if isinstance(part, TextPart)])


@frozen
class FunctionCall:
    """The model asks for a tool.

    call_id: pairs the call with its output. id: the item's own name, where a format has one.
    arguments: JSON text exactly as the model wrote it; free text if `freeform` (a CustomTool's call).
    signature: opaque proof of the reasoning behind this call, to be sent back unchanged.
    """

    call_id: str
    name: str
    arguments: str = ""
    id: str | None = None
    status: str | None = None
    freeform: bool = False
    signature: str | None = None
    extras: Extras = field(factory=dict)


@frozen
class FunctionCallOutput:
    """What a tool answered. name: the tool's, for formats that pair by name."""

    call_id: str
    parts: tuple[Part, ...] = ()
    is_error: bool = False
    id: str | None = None
    status: str | None = None
    name: str | None = None
    freeform: bool = False
    extras: Extras = field(factory=dict)


@frozen
class Reasoning:
    """The model's thinking, as far as a provider shows it.

    summary, content: texts, one a part; content is the thinking itself.
    signature: proof that `content` is the model's own. encrypted_content: thinking nobody can read.
    redacted: thinking withheld for safety. All three are opaque and go back unchanged.
    """

    summary: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    encrypted_content: str | None = None
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    status: str | None = None
    extras: Extras = field(factory=dict)


@frozen
class ForeignItem:
    """An item that only the format `origin` has (a hosted tool's call, say), as that format wrote it."""

    origin: str
    tree: JsonObject
    extras: Extras = field(factory=dict)


Item = Message | FunctionCall | FunctionCallOutput | Reasoning | ForeignItem

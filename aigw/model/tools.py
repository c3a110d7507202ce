"""Tools a model may call, and how freely it may choose among them. Knows no wire format."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from aigw.model.extras import Extras, JsonObject


@frozen
class FunctionTool:
    """A function of the caller's. parameters: a JSON schema; None where the caller gave none."""

    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None
    extras: Extras = field(factory=dict)


@frozen
class CustomTool:
    """A tool that takes free text. input_format: a grammar for that text, as the format wrote it."""

    name: str
    description: str | None = None
    input_format: JsonObject | None = None
    extras: Extras = field(factory=dict)


@frozen
class ForeignTool:
    """A tool that only the format `origin` has (web search at the provider), as that format wrote it."""

    origin: str
    tree: JsonObject
    extras: Extras = field(factory=dict)


Tool = FunctionTool | CustomTool | ForeignTool


@frozen
class ToolChoice:
    """How the model chooses.

    mode: "auto", "none" (no call), "required" (at least one).
    name: the one tool it must call; mode is then "required".
    allowed: names of the tools it may choose among, a subset of those given; empty means all.
    freeform: `name` is a CustomTool's.
    """

    mode: Literal["auto", "none", "required"]
    name: str | None = None
    allowed: tuple[str, ...] = ()
    freeform: bool = False
    extras: Extras = field(factory=dict)


@frozen
class ForeignToolChoice:
    """A choice that only the format `origin` can express, as that format wrote it."""

    origin: str
    tree: JsonObject

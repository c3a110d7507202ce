"""How hard to think, and the shape of the answer: `thinking`, `output_config`, `output_format`."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from aigw.dialects.anthropic.fields import NAME, keep, restore
from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, object_of, put, text_of, text_or_none
from aigw.model import ReasoningOptions, Request, ResponseFormat

MIN_BUDGET_TOKENS = 1024
"""The least thinking the API lets one ask for."""

_THINKING = frozenset(("type", "budget_tokens", "display"))
_DISPLAYS = {"omitted": False, "summarized": True}
_CONFIG = frozenset(("effort", "format"))
_FORMAT = frozenset(("type", "schema"))
_CONFIG_SCOPE = "@output_config/"
# The caller named an effort and left the thinking to the model's default.
_EFFORT_ALONE = f"{NAME}:@effort_alone"
# The caller used the field of before output_config.format.
_OUTPUT_FORMAT = f"{NAME}:@output_format"
# A mode that is neither enabled, adaptive nor disabled.
_THINKING_TYPE = f"{NAME}:@thinking_type"

_EFFORTS = {"minimal": "low"}


def decode_reasoning(tree: Tree) -> ReasoningOptions | None:
    """Read `thinking`, and the effort in `output_config`."""
    thinking, config = tree.get("thinking"), object_of(tree.get("output_config"))
    effort = text_or_none(config.get("effort"))
    if not isinstance(thinking, dict):
        return None if effort is None else ReasoningOptions(effort=effort, extras={_EFFORT_ALONE: True})
    options = ReasoningOptions(
        effort=effort,
        budget_tokens=int_or_none(thinking.get("budget_tokens")),
        include_thoughts=_DISPLAYS.get(text_of(thinking.get("display"))),
        extras=keep(thinking, _THINKING),
    )
    match thinking.get("type"):
        case "enabled":
            return evolve(options, enabled=True)
        case "disabled":
            return evolve(options, enabled=False)
        case "adaptive":
            return evolve(options, adaptive=True)
    return evolve(options, extras={**options.extras, _THINKING_TYPE: thinking.get("type")})


def encode_thinking(options: ReasoningOptions | None) -> Tree | None:
    """Write `thinking`; None leaves the model to its default.

    A caller who speaks of effort alone, as OpenAI's do, wants thinking: adaptive, which newer models
    know as the only kind. A caller with a budget gets it, or the least that there is.
    """
    if options is None:
        return None
    extras = restore(options.extras)
    shown = True if options.summary is not None else options.include_thoughts
    if shown is not None:
        extras["display"] = "summarized" if shown else "omitted"
    if _THINKING_TYPE in options.extras:
        return {"type": options.extras[_THINKING_TYPE], **extras}
    if options.enabled is False or options.effort == "none" or options.budget_tokens == 0:
        return {"type": "disabled", **restore(options.extras)}
    if options.budget_tokens is not None and not options.adaptive:
        budget = max(MIN_BUDGET_TOKENS, options.budget_tokens)
        return {"type": "enabled", "budget_tokens": budget, **extras}
    by_effort = options.effort is not None and _EFFORT_ALONE not in options.extras
    return {"type": "adaptive", **extras} if options.adaptive or options.enabled or by_effort else None


def decode_format(tree: Tree) -> ResponseFormat | None:
    """Read the shape the answer must have."""
    new = object_of(object_of(tree.get("output_config")).get("format"))
    old = object_of(tree.get("output_format"))
    match new or old:
        case {"type": "json_schema", "schema": dict(schema)}:
            extras = keep(new or old, _FORMAT)
            return ResponseFormat(
                "json_schema", schema=schema, extras=extras if new else {**extras, _OUTPUT_FORMAT: True}
            )
    return None


def decode_config_extras(tree: Tree, *, known_format: bool) -> Tree:
    """Return what `output_config` holds beside effort and format, or a format of an unknown kind."""
    config = object_of(tree.get("output_config"))
    return keep(config, _CONFIG if known_format else frozenset(("effort",)), _CONFIG_SCOPE)


def encode_output(request: Request, dropped: list[str]) -> Tree:
    """Return the request fields that say effort and shape."""
    tree: Tree = {}
    config: Tree = restore(request.extras, _CONFIG_SCOPE)
    effort = None if request.reasoning is None else request.reasoning.effort
    if effort != "none":
        put(config, "effort", _EFFORTS.get(effort or "", effort))
    wanted = request.response_format
    shape = None if wanted is None else _encode_format(wanted, dropped)
    if wanted is not None and shape is not None:
        if _OUTPUT_FORMAT in wanted.extras:
            tree["output_format"] = shape
        else:
            config["format"] = shape
    if config:
        tree["output_config"] = config
    return tree


def _encode_format(wanted: ResponseFormat, dropped: list[str]) -> Any:
    # A schema's name is a label that OpenAI asks for; nothing of the answer depends on it.
    if wanted.kind == "text":
        return None
    if wanted.kind == "json_object" or wanted.schema is None:
        dropped.append("response_format")
        return None
    if wanted.description is not None:
        dropped.append("response_format.description")
    return {"type": "json_schema", "schema": wanted.schema, **restore(wanted.extras)}

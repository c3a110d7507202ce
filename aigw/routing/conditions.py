"""Which rule of the configuration holds for a request.

Owns what each condition means, in words that `Choice` can repeat. Decides nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from aigw.config.models import RuleConfig, WhenConfig
from aigw.routing.seats import Choice, Trace
from aigw.routing.shape import Shape, shape_of
from aigw.upstream.patterns import matches

if TYPE_CHECKING:
    from aigw.pipeline.exchange import Exchange


def first_rule(exchange: Exchange, rules: Sequence[RuleConfig], trace: Trace | None) -> RuleConfig | None:
    """Return the first rule that holds for a request, or None."""
    shape: Shape | None = None
    for number, rule in enumerate(rules):
        if not any(matches(pattern, exchange.model) for pattern in rule.models):
            continue
        if shape is None and _asks_shape(rule.when):
            shape = shape_of(exchange.payload.fields)
        failed = unmet(exchange, rule.when, shape)
        if trace is not None:
            name = rule.name or f"#{number + 1}"
            said = f"holds: {rule.use} serves it" if failed is None else f"does not hold: {failed}"
            trace.append(Choice("", f"rule {name} {said}"))
        if failed is None:
            return rule
    return None


def unmet(exchange: Exchange, when: WhenConfig, shape: Shape | None) -> str | None:
    """Return the first condition that a request does not meet, in words; None if it meets them all."""
    for header, pattern in when.header.items():
        value = exchange.request.headers.get(header)
        if value is None or not matches(pattern, value):
            return f'header {header} is not "{pattern}"'
    if when.tenant and not _fits(when.tenant, (exchange.identity.tenant,)):
        return f'tenant is "{exchange.identity.tenant}"'
    if when.tag and not _fits(when.tag, tags_of(exchange)):
        return "no tag fits"
    if when.stream is not None and when.stream is not exchange.stream:
        return "it wants a stream" if exchange.stream else "it wants no stream"
    return None if shape is None else _misshapen(when, shape)


def _misshapen(when: WhenConfig, shape: Shape) -> str | None:
    if when.min_context_tokens is not None and shape.context_tokens < when.min_context_tokens:
        return f"about {shape.context_tokens} tokens of input are too few"
    if when.max_context_tokens is not None and shape.context_tokens > when.max_context_tokens:
        return f"about {shape.context_tokens} tokens of input are too many"
    if when.has_images is not None and when.has_images is not shape.has_images:
        return "it has images" if shape.has_images else "it has no images"
    if when.has_tools is not None and when.has_tools is not shape.has_tools:
        return "it has tools" if shape.has_tools else "it has no tools"
    return None


def tags_of(exchange: Exchange) -> list[str]:
    """Return a request's tags: those it names itself, and those of its caller."""
    named = [tag.strip() for tag in exchange.request.headers.get("x-aigw-tags", "").split(",")]
    claimed = exchange.identity.claims.get("tags")
    own = [str(tag) for tag in claimed] if isinstance(claimed, list | tuple) else []
    return [tag for tag in (*named, *own) if tag]


def _fits(patterns: str | tuple[str, ...], values: Iterable[str]) -> bool:
    wanted = (patterns,) if isinstance(patterns, str) else patterns
    return any(matches(pattern, value) for value in values for pattern in wanted)


def _asks_shape(when: WhenConfig) -> bool:
    bounds = (when.min_context_tokens, when.max_context_tokens, when.has_images, when.has_tools)
    return any(bound is not None for bound in bounds)

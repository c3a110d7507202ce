"""Making a request fit a model: what its profile says it refuses is changed, and told.

Pure. Owns what each rule of a `Profile` does to a canonical request, in which order, and that nothing which
had a meaning is changed without being named. Knows no vendor and no wire format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from attrs import evolve, frozen

from aigw.model import (
    FunctionCallOutput,
    Item,
    Message,
    Part,
    ReasoningOptions,
    Request,
    TextPart,
)
from aigw.upstream.paths import change, clear, value_at
from aigw.upstream.profile import NOTHING_KNOWN, Profile

MIN_BUDGET_TOKENS: Final = 1024
"""The least thinking that may be asked for, where thinking is asked for by a budget."""

ANSWER_TOKENS: Final = 8192
"""What is left for the answer beside a budget, where the caller sets no limit to both."""

BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}
"""What an effort means in tokens of thinking."""

_EFFORTS: Final = ((2048, "low"), (16384, "medium"))

NEUTRAL: Final[Mapping[str, object]] = {
    "sampling.temperature": 1,
    "sampling.top_p": 1,
    "sampling.presence_penalty": 0,
    "sampling.frequency_penalty": 0,
    "sampling.n": 1,
    "sampling.logprobs": False,
    "sampling.top_logprobs": 0,
    "parallel_tool_calls": True,
    "store": False,
    "service_tier": "auto",
    "verbosity": "medium",
}
"""Values that ask for what happens anyway: to leave them out is no loss."""

_SEE_BELOW = "(the tool's output is in the next message)"


@frozen
class Fitted:
    """A request that its model takes, and the places that had to be different."""

    request: Request
    changed: tuple[str, ...] = ()


def fit(request: Request, profile: Profile) -> Fitted:
    """Make a request fit a model."""
    if profile is NOTHING_KNOWN:
        return Fitted(request)
    changed: list[str] = []
    for rule in _RULES:
        request = rule(request, profile, changed)
    return Fitted(request, tuple(dict.fromkeys(changed)))


def rename_fields(tree: dict[str, object], profile: Profile) -> dict[str, object]:
    """Give fields of a request on the wire the names that this provider knows."""
    for known_as, name in profile.rename.items():
        if known_as in tree:
            value = tree.pop(known_as)
            tree.setdefault(name, value)
    return tree


def reasons(request: Request, profile: Profile) -> bool:
    """Tell whether the model will reason over this request."""
    options = request.reasoning
    if options is None or options == ReasoningOptions():
        return profile.reasons
    if is_off(options):
        return False
    asked = (options.effort, options.budget_tokens, options.enabled, options.adaptive)
    return profile.reasons or any(value is not None for value in asked)


def is_off(options: ReasoningOptions) -> bool:
    """Tell whether the caller wants no reasoning at all."""
    return options.enabled is False or options.effort == "none" or options.budget_tokens == 0


def _map_values(request: Request, profile: Profile, changed: list[str]) -> Request:
    for path, known in profile.values.items():
        request, places = change(request, path, lambda value, known=known: _mapped(value, known))  # type: ignore[misc]
        changed += places
    return request


def _mapped(value: object, known: Mapping[str, str]) -> object:
    return known.get(value, value) if isinstance(value, str) else value


def _fit_roles(request: Request, profile: Profile, _changed: list[str]) -> Request:
    # Another name for the same thing is no loss.
    if not profile.roles:
        return request
    return change(request, "items.role", lambda role: _mapped(role, profile.roles))[0]


def _fit_thinking(request: Request, profile: Profile, changed: list[str]) -> Request:
    options = request.reasoning
    if options is None:
        return request
    if is_off(options):
        if profile.always_thinks:
            changed.append("reasoning")
        leave_out = profile.always_thinks or profile.thinking == "none"
        return evolve(request, reasoning=None) if leave_out else request
    if profile.thinking is None:
        return request
    fitted = _KINDS[profile.thinking](request, options, profile, changed)
    return evolve(request, reasoning=fitted)


def _no_thinking(
    _request: Request, _options: ReasoningOptions, _profile: Profile, changed: list[str]
) -> ReasoningOptions | None:
    changed.append("reasoning")
    return None


def _by_budget(
    request: Request, options: ReasoningOptions, profile: Profile, changed: list[str]
) -> ReasoningOptions | None:
    asked = (options.effort, options.budget_tokens, options.enabled, options.adaptive)
    if all(value is None for value in asked):
        return options
    wanted = options.budget_tokens
    budget = BUDGETS.get(options.effort or "medium", BUDGETS["high"]) if wanted is None else wanted
    room = _room(request, profile)
    if room is not None and room < MIN_BUDGET_TOKENS:
        changed.append("reasoning")
        return None
    if room is not None and budget > room:
        budget = room
        changed += ["reasoning.budget_tokens"] if wanted is not None else []
    effort = None if "reasoning.effort" in profile.drop else options.effort  # the budget says it
    return evolve(options, effort=effort, budget_tokens=budget, enabled=True, adaptive=None)


def _room(request: Request, profile: Profile) -> int | None:
    """Return how much thinking there is room for beside an answer; None where nothing limits it."""
    limits = [value for value in (request.max_output_tokens, profile.max_output_tokens) if value]
    if not limits:
        return None
    limit = min(limits)
    if request.max_output_tokens is None:
        return limit - ANSWER_TOKENS
    return max(limit // 2, min(MIN_BUDGET_TOKENS, limit - 1))


def _adaptive(
    _request: Request, options: ReasoningOptions, _profile: Profile, changed: list[str]
) -> ReasoningOptions:
    budget = options.budget_tokens
    effort = options.effort
    if budget is not None:
        changed.append("reasoning.budget_tokens")
        effort = effort or next((word for limit, word in _EFFORTS if budget <= limit), "high")
    adaptive = options.adaptive or options.enabled or budget is not None or None
    return evolve(options, effort=effort, budget_tokens=None, enabled=None, adaptive=adaptive)


_KINDS: Final = {"none": _no_thinking, "budget": _by_budget, "adaptive": _adaptive}


def _drop(request: Request, profile: Profile, changed: list[str]) -> Request:
    paths = (*profile.drop, *profile.drop_reasoning) if reasons(request, profile) else profile.drop
    for path in paths:
        request = _without(request, path, changed)
    for kept, path in profile.conflicts:
        if value_at(request, kept) not in (None, ()):
            request = _without(request, path, changed)
    return request


def _without(request: Request, path: str, changed: list[str]) -> Request:
    is_neutral = path in NEUTRAL and value_at(request, path) == NEUTRAL[path]
    request, places = clear(request, path)
    changed += [] if is_neutral else places
    return request


def _clamp(request: Request, profile: Profile, changed: list[str]) -> Request:
    most = profile.max_output_tokens
    if most is None or request.max_output_tokens is None or request.max_output_tokens <= most:
        return request
    changed.append("max_output_tokens")
    return evolve(request, max_output_tokens=most)


def _move_media(request: Request, profile: Profile, _changed: list[str]) -> Request:
    if not profile.tool_text_only:
        return request
    items = tuple(_with_media_behind(request.items))
    return evolve(request, items=items) if items != request.items else request


def _with_media_behind(items: tuple[Item, ...]) -> Iterator[Item]:
    # Outputs of calls made together must follow each other, so what is moved waits for the last of them.
    waiting: list[Part] = []
    for item in items:
        if not isinstance(item, FunctionCallOutput):
            if waiting:
                yield Message("user", tuple(waiting))
                waiting = []
            yield item
            continue
        media = [part for part in item.parts if not isinstance(part, TextPart)]
        waiting += media
        texts = tuple(part for part in item.parts if isinstance(part, TextPart))
        yield evolve(item, parts=texts or (TextPart(_SEE_BELOW),)) if media else item
    if waiting:
        yield Message("user", tuple(waiting))


def _fill_in(request: Request, profile: Profile, _changed: list[str]) -> Request:
    for path, value in profile.defaults.items():
        if ":" in path:
            if path not in request.extras:
                request = evolve(request, extras={**request.extras, path: value})
        elif value_at(request, path) is None:
            request, _ = change(request, path, lambda _, value=value: value)  # type: ignore[misc]
    return request


_RULES: Final[tuple[Callable[[Request, Profile, list[str]], Request], ...]] = (
    _map_values,
    _fit_roles,
    _fit_thinking,  # looks at efforts and limits, so it stands before the rules that take them away
    _drop,
    _clamp,
    _move_media,
    _fill_in,
)

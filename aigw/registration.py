"""From the sections under [models] to what the registry of models knows.

Owns the meaning of a model's section, and every mistake in it that only shows once providers and
strategies are known. Calls nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from aigw.config import Config, GroupConfig, ModelConfig, RuleConfig, TargetConfig, target_path
from aigw.config.place import did_you_mean, join, quote
from aigw.gateway import Gateway
from aigw.providers import nowhere
from aigw.upstream.registry import Target
from aigw.upstream.target import Group, Limits, Policy, Price


def register_models(gateway: Gateway, config: Config, env: Mapping[str, str], problems: list[str]) -> None:
    """Register every model that is configured; add a line to `problems` for each mistake."""
    for name, model in config.models.items():
        problems += _nowhere(gateway, config, env, name, model)
        groups = [group for each in model.in_groups if (group := _group(gateway, name, each)) is not None]
        if groups:
            try:
                gateway.models.register(
                    name, groups=groups, prefer=model.prefer, aliases=model.aliases, policy=_policy(model)
                )
            except ValueError as error:
                problems.append(f"{join('models', name)}: {error}")
    for name, model in config.models.items():
        problems += _strategies(gateway, name, model)
        problems += _names(gateway, name, model)
    problems += _unknown(gateway, "routing", _used(config.routing.rules))


def _nowhere(
    gateway: Gateway, config: Config, env: Mapping[str, str], name: str, model: ModelConfig
) -> Iterator[str]:
    for place, target in model.each_target():
        # A provider that is configured and not there had a mistake of its own, which has been told.
        if target.provider not in {*gateway.models.providers, *config.providers}:
            named = {*gateway.models.providers, *config.providers}
            yield nowhere(target_path(name, place), target.provider, named, env)


def _group(gateway: Gateway, name: str, section: GroupConfig) -> Group | None:
    """Return a group of those targets whose provider is there; None if there are none."""
    targets = tuple(
        _target(gateway, name, target)
        for target in section.targets
        if target.provider in gateway.models.providers
    )
    if not targets:
        return None
    return Group(targets, section.strategy, section.sticky_by, section.percent, section.options)


def _target(gateway: Gateway, name: str, section: TargetConfig) -> Target:
    limits = Limits(section.max_in_flight, section.requests_per_minute, section.tokens_per_minute)
    priced = section.input_usd_per_mtok is not None or section.output_usd_per_mtok is not None
    return Target(
        gateway.models.providers[section.provider],
        section.model or ("*" if "*" in name else name),
        section.weight,
        section.profile,
        limits=None if limits == Limits() else limits,
        price=Price(section.input_usd_per_mtok or 0.0, section.output_usd_per_mtok or 0.0)
        if priced
        else None,
        first_token_s=section.first_token_s,
    )


def _policy(model: ModelConfig) -> Policy:
    return Policy(
        fallbacks=model.fallbacks,
        on_context_length=model.on_context_length,
        on_content_filter=model.on_content_filter,
        rules=model.rules,
        shadow=model.shadow,
        retry=model.retry,
        hedge=model.hedge,
        continue_streams=model.continue_streams,
    )


def _strategies(gateway: Gateway, name: str, model: ModelConfig) -> Iterator[str]:
    """Yield a line for each strategy that nobody provides, and for each that refuses its settings."""
    known = gateway.registry.strategies
    for number, section in enumerate(model.in_groups):
        head = join("models", name) + ("" if model.targets is not None else f".groups[{number}]")
        if section.strategy not in known:
            hint = did_you_mean(section.strategy, sorted(known))
            wanted = ", ".join(sorted(known))
            yield f"{head}.strategy: got {quote(section.strategy)}, wanted one of {wanted}{hint}"
            continue
        group = _group(gateway, name, section)
        if group is not None:
            try:
                gateway.router.strategy(group)
            except ValueError as error:
                yield f"{head}: {error}"


def _names(gateway: Gateway, name: str, model: ModelConfig) -> Iterator[str]:
    """Yield a line for each model that another one is to hand on to, and that is not there."""
    path = join("models", name)
    for setting in ("fallbacks", "on_context_length", "on_content_filter"):
        named = [(f"{setting}[{index}]", other) for index, other in enumerate(getattr(model, setting))]
        yield from _unknown(gateway, path, named)
    yield from _unknown(gateway, path, _used(model.rules))
    if model.shadow is not None:
        yield from _unknown(gateway, path, [("shadow.target", model.shadow.target)])


def _used(rules: Iterable[RuleConfig]) -> list[tuple[str, str]]:
    return [(f"rules[{index}].use", rule.use) for index, rule in enumerate(rules)]


def _unknown(gateway: Gateway, path: str, named: Iterable[tuple[str, str]]) -> Iterator[str]:
    for place, other in named:
        if gateway.models.resolve(other) is None:
            hint = did_you_mean(other, gateway.models.names())
            yield f'{path}.{place}: got {quote(other)}, wanted a model, or "provider/model"{hint}'

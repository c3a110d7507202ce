"""Settings of models: which targets serve a name, in which order, and what is done when they cannot.

Owns the shapes an operator may write them in. Knows providers, profiles and strategies only by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Self

from attrs import field, frozen

from aigw.config import checks
from aigw.config.checks import Wanted, each, each_key
from aigw.config.profiles import ApiName
from aigw.config.routing import HealthConfig, HedgeConfig, RetryConfig, percentage

SHORT: Mapping[str, bool] = {"short": True}
"""Metadata of the one field that a text or a list means, where it stands in the table's place."""

_filled: Callable[[object, object, str], None] = checks.filled


@frozen
class TargetConfig:
    """Where a model's requests may go. A file may also say "provider/model" in place of a table.

    model: the provider's name for the model; None sends the name that the client used.
    weight: share of the requests among a model's targets; 0 makes it a fallback only.
    profile: a name under [profiles] whose rules hold here, whatever models they are for.
    max_in_flight, requests_per_minute, tokens_per_minute: where it is full, the next target is asked.
    input_usd_per_mtok, output_usd_per_mtok: its price in US dollars for a million tokens.
    first_token_s: how long a stream may say nothing before the next target is asked; None leaves it to
        the provider's first_byte_s.
    """

    provider: str = field(validator=_filled)
    model: str | None = field(default=None, validator=checks.filled)
    weight: float = field(default=1.0, validator=checks.not_negative)
    profile: str | None = field(default=None, validator=checks.filled)
    max_in_flight: int | None = field(default=None, validator=checks.at_least_one)
    requests_per_minute: int | None = field(default=None, validator=checks.at_least_one)
    tokens_per_minute: int | None = field(default=None, validator=checks.at_least_one)
    input_usd_per_mtok: float | None = field(default=None, validator=checks.not_negative)
    output_usd_per_mtok: float | None = field(default=None, validator=checks.not_negative)
    first_token_s: float | None = field(default=None, validator=checks.positive)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read "provider/model" (the model may hold more slashes) or "provider" alone."""
        provider, slash, model = text.partition("/")
        if not provider or (slash and not model):
            raise Wanted('"provider/model"')
        return cls(provider, model or None)


def _one_has_weight(_instance: object, _attribute: object, targets: tuple[TargetConfig, ...] | None) -> None:
    if targets and not any(target.weight for target in targets):
        raise Wanted("at least one target whose weight is above 0")


@frozen
class GroupConfig:
    """Targets that may stand for one another, and how one of them is chosen.

    strategy: weighted, round_robin, random, least_in_flight, lowest_latency, lowest_cost, priority, sticky,
        canary, or one that a plugin provides.
    sticky_by: what keeps a caller's requests on one target: "header:NAME", "user", "tenant",
        "prompt_cache_key" or "conversation". Several are tried in turn, the first one that is there counts.
    percent: share of the requests that go to the canary, which is the group's last target.
    options: for strategies that plugins bring.
    """

    targets: tuple[TargetConfig, ...] = field(validator=[checks.some, _one_has_weight], metadata=SHORT)
    strategy: str = field(default="weighted", validator=checks.filled)
    sticky_by: tuple[str, ...] = field(
        default=("prompt_cache_key", "conversation"), validator=each(checks.filled)
    )
    percent: float = field(default=5.0, validator=percentage)
    options: dict[str, object] = field(factory=dict)


@frozen
class WhenConfig:
    """What a request must be for a rule to hold; all that is said must be true.

    header: values of headers by name, `*` stands for any text. tenant, tag: a name or pattern, or a list of
        which one must fit; tags come in the header `x-aigw-tags` and in a caller's claim `tags`.
    min_context_tokens, max_context_tokens: bounds of the input's estimated size, both included.
    """

    header: dict[str, str] = field(factory=dict, validator=each_key(checks.header_name))
    tenant: str | tuple[str, ...] = ()
    tag: str | tuple[str, ...] = ()
    min_context_tokens: int | None = field(default=None, validator=checks.count)
    max_context_tokens: int | None = field(default=None, validator=checks.count)
    has_images: bool | None = None
    has_tools: bool | None = None
    stream: bool | None = None


@frozen
class RuleConfig:
    """Other targets for some requests: the first rule that holds decides.

    when: what the request must be. use: the name of the model that serves it in place of the one asked for,
        or "provider/model". models: names or patterns of the models it is for; a model's own rules are for
        that model alone. name: how it is called where choices are explained.
    """

    when: WhenConfig
    use: str = field(validator=_filled)
    models: tuple[str, ...] = field(default=("*",), validator=each(checks.filled))
    name: str | None = field(default=None, validator=checks.filled)


@frozen
class ShadowConfig:
    """Send a copy of some requests to a second target, away from the client's path, and compare.

    target: "provider/model" or a model's name. percent: share of the requests that are copied.
    max_in_flight: copies that may run at a time; requests beyond that are not copied.
    """

    target: str = field(validator=_filled, metadata=SHORT)
    percent: float = field(default=100.0, validator=percentage)
    max_in_flight: int = field(default=8, validator=checks.at_least_one)


@frozen
class ModelConfig:
    """One name that clients may ask for, and the targets that serve it.

    targets: a file may also say one, or a list of them, in place of the whole table.
    groups: in place of targets, several groups of them; the next one is asked when all of one have failed.
    strategy, sticky_by, percent, options: how a target is chosen among `targets`, as in a group.
    prefer: the format to speak upstream where a target speaks several and not the client's own.
    aliases: more names for the same.
    fallbacks: models that are asked when all targets have failed.
    on_context_length, on_content_filter: models that are asked when a target says that the input is too
        long for it, or that it may not answer it; the client gets that error where there are none.
    rules: other targets for some requests. shadow: a second target that gets copies.
    retry, hedge, continue_streams: in place of those under [routing].
    """

    targets: tuple[TargetConfig, ...] | None = field(
        default=None, validator=[checks.some, _one_has_weight], metadata=SHORT
    )
    groups: tuple[GroupConfig, ...] = ()
    strategy: str = field(default="weighted", validator=checks.filled)
    sticky_by: tuple[str, ...] = field(
        default=("prompt_cache_key", "conversation"), validator=each(checks.filled)
    )
    percent: float = field(default=5.0, validator=percentage)
    options: dict[str, object] = field(factory=dict)
    prefer: ApiName | None = None
    aliases: tuple[str, ...] = field(default=(), validator=each(checks.filled))
    fallbacks: tuple[str, ...] = field(default=(), validator=each(checks.filled))
    on_context_length: tuple[str, ...] = field(default=(), validator=each(checks.filled))
    on_content_filter: tuple[str, ...] = field(default=(), validator=each(checks.filled))
    rules: tuple[RuleConfig, ...] = ()
    shadow: ShadowConfig | None = None
    retry: RetryConfig | None = None
    hedge: HedgeConfig | None = None
    continue_streams: bool | None = None

    def __attrs_post_init__(self) -> None:
        if (self.targets is None) == (not self.groups):
            raise Wanted("targets, or groups in their place")

    @property
    def in_groups(self) -> tuple[GroupConfig, ...]:
        """The groups, whichever way they were written."""
        if self.targets is None:
            return self.groups
        return (GroupConfig(self.targets, self.strategy, self.sticky_by, self.percent, self.options),)

    def each_target(self) -> Iterator[tuple[str, TargetConfig]]:
        """Yield every target of every group with its path below the model, as messages name it."""
        for index, target in enumerate(self.targets or ()):
            yield f"targets[{index}]", target
        for number, group in enumerate(self.groups):
            for index, target in enumerate(group.targets):
                yield f"groups[{number}].targets[{index}]", target


@frozen
class RoutingConfig:
    """How every request finds its target.

    deadline_s: how long a request may look for an answer in all, over all attempts: until a stream has begun,
        or a whole answer is there. A client may ask for less (or, where this is not set, for any) with the
        header `x-aigw-timeout`.
    continue_streams: where a provider dies amid a text, the next target goes on with it in the same stream;
        a client may choose with the header `x-aigw-continue`.
    """

    deadline_s: float | None = field(default=None, validator=checks.positive)
    retry: RetryConfig = field(factory=RetryConfig)
    health: HealthConfig = field(factory=HealthConfig)
    hedge: HedgeConfig | None = None
    rules: tuple[RuleConfig, ...] = ()
    continue_streams: bool = False

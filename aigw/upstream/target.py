"""Where a model's requests may go: targets, the groups they stand in, and what a model wants beside them.

Plain values. Knows providers only as objects that have a name; decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from aigw.config.models import RuleConfig, ShadowConfig
from aigw.config.routing import HedgeConfig, RetryConfig
from aigw.upstream.provider import BaseProvider


@frozen
class Limits:
    """How much one target may be asked at most; None sets no limit."""

    max_in_flight: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@frozen
class Price:
    """What a target costs, in US dollars for a million tokens."""

    input_usd_per_mtok: float = 0.0
    output_usd_per_mtok: float = 0.0


@frozen(eq=False)
class Target:
    """One place a model name may lead to. `model` is the provider's own spelling.

    profile: the operator's profile that holds here, whatever models it is for.
    first_token_s: how long a stream may say nothing; None leaves it to the provider's `first_byte_s`.
    name: "provider/model". What has the same name shares its health.
    """

    provider: BaseProvider
    model: str
    weight: float = 1.0
    profile: str | None = None
    limits: Limits | None = None
    price: Price | None = None
    first_token_s: float | None = None
    name: str = field(init=False)

    @name.default
    def _name(self) -> str:
        return f"{self.provider.name}/{self.model}"

    def __str__(self) -> str:
        return self.name


@frozen(eq=False)
class Group:
    """Targets that may stand for one another.

    strategy: the name of what chooses among them. sticky_by, percent, options: its settings, as in
    `config.models.GroupConfig`.
    """

    targets: tuple[Target, ...]
    strategy: str = "weighted"
    sticky_by: tuple[str, ...] = ("prompt_cache_key", "conversation")
    percent: float = 5.0
    options: Mapping[str, object] = field(factory=dict)


@frozen
class Policy:
    """What a model wants beside its groups; each field as in `config.models.ModelConfig`."""

    fallbacks: tuple[str, ...] = ()
    on_context_length: tuple[str, ...] = ()
    on_content_filter: tuple[str, ...] = ()
    rules: tuple[RuleConfig, ...] = ()
    shadow: ShadowConfig | None = None
    retry: RetryConfig | None = None
    hedge: HedgeConfig | None = None
    continue_streams: bool | None = None


NO_POLICY = Policy()

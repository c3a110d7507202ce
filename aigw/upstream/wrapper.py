"""`WrapperProvider`: a provider that stands in front of another one.

Owns that whoever looks at it sees the provider behind it: its APIs, timeouts and habits. Knows nothing of
what its subclasses do with a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aigw.errors import GatewayError
from aigw.upstream.provider import BaseProvider

FOLLOWED = (
    *("apis", "stream_usage", "done_optional", "forward_client_key", "forward_headers", "timeouts"),
    *("hosted_tools", "compacts", "repeats_ids"),
)
"""What a wrapper says of itself is what the provider behind it says: all that BaseProvider lets one say."""


class WrapperProvider(BaseProvider):
    """Stands in front of `provider`, which the gateway opens before it and closes after it.

    name: how configuration, models and metrics call it; `provider` keeps its own name.
    """

    def __init__(self, provider: BaseProvider, name: str) -> None:
        super().__init__(name)
        self.wraps = (provider,)
        for setting in FOLLOWED:
            setattr(self, setting, getattr(provider, setting))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.wraps[0]!r}, name={self.name!r})"

    @property
    def vendor(self) -> str:
        return self.wraps[0].vendor

    def spare_key(self, key: str | None, error: GatewayError) -> bool:
        return self.wraps[0].spare_key(key, error)

    async def models(self) -> list[str]:
        return await self.wraps[0].models()


def with_wrapped(providers: Iterable[BaseProvider]) -> Iterator[BaseProvider]:
    """Yield providers and those they wrap, each once, the wrapped ones first: the order to open them in."""
    seen: set[int] = set()

    def walk(provider: BaseProvider) -> Iterator[BaseProvider]:
        if id(provider) in seen:
            return
        seen.add(id(provider))
        for inner in provider.wraps:
            yield from walk(inner)
        yield provider

    for provider in providers:
        yield from walk(provider)

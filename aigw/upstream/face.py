"""One provider as it is for one of its models: with some of its formats only.

Owns the face itself. Which formats a model speaks is known to the providers whose models differ in that.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from aigw.dialects.endpoints import Api
from aigw.upstream.provider import Answer, BaseProvider, Call


class _Face(BaseProvider):
    """A provider with some of its formats only; all else, its name as well, is the provider's."""

    def __init__(self, whole: BaseProvider, apis: frozenset[Api]) -> None:
        super().__init__(whole.name, apis=apis)
        self.stream_usage = whole.stream_usage
        self.done_optional = whole.done_optional
        self.forward_client_key = whole.forward_client_key
        self.forward_headers = whole.forward_headers
        self.timeouts = whole.timeouts
        self._whole = whole

    async def call(self, call: Call) -> Answer:
        return await self._whole.call(call)


def face_of(provider: BaseProvider, spoken: AbstractSet[Api]) -> BaseProvider:
    """Return a provider as it is for a model that speaks these formats.

    That is the provider itself where it has no format more, and where none of its own is among them.
    """
    apis = provider.apis & spoken
    return provider if not apis or apis == provider.apis else _Face(provider, apis)

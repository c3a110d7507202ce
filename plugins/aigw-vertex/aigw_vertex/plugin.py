"""The plugin: it brings the kind, and sees to it that a model is spoken to in a format it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve

from aigw.hooks.spec import Plugin
from aigw.upstream.registry import Target
from aigw_vertex.provider import VertexProvider
from aigw_vertex.section import make_provider

if TYPE_CHECKING:
    from aigw.hooks.registry import Registry
    from aigw.pipeline.exchange import Exchange


class Vertex(Plugin):
    """Provides `kind = "vertex"`."""

    name: ClassVar[str] = "vertex"

    def provide(self, registry: Registry) -> None:
        registry.provider_kind("vertex", make_provider)

    async def choose_targets(
        self,
        exchange: Exchange,  # noqa: ARG002 - the hook's signature
        targets: Sequence[Target],
    ) -> Sequence[Target] | None:
        """Narrow each target at Vertex AI to the formats of its model.

        A provider has one set of formats, and each publisher has its own: without this a chat client would be
        passed through to a model that only knows Anthropic's Messages API.
        """
        if not any(isinstance(target.provider, VertexProvider) for target in targets):
            return None
        return [_narrowed(target) for target in targets]


def _narrowed(target: Target) -> Target:
    if not isinstance(target.provider, VertexProvider):
        return target
    return evolve(target, provider=target.provider.face(target.model))

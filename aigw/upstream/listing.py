"""Which models there are to choose from: those registered, and those providers say they have.

Owns asking providers for their lists, at most once in LISTING_TTL_S, all at the same time, and never
letting one that does not answer keep the list from the caller.
"""

from __future__ import annotations

import asyncio
import logging

from aigw.errors import GatewayError
from aigw.upstream.provider import BaseProvider
from aigw.upstream.registry import ModelRegistry

logger = logging.getLogger("aigw.upstream")

LISTING_TTL_S = 300.0
RETRY_S = 10.0
"""How long a provider that failed to list its models is left alone."""
PATIENCE_S = 5.0


class Listing:
    """Model names with the name of the provider that serves each."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._known: dict[str, tuple[float, list[str]]] = {}  # good until when, and the names
        self._lock = asyncio.Lock()

    async def models(self) -> dict[str, str]:
        """Return name -> provider: registered names first, then `provider/model` for what providers list."""
        async with self._lock:
            providers = list(self._registry.providers.values())
            lists = await asyncio.gather(*(self._ask(provider) for provider in providers))
        found = {
            entry.name: str(entry.targets[0].provider.name)
            for entry in self._registry.entries
            if not entry.is_pattern
        }
        found |= {alias: found[name] for alias, name in self._registry.aliases.items() if name in found}
        for provider, names in zip(providers, lists, strict=True):
            for name in names:
                found.setdefault(f"{provider.name}/{name}", provider.name)
        return found

    async def _ask(self, provider: BaseProvider) -> list[str]:
        now = asyncio.get_running_loop().time()
        known = self._known.get(provider.name)
        if known is not None and now < known[0]:
            return known[1]
        try:
            async with asyncio.timeout(PATIENCE_S):
                names = await provider.models()
        except TimeoutError:
            logger.warning("provider %s did not list its models within %g s", provider.name, PATIENCE_S)
        except GatewayError as error:
            logger.warning("provider %s did not list its models: %s", provider.name, error)
        except Exception:
            logger.exception("provider %s failed to list its models", provider.name)
        else:
            self._known[provider.name] = (now + LISTING_TTL_S, names)
            return names
        names = known[1] if known is not None else []  # better an old list than none
        self._known[provider.name] = (now + RETRY_S, names)
        return names

"""A shop that had its own pages and customers first, and now answers below /ai/ as well.

Run it: `python shop.py`.
"""

from __future__ import annotations

import os
from collections import Counter
from hmac import compare_digest

from aiohttp import web

import aigw

TOKENS_USED: web.AppKey[Counter[str]] = web.AppKey("tokens_used")


class ShopRules:
    """Hooks registered in code: the shop's own logins, its own limit, its own count."""

    name = "shop-rules"

    def __init__(self, passwords: dict[str, str], tokens_used: Counter[str]) -> None:
        self._passwords = passwords
        self._tokens_used = tokens_used

    async def authenticate(self, exchange: aigw.Exchange) -> aigw.Identity | None:
        """A customer's password is the API key, too."""
        given = (exchange.credential or "").encode()
        for customer, password in self._passwords.items():
            if compare_digest(given, password.encode()):
                return aigw.Identity(tenant=customer, models=("assistant",))
        return None

    async def admit(self, exchange: aigw.Exchange) -> None:
        """No customer gets more than a thousand tokens."""
        if self._tokens_used[exchange.identity.tenant] >= 1000:
            raise aigw.ClientError("your tokens are used up", kind=aigw.ErrorKind.QUOTA_EXCEEDED)

    def on_complete(self, record: aigw.Record) -> None:
        """Called once for each request, however it ended."""
        if record.usage is not None:
            self._tokens_used[record.tenant] += record.usage.total_tokens or 0


async def front_page(request: web.Request) -> web.Response:
    """The shop's own page knows what the gateway counted."""
    return web.json_response({"shop": "open", "tokens_used": request.app[TOKENS_USED]})


def make_gateway(passwords: dict[str, str], tokens_used: Counter[str]) -> aigw.Gateway:
    """Return a gateway with one model; the built-in demo answers where there is no key."""
    gateway = aigw.Gateway()
    key = os.environ.get("OPENAI_API_KEY")
    provider = aigw.Provider(kind="openai", api_key=key) if key else aigw.DemoProvider()
    gateway.models.register("assistant", provider, rewrite="gpt-5-mini")
    gateway.hooks.register(ShopRules(passwords, tokens_used))
    return gateway


def make_shop(passwords: dict[str, str]) -> web.Application:
    """Return the whole application: the shop's pages at the root, the gateway below /ai/."""
    shop = web.Application()
    shop[TOKENS_USED] = Counter()
    shop.router.add_get("/", front_page)
    shop.add_subapp("/ai/", make_gateway(passwords, shop[TOKENS_USED]).make_app())
    return shop


if __name__ == "__main__":
    # With handler_cancellation a client that leaves ends its request at the provider at once.
    web.run_app(make_shop({"ada": "ada-password"}), host="127.0.0.1", port=8080, handler_cancellation=True)

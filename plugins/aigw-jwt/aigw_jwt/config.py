"""What the operator may say in `[plugins.jwt]`, and which combinations are refused.

Owns the rule that algorithms and key fit together: a public key never serves as an HMAC secret, and
nothing is accepted unsigned.
"""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen

from aigw.config import Check, Secret, Wanted
from aigw.config.checks import at_least_one, each, filled, http_url, not_negative, positive, some

HMAC = frozenset(("HS256", "HS384", "HS512"))
PUBLIC = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES256K", "ES384", "ES512", "EdDSA")
)
KEY_SOURCES = ("secret", "secret_file", "public_key_file", "jwks_file", "jwks_url")

_algorithm: Check[str] = Check(
    f"one of {', '.join(sorted(HMAC | PUBLIC))}", lambda name: name in HMAC or name in PUBLIC
)


def _check_algorithms(instance: object, attribute: object, names: tuple[str, ...]) -> None:
    some(instance, attribute, names)
    each(_algorithm)(instance, attribute, names)


@frozen
class JwtConfig:
    """Settings of the plugin.

    algorithms: the only ones accepted; all of HMAC's kind, or all with public keys.
    secret, secret_file, public_key_file, jwks_file, jwks_url: exactly one of them.
    issuer, audience: one, or several of which one must be in the token; unset is not checked.
    leeway_s: how far clocks may be apart.
    required: claims that must be there.
    tenant_claim, name_claim, models_claim: names of claims, or paths as "org.id". models_claim holds a
        list, or names separated by spaces.
    default_tenant, default_models: for tokens without the claim.
    refresh_s: how old the keys of `jwks_url` get; min_refresh_gap_s: how often they are asked for at most.
    cache_s, cache_size: for how long, and how many, verified tokens are known again by their hash.
    """

    algorithms: tuple[str, ...] = field(validator=_check_algorithms)
    secret: Secret | None = None
    secret_file: Path | None = None
    public_key_file: Path | None = None
    jwks_file: Path | None = None
    jwks_url: str | None = field(default=None, validator=http_url)
    issuer: str | tuple[str, ...] | None = None
    audience: str | tuple[str, ...] | None = None
    leeway_s: float = field(default=0.0, validator=not_negative)
    required: tuple[str, ...] = field(default=("exp",), validator=each(filled))
    tenant_claim: str = field(default="tenant", validator=filled)
    default_tenant: str | None = field(default=None, validator=filled)
    name_claim: str = field(default="sub", validator=filled)
    models_claim: str | None = field(default=None, validator=filled)
    default_models: tuple[str, ...] = ("*",)
    refresh_s: float = field(default=3600.0, validator=positive)
    min_refresh_gap_s: float = field(default=30.0, validator=positive)
    fetch_timeout_s: float = field(default=10.0, validator=positive)
    cache_s: float = field(default=60.0, validator=not_negative)
    cache_size: int = field(default=4096, validator=at_least_one)

    def __attrs_post_init__(self) -> None:
        """Raise Wanted when there is not exactly one key, or it does not fit the algorithms."""
        given = [name for name in KEY_SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise Wanted(f"exactly one of {', '.join(KEY_SOURCES)}; got {' and '.join(given) or 'none'}")
        is_secret = given[0].startswith("secret")
        misfits = [name for name in self.algorithms if (name in HMAC) != is_secret]
        if misfits:
            kind = "HS256, HS384 and HS512" if is_secret else "algorithms with a public key, as RS256"
            raise Wanted(f"for {given[0]} only {kind}; got {', '.join(misfits)} in algorithms")

    @property
    def issuers(self) -> tuple[str, ...]:
        return _several(self.issuer)

    @property
    def audiences(self) -> tuple[str, ...]:
        return _several(self.audience)


def _several(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value

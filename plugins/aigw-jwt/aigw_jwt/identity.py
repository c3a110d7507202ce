"""From claims to who is asking: tenant, name, models. Knows no signatures."""

from __future__ import annotations

from typing import Any

from aigw.errors import ClientError, ErrorKind
from aigw.pipeline.exchange import Identity
from aigw_jwt.config import JwtConfig
from aigw_jwt.verify import Claims


def read_identity(claims: Claims, config: JwtConfig) -> Identity:
    """Return who the claims name. Raises ClientError (403) when they name no tenant, or models wrongly."""
    tenant = _word(find_claim(claims, config.tenant_claim)) or config.default_tenant
    if tenant is None:
        raise _forbidden(f'it names no tenant: claim "{config.tenant_claim}" is missing or no text')
    return Identity(
        tenant=tenant,
        name=_word(find_claim(claims, config.name_claim)),
        models=_models(claims, config),
        claims=claims,
    )


def find_claim(claims: Claims, path: str) -> Any:
    """Return a claim by its name, which may hold dots itself, or by a dotted path; None if not there."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _models(claims: Claims, config: JwtConfig) -> tuple[str, ...]:
    value = None if config.models_claim is None else find_claim(claims, config.models_claim)
    if value is None:
        return config.default_models
    names = value.split() if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _forbidden(f'claim "{config.models_claim}" is neither a list of names nor text')
    return tuple(names)


def _word(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def _forbidden(reason: str) -> ClientError:
    return ClientError(f"the token is good but {reason}", kind=ErrorKind.PERMISSION)

"""Every setting of the gateway: its name, unit, default and what it may be.

Plain frozen values, checked when made, whether from a file or from Python. Knows nothing of files,
of the environment, of which providers the catalogue has nor of what plugins read in their sections.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Literal, Self

from attrs import field, frozen

from aigw.config import checks
from aigw.config.checks import Check, Wanted, each, each_key, each_value
from aigw.config.models import ModelConfig, RoutingConfig
from aigw.config.profiles import ApiName, ProfileConfig
from aigw.config.routing import HealthCheckConfig, KeyStrategy
from aigw.config.secrets import Secret
from aigw.config.state import ResponsesConfig, StateConfig

Api = Literal[ApiName, "all"]
StreamUsage = Literal["ask", "always", "never"]
DoneMarker = Literal["required", "optional"]

REST: Mapping[str, bool] = {"rest": True}
"""Metadata of the one field that takes all keys of its table that no other field has."""

_apis: Check[tuple[Api, ...]] = Check(checks.some.wanted, bool)
_secret: Check[Secret] = Check(
    "a secret of one line of text, not empty",
    lambda secret: isinstance(secret, Secret) and bool(secret) and checks.one_line.holds(secret.reveal()),
)
_required_secret: Callable[[object, object, Secret], None] = _secret
_header_value: Check[Secret] = Check(
    "a secret of one line of text",
    lambda secret: isinstance(secret, Secret) and checks.one_line.holds(secret.reveal()),
)
_proxy: Check[Secret] = Check(
    "a secret, an absolute http:// or https:// URL",
    lambda secret: isinstance(secret, Secret) and checks.http_url.holds(secret.reveal()),
)


def _names_only(table: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{name!r}: ..." for name in table) + "}"


@frozen
class ServerConfig:
    """How the gateway listens and what it tells of itself.

    max_body_bytes: the largest request body; also text with a unit, as "32MiB" or "10MB".
    drain_timeout_s: how long open streams may go on after a shutdown was asked for.
    ping_interval_s: silence on a client's stream after which a comment is sent to keep it open.
    client_write_timeout_s: how long a client may take nothing of its answer before it is given up, and the
        provider's call with it; None waits for ever.
    stream_usage: whether usage is asked of upstreams that tell it in streams only when asked.
    strict: refuse with 400 what a provider's format cannot hold, rather than drop it and say so.
    fix_parameters: change also requests that are in the provider's own format, where its model is known to
        refuse them.
    cors_origins: origins of browser pages that may call; "*" for any.
    """

    host: str = field(default="127.0.0.1", validator=checks.filled)
    port: int = field(default=8080, validator=checks.between(0, 65535))
    workers: int = field(default=1, validator=checks.between(1, 256))
    max_body_bytes: int = field(
        default=64 * 2**20, converter=checks.size_bytes, validator=checks.at_least_one
    )
    drain_timeout_s: float = field(default=30.0, validator=checks.positive)
    ping_interval_s: float = field(default=15.0, validator=checks.positive)
    client_write_timeout_s: float | None = field(default=60.0, validator=checks.positive)
    stream_usage: bool = True
    strict: bool = False
    fix_parameters: bool = False
    access_log: bool = True
    metrics: bool = True
    cors_origins: tuple[str, ...] = field(default=(), validator=each(checks.origin))
    tls_cert_file: str | None = field(default=None, validator=checks.filled)
    tls_key_file: str | None = field(default=None, validator=checks.filled)
    keepalive_timeout_s: float = field(default=75.0, validator=checks.positive)

    def __attrs_post_init__(self) -> None:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise Wanted("tls_cert_file and tls_key_file both, or neither")


@frozen
class KeyConfig:
    """One key that clients may send: as text, or as its hash so that the file holds no secret.

    key_hash: "sha256:" and the hex digest of the key.
    models: names or patterns of the models this key may use.
    admin: whether it may see the gateway's own state, as `GET /aigw/targets` shows it.
    """

    key: Secret | None = field(default=None, validator=_secret)
    key_hash: str | None = field(default=None, validator=checks.key_hash)
    tenant: str = field(default="default", validator=checks.filled)
    name: str | None = field(default=None, validator=checks.filled)
    models: tuple[str, ...] = field(default=("*",), validator=each(checks.filled))
    admin: bool = False

    def __attrs_post_init__(self) -> None:
        if (self.key is None) == (self.key_hash is None):
            raise Wanted("exactly one of key and key_hash")

    @property
    def digest(self) -> str:
        """The key's hash in the form of `key_hash`, whichever of the two was written."""
        if self.key is None:
            return self.key_hash or ""
        content = self.key.reveal().encode("utf-8", "surrogatepass")
        return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _differ(_instance: object, _attribute: object, keys: tuple[KeyConfig, ...]) -> None:
    first: dict[str, int] = {}
    alike: dict[int, Wanted] = {}
    for index, key in enumerate(keys):
        if key.digest and first.setdefault(key.digest, index) != index:
            alike[index] = Wanted(f"a key of its own, not that of [{first[key.digest]}] again")
    if alike:
        raise Wanted(inside=alike)


@frozen
class AuthConfig:
    """Who may call.

    allow_anonymous: where there are no keys and no plugin that authenticates, serve everyone in place of
        this machine alone.
    """

    keys: tuple[KeyConfig, ...] = field(default=(), validator=_differ)
    allow_anonymous: bool = False


@frozen
class TimeoutsConfig:
    """How long an upstream may take; read_s is the silence between two reads, total_s the whole call.

    first_byte_s: until the head of its answer, connecting included.
    first_token_s: until a stream's first content; None gives it first_byte_s from its head on.
    """

    connect_s: float = field(default=10.0, validator=checks.positive)
    first_byte_s: float = field(default=300.0, validator=checks.positive)
    first_token_s: float | None = field(default=None, validator=checks.positive)
    read_s: float = field(default=300.0, validator=checks.positive)
    total_s: float | None = field(default=None, validator=checks.positive)


@frozen
class PoolConfig:
    """Connections to one provider; max_connections 0 is unlimited, keepalive_s is idle life."""

    max_connections: int = field(default=0, validator=checks.count)
    keepalive_s: float = field(default=15.0, validator=checks.positive)


@frozen
class TlsConfig:
    """TLS towards one provider: own authority, client certificate, name to verify."""

    verify: bool = True
    ca_file: str | None = field(default=None, validator=checks.filled)
    cert_file: str | None = field(default=None, validator=checks.filled)
    key_file: str | None = field(default=None, validator=checks.filled)
    server_name: str | None = field(default=None, validator=checks.filled)

    def __attrs_post_init__(self) -> None:
        if self.key_file is not None and self.cert_file is None:
            raise Wanted("cert_file beside key_file")


@frozen
class PooledKeyConfig:
    """One of several keys for a provider. A file may also say the key alone.

    name: how it is called in logs and listings; by default by its place, "#1". weight: its share.
    """

    key: Secret = field(validator=_required_secret)
    name: str | None = field(default=None, validator=checks.plain_name)
    weight: float = field(default=1.0, validator=checks.positive)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the key alone."""
        return cls(Secret(text))


@frozen
class ProviderConfig:
    """One upstream: a row of the catalogue by `kind`, changed in what is set here, or a bare URL.

    api_keys: in place of api_key, several; one that is refused or at its rate limit is left alone for a
        while, and the call is made with the next. key_strategy: how they are chosen.
    health_check: ask now and then whether it is there; None relies on what requests meet.
    apis: the formats it speaks; "all" for every one.
    headers: sent with each call; they may hold credentials, so their values are secrets.
    proxy: URL of a proxy, perhaps with a password.
    forward_client_key: send the caller's own key upstream in place of api_key.
    forward_headers: names of the caller's headers that go upstream too.
    transport: the HTTP client; None takes our own pool, and aiohttp's client where there is a proxy.
    stream_usage: whether a stream is asked for its usage; None leaves it to the catalogue.
    done_marker: whether a stream must end with `[DONE]`; None leaves it to the catalogue.
    options: for providers that plugins bring, which read them with a class of their own.
    """

    kind: str | None = field(default=None, validator=checks.filled)
    base_url: str | None = field(default=None, validator=checks.base_url)
    api_key: Secret | None = field(default=None, validator=_secret)
    api_keys: tuple[PooledKeyConfig, ...] = ()
    key_strategy: KeyStrategy = "weighted"
    base_path: str | None = field(default=None, validator=checks.url_path)
    apis: tuple[Api, ...] | None = field(default=None, validator=_apis)
    headers: dict[str, Secret] = field(
        factory=dict, validator=[each_key(checks.header_name), each_value(_header_value)]
    )
    query: dict[str, str] = field(factory=dict, repr=_names_only)
    proxy: Secret | None = field(default=None, validator=_proxy)
    timeouts: TimeoutsConfig = TimeoutsConfig()
    pool: PoolConfig = PoolConfig()
    tls: TlsConfig = TlsConfig()
    forward_client_key: bool = False
    forward_headers: tuple[str, ...] = field(default=(), validator=each(checks.header_name))
    transport: Literal["pool", "aiohttp"] | None = None
    stream_usage: StreamUsage | None = None
    done_marker: DoneMarker | None = None
    api_version: str | None = field(default=None, validator=checks.filled)
    health_check: HealthCheckConfig | None = None
    options: dict[str, object] = field(factory=dict, repr=_names_only)

    def __attrs_post_init__(self) -> None:
        if self.kind is None and self.base_url is None:
            raise Wanted("kind (a provider of the catalogue) or base_url")
        if self.api_key is not None and self.api_keys:
            raise Wanted("api_key or api_keys, not both")


@frozen
class PluginsConfig:
    """Which plugins run, in which order, and each one's own section.

    order: plugins that come first, in this order; the others follow in their own.
    sections: all other tables below [plugins] by the plugin's name. Their values are checked by the
        plugin's own attrs class with `structure`.
    """

    order: tuple[str, ...] = field(default=(), validator=each(checks.filled))
    disabled: tuple[str, ...] = field(default=(), validator=each(checks.filled))
    sections: dict[str, dict[str, object]] = field(factory=dict, metadata=REST, repr=_names_only)


@frozen
class Config:
    """All that an operator can say; `Config()` is a gateway on 127.0.0.1:8080 without providers."""

    server: ServerConfig = ServerConfig()
    auth: AuthConfig = AuthConfig()
    providers: dict[str, ProviderConfig] = field(factory=dict, validator=each_key(checks.plain_name))
    models: dict[str, ModelConfig] = field(factory=dict, validator=each_key(checks.filled))
    profiles: dict[str, ProfileConfig] = field(factory=dict, validator=each_key(checks.filled))
    plugins: PluginsConfig = PluginsConfig()
    routing: RoutingConfig = field(factory=RoutingConfig)
    state: StateConfig = field(factory=StateConfig)
    responses: ResponsesConfig = field(factory=ResponsesConfig)

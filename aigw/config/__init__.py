"""What the operator wrote: schema, loading, secrets from environment and files, errors with paths.

Imports nothing of aigw but `aigw.errors`: it knows no catalogue, no provider's code and no aiohttp.
"""

from aigw.config.checks import Check, Wanted
from aigw.config.crosscheck import cross_check, target_path, unknown_provider
from aigw.config.load import find_config, load, loads
from aigw.config.models import (
    SHORT,
    GroupConfig,
    ModelConfig,
    RoutingConfig,
    RuleConfig,
    ShadowConfig,
    TargetConfig,
    WhenConfig,
)
from aigw.config.profiles import ApiName, ProfileConfig
from aigw.config.routing import (
    HealthCheckConfig,
    HealthConfig,
    HedgeConfig,
    RetryConfig,
)
from aigw.config.schema import (
    REST,
    Api,
    AuthConfig,
    Config,
    KeyConfig,
    PluginsConfig,
    PoolConfig,
    PooledKeyConfig,
    ProviderConfig,
    ServerConfig,
    TimeoutsConfig,
    TlsConfig,
)
from aigw.config.secrets import Secret
from aigw.config.state import ResponsesConfig, StateConfig
from aigw.config.structure import structure

__all__ = [
    "REST",
    "SHORT",
    "Api",
    "ApiName",
    "AuthConfig",
    "Check",
    "Config",
    "GroupConfig",
    "HealthCheckConfig",
    "HealthConfig",
    "HedgeConfig",
    "KeyConfig",
    "ModelConfig",
    "PluginsConfig",
    "PoolConfig",
    "PooledKeyConfig",
    "ProfileConfig",
    "ProviderConfig",
    "ResponsesConfig",
    "RetryConfig",
    "RoutingConfig",
    "RuleConfig",
    "Secret",
    "ServerConfig",
    "ShadowConfig",
    "StateConfig",
    "TargetConfig",
    "TimeoutsConfig",
    "TlsConfig",
    "Wanted",
    "WhenConfig",
    "cross_check",
    "find_config",
    "load",
    "loads",
    "structure",
    "target_path",
    "unknown_provider",
]

"""What the operator wrote: schema, loading, secrets from environment and files, errors with paths.

Imports nothing of aigw but `aigw.errors`: it knows no catalogue, no provider's code and no aiohttp.
"""

from aigw.config.checks import Check, Wanted
from aigw.config.crosscheck import cross_check, target_path, unknown_provider
from aigw.config.load import find_config, load, loads
from aigw.config.profiles import ApiName, ProfileConfig
from aigw.config.schema import (
    REST,
    SHORT,
    Api,
    AuthConfig,
    Config,
    KeyConfig,
    ModelConfig,
    PluginsConfig,
    PoolConfig,
    ProviderConfig,
    ServerConfig,
    TargetConfig,
    TimeoutsConfig,
    TlsConfig,
)
from aigw.config.secrets import Secret
from aigw.config.structure import structure

__all__ = [
    "REST",
    "SHORT",
    "Api",
    "ApiName",
    "AuthConfig",
    "Check",
    "Config",
    "KeyConfig",
    "ModelConfig",
    "PluginsConfig",
    "PoolConfig",
    "ProfileConfig",
    "ProviderConfig",
    "Secret",
    "ServerConfig",
    "TargetConfig",
    "TimeoutsConfig",
    "TlsConfig",
    "Wanted",
    "cross_check",
    "find_config",
    "load",
    "loads",
    "structure",
    "target_path",
    "unknown_provider",
]

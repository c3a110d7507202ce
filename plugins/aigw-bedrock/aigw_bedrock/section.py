"""From a `[providers.NAME]` section with `kind = "bedrock"` to a provider.

Owns which credential is used where several could be, and what is refused. Reads the environment that AWS's
own tools read; shows no value of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from attrs import field, frozen
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
from botocore.session import Session  # type: ignore[import-untyped]

from aigw import timeouts_of, transport_settings
from aigw.config import Check, ProviderConfig, Secret, Wanted, structure
from aigw.config.checks import base_url, filled
from aigw.errors import ConfigError
from aigw_bedrock.keys import AwsKeys, ChainKeys, GivenKeys
from aigw_bedrock.provider import BedrockProvider
from aigw_bedrock.rules import ModelRule
from aigw_bedrock.signing import Authority, Bearer, SigV4

API_KEY_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")

_region: Check[str] = Check(
    "a region, as eu-central-1", lambda name: name.isascii() and name.replace("-", "").isalnum()
)


@frozen
class BedrockOptions:
    """What `[providers.NAME.options]` may say.

    region: by default AWS_REGION, AWS_DEFAULT_REGION, or the profile's.
    access_key, secret, session_token: AWS keys; without them botocore's default chain finds some.
    profile: a profile of the shared configuration files.
    mantle_url: address of the endpoint with OpenAI's APIs, where it is not the usual one.
    models: how models are served that the plugin does not know; looked at before its own rules.
    """

    region: str | None = field(default=None, validator=_region)
    access_key: Secret | None = None
    secret: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = field(default=None, validator=filled)
    mantle_url: str | None = field(default=None, validator=base_url)
    models: tuple[ModelRule, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Raise Wanted where half a key was given, or two kinds of credentials."""
        if bool(self.access_key) != bool(self.secret):
            raise Wanted("access_key and secret both, or neither")
        if self.session_token and not self.access_key:
            raise Wanted("access_key and secret beside session_token")
        if self.access_key and self.profile:
            raise Wanted("access_key or profile, not both")


def make_provider(name: str, section: ProviderConfig) -> BedrockProvider:
    """Make the provider of one section. Raises ConfigError."""
    problems: list[str] = []
    options = structure(BedrockOptions, section.options, f"providers.{name}.options", problems)
    if options is None:
        raise ConfigError(problems)
    if section.api_key and (options.access_key or options.profile):
        raise ConfigError([f"providers.{name}: wanted api_key or AWS credentials, not both"])
    try:
        session = Session(profile=options.profile)
        session.get_scoped_config()  # a profile that is not there is told now
        region = options.region or _region_of(session, os.environ)
    except BotoCoreError as error:
        raise ConfigError([f"providers.{name}.options.profile: {error}"]) from error
    if region is None:
        raise ConfigError([f"providers.{name}.options.region: got nothing, wanted a region (or AWS_REGION)"])
    made = BedrockProvider(
        name,
        region=region,
        authority=_authority(name, section, options, session, region),
        base_url=section.base_url,
        mantle_url=options.mantle_url,
        rules=options.models,
        apis=section.apis,
        headers={header: value.reveal() for header, value in section.headers.items()},
        query=section.query,
        timeouts=timeouts_of(section),
        settings=transport_settings(name, section),
        transport=section.transport,
    )
    made.forward_client_key = section.forward_client_key
    made.forward_headers = section.forward_headers
    made.stream_usage = section.stream_usage or made.stream_usage
    made.done_optional = section.done_marker == "optional"
    return made


def _authority(
    name: str, section: ProviderConfig, options: BedrockOptions, session: Session, region: str
) -> Authority:
    """Return the credential: what was written here before what the environment has."""
    if section.api_key:
        return Bearer(section.api_key.reveal())
    if options.access_key and options.secret:
        token = options.session_token.reveal() if options.session_token else None
        return SigV4(GivenKeys(AwsKeys(options.access_key.reveal(), options.secret.reveal(), token)), region)
    api_key = os.environ.get(API_KEY_VARIABLE)
    if api_key and not options.profile:
        return Bearer(api_key)
    return SigV4(ChainKeys(session, name), region)


def _region_of(session: Session, env: Mapping[str, str]) -> str | None:
    named = next((env[name] for name in _REGION_VARIABLES if env.get(name)), None)
    return named or session.get_config_variable("region")

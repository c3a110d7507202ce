"""From a `[providers.NAME]` section with `kind = "vertex"` to a provider.

Owns which credential is used, and what is refused. Reads the environment that Google's own tools read;
shows no value of it.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import google.auth
from attrs import field, frozen
from google.auth.exceptions import GoogleAuthError

from aigw import timeouts_of, transport_settings
from aigw.config import Check, ProviderConfig, Wanted, structure
from aigw.config.checks import filled
from aigw.errors import ConfigError
from aigw_vertex.provider import VertexProvider
from aigw_vertex.tokens import SCOPES, GoogleTokens, Load

_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")
_LOCATION_VARIABLES = ("GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION")

_place: Check[str] = Check(
    "a location, as global or europe-west1",
    lambda name: name.isascii() and name.replace("-", "").isalnum(),
)


def _publishers(_instance: object, _attribute: object, table: dict[str, str]) -> None:
    wrong = {pattern: Wanted("a publisher's name") for pattern, name in table.items() if not name.strip(".")}
    if wrong:
        raise Wanted(inside=wrong)


@frozen
class VertexOptions:
    """What `[providers.NAME.options]` may say.

    project: by default GOOGLE_CLOUD_PROJECT, or the credentials' own.
    location: by default GOOGLE_CLOUD_LOCATION, or "global".
    credentials_file: a service account's key, or another file of Google's; without it the application
        default credentials are used.
    publishers: patterns of model names to publishers, for models whose name does not tell.
    """

    project: str | None = field(default=None, validator=filled)
    location: str | None = field(default=None, validator=_place)
    credentials_file: Path | None = None
    publishers: dict[str, str] = field(factory=dict, validator=_publishers)


def make_provider(name: str, section: ProviderConfig) -> VertexProvider:
    """Make the provider of one section. Raises ConfigError."""
    problems: list[str] = []
    options = structure(VertexOptions, section.options, f"providers.{name}.options", problems)
    if section.api_key:
        problems.append(f"providers.{name}.api_key: wanted options.credentials_file; Vertex AI takes no keys")
    if options is None or problems:
        raise ConfigError(problems)
    settings = transport_settings(name, section)
    made = VertexProvider(
        name,
        tokens=GoogleTokens(_load(name, options), name, proxy=settings.proxy),
        project=options.project or _first(_PROJECT_VARIABLES),
        location=options.location or _first(_LOCATION_VARIABLES) or "global",
        base_url=section.base_url,
        api_version=section.api_version or "v1",
        publishers=options.publishers,
        apis=section.apis,
        headers={header: value.reveal() for header, value in section.headers.items()},
        query=section.query,
        timeouts=timeouts_of(section),
        settings=settings,
        transport=section.transport,
    )
    made.forward_client_key = section.forward_client_key
    made.forward_headers = section.forward_headers
    made.stream_usage = section.stream_usage or made.stream_usage
    made.done_optional = section.done_marker == "optional"
    return made


def _load(name: str, options: VertexOptions) -> Load:
    """Return what loads the credentials. A file is read now, so that one of no use is told at the start."""
    if options.credentials_file is None:
        return _load_default
    try:
        loaded = _read(json.loads(options.credentials_file.read_bytes()))
    except (OSError, ValueError, GoogleAuthError) as error:
        # The reason's own text may quote the file.
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        path = f"providers.{name}.options.credentials_file"
        raise ConfigError(
            [f"{path}: wanted a file of Google credentials that can be read ({reason})"]
        ) from error
    return lambda: loaded


def _read(tree: object) -> tuple[Any, str | None]:
    with warnings.catch_warnings():
        # It warns of files that strangers hand in; this one is the operator's.
        warnings.simplefilter("ignore", DeprecationWarning)
        load = google.auth.load_credentials_from_dict
        credentials, project = load(tree, scopes=SCOPES)  # type: ignore[no-untyped-call]
    return credentials, project


def _load_default() -> tuple[Any, str | None]:
    credentials, project = google.auth.default(scopes=SCOPES)
    return credentials, project


def _first(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)

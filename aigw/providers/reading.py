"""What every kind of section has in common: its `options`, its timeouts."""

from __future__ import annotations

from typing import TypeVar

import attrs

from aigw.config import ProviderConfig, structure
from aigw.config.place import join
from aigw.errors import ConfigError
from aigw.upstream.provider import Timeouts

T = TypeVar("T")


def read_options(cls: type[T], name: str, section: ProviderConfig) -> T:
    """Read the `options` of a section. Raises ConfigError with every mistake in them."""
    problems: list[str] = []
    options = structure(cls, section.options, f"{join('providers', name)}.options", problems)
    if options is None:
        raise ConfigError(problems)
    return options


def timeouts_of(section: ProviderConfig) -> Timeouts:
    """Return a section's timeouts as providers have them."""
    given = section.timeouts
    return Timeouts(**attrs.asdict(given))

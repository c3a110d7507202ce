"""The operator's profiles beside those of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping

from aigw.config import ProfileConfig
from aigw.dialects.endpoints import Api
from aigw.upstream.profile import Profile, ProfileBook
from aigw.upstream.profiles import PROFILES


def profile_book(own: Mapping[str, ProfileConfig]) -> ProfileBook:
    """Return the book of all profiles, the operator's on top."""
    return ProfileBook(PROFILES, [_profile(name, section) for name, section in own.items()])


def _profile(name: str, section: ProfileConfig) -> Profile:
    return Profile(
        name,
        models=tuple(pattern.lower() for pattern in section.models or (name,)),
        unless=tuple(pattern.lower() for pattern in section.unless),
        providers=section.providers,
        apis=frozenset(Api(api) for api in section.apis),
        drop=section.drop,
        values=section.values,
        defaults=section.defaults,
        rename=section.rename,
        max_output_tokens=section.max_output_tokens,
        thinking=section.thinking,
        prefill=section.prefill,
        replace=section.replace,
    )

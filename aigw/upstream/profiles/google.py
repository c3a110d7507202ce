"""Gemini in its own format. Which field says how to think, the codec knows: level or budget.

Sources: the Gemini API's pages on models and thinking, and errors that users have reported, read 2026-11.
"""

from __future__ import annotations

from aigw.dialects.endpoints import Api
from aigw.upstream.profile import Profile

_GEMINI = frozenset({Api.GEMINI})

GOOGLE = (
    Profile("gemini-2.0", models=("gemini-2.0-*",), apis=_GEMINI, max_output_tokens=8192),
    Profile(
        "gemini-2.0-no-thinking",
        models=("gemini-2.0-*",),
        unless=("*thinking*",),
        apis=_GEMINI,
        thinking="none",  # "thinking is not supported by this model"
    ),
    Profile(
        "gemini-no-penalties",
        models=("gemini-2.5-*", "gemini-3*"),
        apis=_GEMINI,
        # "Penalty is not enabled for this model"
        drop=("sampling.presence_penalty", "sampling.frequency_penalty"),
    ),
    Profile("gemini-2.5-pro", models=("gemini-2.5-pro*",), apis=_GEMINI, always_thinks=True),
    Profile(
        "gemini-3-pro",
        models=("gemini-3-pro*",),
        unless=("*image*",),
        apis=_GEMINI,
        always_thinks=True,
        values={"reasoning.effort": {"minimal": "low", "medium": "high"}},
    ),
)

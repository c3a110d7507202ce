"""Grok. Source: xAI's guide to reasoning, and efforts tried against its API, read 2026-11."""

from __future__ import annotations

from aigw.dialects.endpoints import Api
from aigw.upstream.profile import Profile

_SPOKEN = frozenset({Api.CHAT, Api.RESPONSES})
_REASONING = ("grok-3-mini*", "grok-4*", "grok-code-fast*")
_NOT_REASONING = ("*non-reasoning*",)

XAI = (
    Profile(
        "grok-reasoning",
        models=_REASONING,
        unless=_NOT_REASONING,
        apis=_SPOKEN,
        # "Adding them in the request would result in an error."
        drop=("sampling.presence_penalty", "sampling.frequency_penalty", "sampling.stop"),
    ),
    Profile(
        "grok-reasoning-kept",
        models=("grok-4*",),
        unless=_NOT_REASONING,
        apis=frozenset({Api.RESPONSES}),
        certain=False,
        defaults={"openresponses:include": ["reasoning.encrypted_content"]},
    ),
    Profile(
        "grok-no-effort",
        models=("grok-3*", "grok-4", "grok-4-*", "grok-4.20*", "grok-code-fast*"),
        unless=("grok-3-mini*", "*multi-agent*"),
        apis=_SPOKEN,
        drop=("reasoning.effort",),
    ),
    Profile(
        "grok-3-mini",
        models=("grok-3-mini*",),
        apis=_SPOKEN,
        values={
            "reasoning.effort": {
                "none": "low",
                "minimal": "low",
                "medium": "low",
                "xhigh": "high",
                "max": "high",
            }
        },
    ),
    Profile("grok-4.3", models=("grok-4.3*",), apis=_SPOKEN, values={"reasoning.effort": {"minimal": "low"}}),
    Profile(
        "grok-4.5",
        models=("grok-4.5*",),
        apis=_SPOKEN,
        values={"reasoning.effort": {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}},
    ),
)

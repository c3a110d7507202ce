"""Claude, at whoever serves it in Anthropic's format: how much it writes, which thinking, which samplers.

Sources: Anthropic's pages on models, on thinking ("rejected configurations by model") and on effort, and
errors that users have reported, read 2026-11. Opus 4.6 and Sonnet 4.6 know both kinds of thinking.
"""

from __future__ import annotations

from aigw.dialects.endpoints import Api
from aigw.upstream.profile import Profile

_MESSAGES = frozenset({Api.MESSAGES})
_SAMPLERS = ("sampling.temperature", "sampling.top_p", "sampling.top_k")
_CLAUDE_3 = ("*claude-3-opus*", "*claude-3-sonnet*", "*claude-3-haiku*")
_CLAUDE_4 = ("*claude-opus-4-0*", "*claude-opus-4-2025*", "*claude-sonnet-4-0*", "*claude-sonnet-4-2025*")
_ADAPTIVE_ONLY = (
    *("*claude-opus-4-7*", "*claude-opus-4-8*", "*claude-opus-5*", "*claude-sonnet-5*", "*claude-haiku-5*"),
    *("*claude-fable-*", "*claude-mythos-5*"),
)

ANTHROPIC = (
    # From 4.6 on: "This model does not support assistant message prefill".
    Profile(
        "claude-takes-prefill",
        models=("*claude-3-*", *_CLAUDE_4, "*claude-opus-4-1*", "*claude-*-4-5*"),
        apis=_MESSAGES,
        prefill=True,
    ),
    Profile(
        "claude-3",
        models=_CLAUDE_3,
        apis=_MESSAGES,
        max_output_tokens=4096,
        defaults={"max_output_tokens": 4096},  # this format insists on a limit
        thinking="none",
    ),
    Profile("claude-3.5", models=("*claude-3-5-*",), apis=_MESSAGES, max_output_tokens=8192, thinking="none"),
    Profile(
        "claude-by-budget",
        models=(
            *("*claude-3-7-*", *_CLAUDE_4, "*claude-opus-4-1*"),
            *("*claude-sonnet-4-5*", "*claude-haiku-4-5*"),
        ),
        apis=_MESSAGES,
        max_output_tokens=64000,
        thinking="budget",
        drop=("reasoning.effort",),
    ),
    Profile(
        "claude-opus-4",
        models=("*claude-opus-4-0*", "*claude-opus-4-2025*", "*claude-opus-4-1*"),
        apis=_MESSAGES,
        max_output_tokens=32000,
    ),
    Profile(
        "claude-opus-4.5",
        models=("*claude-opus-4-5*",),
        apis=_MESSAGES,
        max_output_tokens=64000,
        thinking="budget",
        values={"reasoning.effort": {"minimal": "low", "xhigh": "high", "max": "high"}},
    ),
    Profile(
        "claude-one-sampler",
        models=("*claude-opus-4-1*", "*claude-opus-4-5*", "*claude-sonnet-4-5*", "*claude-haiku-4-5*"),
        apis=_MESSAGES,
        # "temperature and top_p cannot both be specified for this model"
        conflicts=(("sampling.temperature", "sampling.top_p"),),
    ),
    Profile(
        "claude-4.6",
        models=("*claude-opus-4-6*", "*claude-sonnet-4-6*"),
        apis=_MESSAGES,
        max_output_tokens=128000,
        values={"reasoning.effort": {"minimal": "low", "xhigh": "high"}},
    ),
    Profile(
        "claude-adaptive",
        models=_ADAPTIVE_ONLY,
        apis=_MESSAGES,
        max_output_tokens=128000,
        thinking="adaptive",
        drop=_SAMPLERS,
        values={"reasoning.effort": {"minimal": "low"}},
    ),
    Profile(
        "claude-always-thinks",
        models=("*claude-fable-*", "*claude-mythos-*", "*claude-opus-5-5*"),
        apis=_MESSAGES,
        always_thinks=True,
    ),
    Profile(
        "claude-no-schema",
        models=("*claude-3-*", *_CLAUDE_4),
        apis=_MESSAGES,
        drop=("response_format",),
    ),
    Profile("claude-mythos-preview", models=("*claude-mythos-preview*",), apis=_MESSAGES, drop=_SAMPLERS),
)

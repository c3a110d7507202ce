"""OpenAI's models that reason. They take the place of sampling, and the newer the more.

Sources: OpenAI's guides to reasoning and to GPT-5 to 5.4 with their tables of compatible parameters, and
errors that users have reported, read 2026-11. `gpt-5-chat-*` does not reason and takes everything.
"""

from __future__ import annotations

from aigw.dialects.endpoints import Api
from aigw.upstream.profile import Profile

_SPOKEN = frozenset({Api.CHAT, Api.RESPONSES})
_CHAT = frozenset({Api.CHAT})
_RESPONSES = frozenset({Api.RESPONSES})
_O_SERIES = ("o1", "o1-*", "o3", "o3-*", "o4-*")
_GPT_5 = ("gpt-5", "gpt-5-*")
_NOT_REASONING = ("*-chat", "*-chat-*")
_SAMPLERS = ("sampling.temperature", "sampling.top_p", "sampling.logprobs", "sampling.top_logprobs")
_PENALTIES = ("sampling.presence_penalty", "sampling.frequency_penalty")

OPENAI = (
    Profile(
        "responses",
        apis=_RESPONSES,
        certain=False,
        # Whoever speaks another format brings the whole conversation along each time.
        defaults={"store": False},
    ),
    Profile(
        "openai-reasoning-kept",
        models=(*_O_SERIES, "gpt-5", "gpt-5-*", "gpt-5.*"),
        unless=_NOT_REASONING,
        apis=_RESPONSES,
        certain=False,
        # Without it reasoning that is not stored could not be sent back. Models that do not reason refuse it.
        defaults={"openresponses:include": ["reasoning.encrypted_content"]},
    ),
    Profile(
        "openai-chat",
        apis=_CHAT,
        certain=False,
        # "Image URLs are only allowed for messages with role 'user'"
        tool_text_only=True,
    ),
    Profile(
        "openai-o",
        models=_O_SERIES,
        apis=_SPOKEN,
        drop=(*_SAMPLERS, *_PENALTIES, "sampling.logit_bias", "parallel_tool_calls"),
        rename={"max_tokens": "max_completion_tokens"},
        values={"reasoning.effort": {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}},
    ),
    Profile(
        "openai-o-stop",
        models=("o3", "o3-*", "o4-*"),
        unless=("o3-mini*",),
        apis=_CHAT,
        drop=("sampling.stop",),
    ),
    Profile(
        "gpt-5",
        models=_GPT_5,
        unless=_NOT_REASONING,
        apis=_SPOKEN,
        drop=(*_SAMPLERS, *_PENALTIES, "sampling.logit_bias", "sampling.stop"),
        rename={"max_tokens": "max_completion_tokens"},
        values={"reasoning.effort": {"none": "minimal", "xhigh": "high", "max": "high"}},
    ),
    Profile(
        "gpt-5-pro",
        models=("gpt-5-pro", "gpt-5-pro-*"),
        apis=_SPOKEN,
        values={"reasoning.effort": {"none": "high", "minimal": "high", "low": "high", "medium": "high"}},
    ),
    Profile(
        "gpt-5.1",
        models=("gpt-5.1", "gpt-5.1-*", "gpt-5.2", "gpt-5.2-*", "gpt-5.4", "gpt-5.4-*"),
        unless=_NOT_REASONING,
        apis=_SPOKEN,
        drop=("sampling.stop",),
        drop_reasoning=(*_SAMPLERS, *_PENALTIES, "sampling.logit_bias"),
        rename={"max_tokens": "max_completion_tokens"},
        values={"reasoning.effort": {"minimal": "low"}},
    ),
    Profile(
        "gpt-5.1-at-rest",
        models=("gpt-5.1", "gpt-5.1-20*", "gpt-5.2", "gpt-5.2-20*", "gpt-5.4", "gpt-5.4-*"),
        unless=(*_NOT_REASONING, "*-pro", "*-pro-*"),
        apis=_SPOKEN,
        reasons=False,
    ),
    Profile(
        "gpt-5.5",
        models=("gpt-5.5", "gpt-5.5-*", "gpt-5.6", "gpt-5.6-*"),
        unless=_NOT_REASONING,
        apis=_SPOKEN,
        drop_reasoning=(*_SAMPLERS, *_PENALTIES, "sampling.logit_bias", "sampling.stop"),
        rename={"max_tokens": "max_completion_tokens"},
        values={"reasoning.effort": {"minimal": "low"}},
    ),
)

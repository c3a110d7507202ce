"""Providers that refuse a field whatever the model is, or know it under an older name.

Sources: the vendors' references, their pages on compatibility, and errors that users have reported, read
2026-11.
"""

from __future__ import annotations

from aigw.dialects.endpoints import Api
from aigw.upstream.profile import Profile

_CHAT = frozenset({Api.CHAT})
_OLD_LIMIT = {"max_completion_tokens": "max_tokens"}

HOSTS = (
    Profile(
        "mistral",
        providers=("mistral",),
        apis=_CHAT,
        # It answers 422 to every field that it does not know ("Extra inputs are not permitted").
        drop=(
            *("sampling.logprobs", "sampling.top_logprobs", "sampling.logit_bias"),
            *("store", "user", "safety_identifier", "service_tier", "verbosity", "modalities"),
            *("prompt_cache_key", "cache_retention"),
        ),
        rename={**_OLD_LIMIT, "seed": "random_seed"},
        roles={"developer": "system"},
    ),
    Profile(
        "deepseek",
        providers=("deepseek",),
        apis=_CHAT,
        rename=_OLD_LIMIT,
        roles={"developer": "system"},
    ),
    Profile(
        "deepseek-reasoner",
        models=("deepseek-reasoner*",),
        providers=("deepseek",),
        apis=_CHAT,
        drop=("sampling.logprobs", "sampling.top_logprobs"),
    ),
    Profile(
        "groq",
        providers=("groq",),
        apis=_CHAT,
        # It says of these that they "will result in a 400 error (yikes) if they are supplied".
        drop=(
            "sampling.logprobs",
            "sampling.top_logprobs",
            "sampling.logit_bias",
            "sampling.n",
            "items.name",
        ),
    ),
    Profile("ollama", providers=("ollama",), apis=_CHAT, certain=False, rename=_OLD_LIMIT),
)

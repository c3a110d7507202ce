"""What the well-known families of models refuse, as rows of data: one module for each maker.

Order matters where rows overlap: a later row lies over an earlier one. No row stands here that was not
read in the maker's documentation, or seen as an error by several users; what a model merely ignores is left
alone, for it refuses nothing.
"""

from __future__ import annotations

from aigw.upstream.profile import Profile
from aigw.upstream.profiles.anthropic import ANTHROPIC
from aigw.upstream.profiles.google import GOOGLE
from aigw.upstream.profiles.hosts import HOSTS
from aigw.upstream.profiles.openai import OPENAI
from aigw.upstream.profiles.xai import XAI

PROFILES: tuple[Profile, ...] = (*HOSTS, *OPENAI, *XAI, *ANTHROPIC, *GOOGLE)

"""The replay provider: records what a provider answers into files, and answers from them.

For tests: recorded once with a real provider, they run without a network and without a key. The files are
there to be read, compared and committed, so no secret is ever in one.
"""

from aigw.upstream.replay.options import ReplayOptions
from aigw.upstream.replay.provider import ReplayProvider

__all__ = ["ReplayOptions", "ReplayProvider"]

"""From the sections under [providers], and keys in the environment, to providers.

Knows no model, and nothing of what becomes of the providers.
"""

from aigw.providers.environment import DEMO, nowhere
from aigw.providers.every import make_providers

__all__ = ["DEMO", "make_providers", "nowhere"]

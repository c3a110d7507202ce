"""The chaos provider: stands in front of another one and spoils its answers, by chance or by script.

For tests: of a gateway's fallbacks, and of applications that must live with what providers do. The same
seed and the same calls give the same faults.
"""

from aigw.upstream.chaos.fault import Fault
from aigw.upstream.chaos.options import ChaosOptions
from aigw.upstream.chaos.provider import ChaosProvider

__all__ = ["ChaosOptions", "ChaosProvider", "Fault"]

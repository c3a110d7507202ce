"""The embedded demo provider: answers every OpenAI API without a network, a key or a model.

It exists so that `python -m aigw` answers before anybody has configured anything, and so that tests and
demonstrations can make an upstream slow, silent or broken on demand (see `steering`). It is honest: every
text says that no model wrote it. The same body always gets the same answer; only `created` follows the
clock.
"""

from aigw.upstream.demo.provider import DemoProvider

__all__ = ["DemoProvider"]

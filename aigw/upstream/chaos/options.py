"""What a section of `kind = "chaos"` may say in its `options`."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from aigw.config import checks
from aigw.config.checks import Wanted
from aigw.upstream.chaos.fault import Fault

_filled: Callable[[object, object, str], None] = checks.filled


@frozen
class ChaosOptions:
    """What goes wrong, and with which provider.

    of: the name of the provider that is wrapped.
    faults: each befalls a call by its own `rate`; several may befall the same one.
    script: one fault for each call, in order; when it has ended, calls pass. repeat: it begins again.
    seed: the same seed and the same calls give the same faults.
    """

    of: str = field(validator=_filled)
    faults: tuple[Fault, ...] = ()
    script: tuple[Fault, ...] = ()
    repeat: bool = False
    seed: int = 0

    def __attrs_post_init__(self) -> None:
        if self.faults and self.script:
            raise Wanted("faults or script, not both")

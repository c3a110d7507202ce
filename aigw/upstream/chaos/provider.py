"""`ChaosProvider`: which faults befall a call, and the count of them. How each is done is `injections`'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from random import Random

from aigw.errors import GatewayError
from aigw.upstream.chaos.bodies import WatchedAnswer
from aigw.upstream.chaos.fault import Fault
from aigw.upstream.chaos.injections import INJECTIONS, Case
from aigw.upstream.provider import Answer, BaseProvider, Call
from aigw.upstream.wrapper import WrapperProvider


class ChaosProvider(WrapperProvider):
    """Stands in front of a provider and spoils its answers, by chance (`faults`) or by script.

    faults, script: a `Fault`, or its kind alone. faults: each befalls a call by its own rate, the first
    outermost. script: one for each call, in order; when it has ended calls pass, or with `repeat` it begins
    again. Without either it only counts. Raises ValueError on both at once, or an unknown kind.

    calls: how many there were. passed: how often the provider behind was asked. running: how many are not
    over yet: still waiting, or with an answer that is not closed. injected: how often each kind was.
    """

    def __init__(  # noqa: PLR0913 - each is one setting, all optional
        self,
        provider: BaseProvider,
        *,
        name: str = "",
        faults: Iterable[Fault | str] = (),
        script: Iterable[Fault | str] = (),
        repeat: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(provider, name or f"{provider.name}-chaos")
        self._faults = _read(faults)
        self._script = _read(script)
        if self._faults and self._script:
            raise ValueError("got faults and script, wanted one of them")
        self._repeat = repeat
        self._dice = Random(seed)  # noqa: S311 - it plays accidents and guards no secret
        self.calls = 0
        self.passed = 0
        self.running = 0
        self.injected: Counter[str] = Counter()

    async def call(self, call: Call) -> Answer:
        self.calls += 1
        faults = self._next()
        self.injected.update(fault.kind for fault in faults)
        proceed = self._asker(call)
        for fault in reversed(faults):
            proceed = partial(_spoil, Case(call, fault, proceed, self._dice))
        self.running += 1
        try:
            answer = await proceed()
        except BaseException as error:
            self._over()
            if isinstance(error, GatewayError) and error.provider is None:
                error.provider = self.name
            raise
        return WatchedAnswer(answer, self._over)

    def _next(self) -> tuple[Fault, ...]:
        """Say what befalls the present call. Every die is thrown, so that none shifts another's."""
        if self._script:
            number = self.calls - 1
            number = number % len(self._script) if self._repeat else number
            planned = self._script[number : number + 1]
        else:
            planned = self._faults
        return tuple(fault for fault in planned if self._dice.random() < fault.rate)

    def _asker(self, call: Call) -> Callable[[], Awaitable[Answer]]:
        async def ask() -> Answer:
            self.passed += 1
            return await self.wraps[0].call(call)

        return ask

    def _over(self) -> None:
        self.running -= 1


async def _spoil(case: Case) -> Answer:
    return await INJECTIONS[case.fault.kind](case)


def _read(faults: Iterable[Fault | str]) -> tuple[Fault, ...]:
    return tuple(Fault.from_text(fault) if isinstance(fault, str) else fault for fault in faults)

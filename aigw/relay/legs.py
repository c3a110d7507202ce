"""What one of several joined streams has cost: as its provider told it, or as far as it can be guessed.

Owns the estimate, and that it is marked as one. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve

from aigw.model import Usage

CHARS_PER_TOKEN = 4
ESTIMATED = "aigw:estimated"
"""Key among a usage's extras: the names of the counts that are guesses, for whoever bills by them."""


@define(eq=False)
class Leg:
    """One stream of an answer that has several.

    guess: returns an estimate of its prompt's tokens. chars: how much it has said. told: what its provider
    counted last. ended: it has come to its own end, so that what was told is final.
    """

    guess: Callable[[], int]
    told: Usage | None = None
    chars: int = 0
    ended: bool = False

    def counted(self) -> Usage:
        """Return its token counts: a stream that broke off has cost what it said at least."""
        told = self.told
        if told is not None and self.ended:
            return told
        guessed: list[str] = []
        usage = told or Usage()
        if not usage.input_tokens:
            usage = evolve(usage, input_tokens=self.guess(), total_tokens=None)
            guessed.append("input_tokens")
        said = -(-self.chars // CHARS_PER_TOKEN)
        if said > usage.output_tokens:
            usage = evolve(usage, output_tokens=said, total_tokens=None)
            guessed.append("output_tokens")
        return evolve(usage, extras={**usage.extras, ESTIMATED: guessed}) if guessed else usage

"""Token counts, in one meaning for all formats."""

from __future__ import annotations

from attrs import field, frozen

from aigw.model.extras import Extras


@frozen
class Usage:
    """What an answer cost, in tokens.

    input_tokens: the whole prompt, cached parts included. cached_tokens and cache_write_tokens are
        parts of it, as audio_input_tokens is.
    output_tokens: the whole answer, reasoning_tokens and audio_output_tokens included.
    total_tokens: only where the provider's own total is known; `total` always has an answer.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    total_tokens: int | None = None
    extras: Extras = field(factory=dict)

    @property
    def total(self) -> int:
        """The provider's total, or input plus output."""
        if self.total_tokens is None:
            return self.input_tokens + self.output_tokens
        return self.total_tokens

    def updated(self, later: Usage) -> Usage:
        """The counts of one stream after it told more: what the later ones leave out stands as it was."""
        return Usage(
            input_tokens=later.input_tokens or self.input_tokens,
            output_tokens=later.output_tokens or self.output_tokens,
            cached_tokens=later.cached_tokens or self.cached_tokens,
            cache_write_tokens=later.cache_write_tokens or self.cache_write_tokens,
            reasoning_tokens=later.reasoning_tokens or self.reasoning_tokens,
            audio_input_tokens=later.audio_input_tokens or self.audio_input_tokens,
            audio_output_tokens=later.audio_output_tokens or self.audio_output_tokens,
            total_tokens=later.total_tokens,
            extras={**self.extras, **later.extras},
        )

    def __add__(self, other: Usage) -> Usage:
        """Both together; extras of the right side win."""
        known = self.total_tokens is not None or other.total_tokens is not None
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            audio_input_tokens=self.audio_input_tokens + other.audio_input_tokens,
            audio_output_tokens=self.audio_output_tokens + other.audio_output_tokens,
            total_tokens=self.total + other.total if known else None,
            extras={**self.extras, **other.extras},
        )

"""How hard to think, in the one word OpenAI's formats have for it."""

from __future__ import annotations

from aigw.model import ReasoningOptions

# Google's own OpenAI endpoint counts 1024 tokens for "low", 8192 for "medium" and 24576 for "high" (guide to
# OpenAI compatibility, read 2026-11). "minimal" counts as "low" there, and many a model knows no "minimal".
_BUDGETS = ((0, "none"), (1024, "low"), (8192, "medium"))
_ABOVE = "high"


def effort_of(options: ReasoningOptions) -> str | None:
    """Return the effort that was asked for, or the one nearest to what was; None leaves it to the model.

    A caller who names a budget alone, as Anthropic's and Gemini's do, gets the effort that stands for it:

        no tokens "none", up to 1024 "low", up to 8192 "medium", any more "high"

    A negative budget is Gemini's way to leave it to the model.
    """
    if options.effort is not None:
        return options.effort
    if options.enabled is False:
        return "none"
    budget = options.budget_tokens
    if budget is None or budget < 0:
        return None
    return next((effort for limit, effort in _BUDGETS if budget <= limit), _ABOVE)

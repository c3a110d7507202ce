"""How targets and keys are, as rows for a listing and for metrics.

Owns the shape. Names keys by their names, never by their secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

from aigw.routing.breaker import Circuit
from aigw.routing.health import HealthBoard, TargetState
from aigw.upstream.http import Provider
from aigw.upstream.provider import BaseProvider
from aigw.upstream.registry import ModelRegistry


def condition(state: TargetState, now: float) -> str:
    """Return one word for a target: closed, open, half_open or parked."""
    if state.breaker.circuit is Circuit.CLOSED and now < state.parked_until:
        return "parked"
    return state.breaker.circuit.value


def target_rows(board: HealthBoard, models: ModelRegistry, now: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each target that a model leads to, or that was asked."""
    served: dict[str, list[str]] = {}
    for entry in models.entries:
        if not entry.is_pattern:
            for target in entry.targets:
                served.setdefault(target.name, []).append(entry.name)
    for name in sorted({*served, *board.states}):
        state = board.states.get(name)
        row: dict[str, Any] = {"target": name, "models": served.get(name, []), "state": "closed"}
        yield row if state is None else {**row, **_seen(state, now)}


def _seen(state: TargetState, now: float) -> dict[str, Any]:
    returns_at = state.returns_at(now)
    return {
        "state": condition(state, now),
        "note": state.trouble(now),
        "returns_in_s": None if returns_at == inf else round(returns_at - now, 3),
        "weight_share": round(state.share(now), 3),
        "in_flight": state.in_flight,
        "error_rate": round(state.breaker.error_rate(now), 4),
        "consecutive_failures": state.breaker.consecutive,
        "first_token_s": _rounded(state.streams.average_s),
        "first_byte_s": _rounded(state.wholes.average_s),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def key_rows(providers: Iterable[BaseProvider], now: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each key of each provider that has several."""
    for provider in providers:
        if isinstance(provider, Provider) and provider.keys is not None:
            for pooled in provider.keys.keys:
                parked_s = max(0.0, pooled.parked_until - now)
                yield {
                    "provider": provider.name,
                    "key": pooled.key.name,
                    "state": "parked" if parked_s else "ready",
                    "returns_in_s": round(parked_s, 3),
                    "note": pooled.reason if parked_s else "",
                }

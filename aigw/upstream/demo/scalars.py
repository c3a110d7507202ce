"""Numbers and strings that obey a JSON schema's bounds. Pure; `schema` does the rest."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
from math import ceil, floor
from typing import Any

MAX_LENGTH = 100_000

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/demo",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


class Unsatisfiable(Exception):  # noqa: N818 - a finding about a schema, not a failure of the code
    """No instance of this schema was found."""


def is_of_type(value: object, name: object) -> bool:
    """Say whether a value has the JSON type of that name. true is no number, 1.0 is an integer."""
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(str(name), ()))


def string(rules: dict[str, Any]) -> str:
    """Return "demo", or an example of the format, stretched or cut to the lengths allowed."""
    text = _FORMATS.get(str(rules.get("format")), "demo")
    least, most = (_bound(rules, name) for name in ("minLength", "maxLength"))
    if least is not None and least > MAX_LENGTH:
        raise Unsatisfiable(f"minLength {least} is too large for a demonstration")
    if least is not None and len(text) < least:
        text += " demo" * (ceil(least) // 5 + 1)
        text = text[: ceil(least)]
    return text if most is None else text[: max(0, floor(most))]


def number(rules: dict[str, Any], *, whole: bool) -> int | float:
    """Return a number within the bounds: 0 where that is allowed, else one near a bound."""
    low, high = _bound(rules, "minimum"), _bound(rules, "maximum")
    over, under = _bound(rules, "exclusiveMinimum"), _bound(rules, "exclusiveMaximum")
    # In draft 4 these two are switches of the other two.
    over = low if rules.get("exclusiveMinimum") is True else over
    under = high if rules.get("exclusiveMaximum") is True else under
    lows = [bound for bound in (low, over) if bound is not None]
    highs = [bound for bound in (high, under) if bound is not None]
    step = _step(rules, whole=whole)
    for value in chain((Fraction(0),), _near(lows, highs, step)):
        inside = (
            (low is None or value >= low)
            and (high is None or value <= high)
            and (over is None or value > over)
            and (under is None or value < under)
        )
        if inside and (step is None or value % step == 0):
            return int(value) if value.denominator == 1 else float(value)
    raise Unsatisfiable("no number is within the bounds")


def _near(lows: list[Fraction], highs: list[Fraction], step: Fraction | None) -> list[Fraction]:
    """Return numbers worth trying: on the bounds, next to them, between them."""
    unit = step or Fraction(1)
    found: list[Fraction] = []
    for bound in lows and [max(lows)]:
        start = ceil(bound / unit) * unit if step else bound
        found += [start, start + unit]
    for bound in highs and [min(highs)]:
        end = floor(bound / unit) * unit if step else bound
        found += [end, end - unit]
    if lows and highs:
        found.append((max(lows) + min(highs)) / 2)
    return found


def _step(rules: dict[str, Any], *, whole: bool) -> Fraction | None:
    step = _bound(rules, "multipleOf")
    if step is None or step <= 0:
        return Fraction(1) if whole else None
    # The smallest multiple of p/q that is an integer is p.
    return Fraction(step.numerator) if whole else step


def _bound(rules: dict[str, Any], name: str) -> Fraction | None:
    value = rules.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return Fraction(str(value))  # through its text: 0.1 shall be a tenth
    except ValueError:
        return None

"""Single values by their type: text, secret, path, true or false, numbers, one of a choice.

Each reader returns the value, or adds one problem to its place and returns `FAILED`. Only what was
interpolated is converted from text: an environment knows nothing else, a file does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, get_args

from aigw.config.interpolate import FAILED
from aigw.config.place import Place
from aigw.config.secrets import Interpolated, Secret

_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False}
_TRUTHS |= {"off": False, "0": False}


def read_text(value: object, place: Place) -> object:
    """Return plain text, without the mark that it was interpolated."""
    if isinstance(value, str):
        return str(value)
    quotable = value is not None and not isinstance(value, Mapping | list | tuple)
    place.refuse(value, "text (in quotes)" if quotable else "text")
    return FAILED


def read_secret(value: object, place: Place) -> object:
    """Return a Secret made of text."""
    if isinstance(value, Secret):
        return value
    text = read_text(value, place.secret())
    return Secret(text) if isinstance(text, str) else FAILED


def read_path(value: object, place: Place) -> object:
    """Return a Path made of text."""
    if isinstance(value, Path):
        return value
    text = read_text(value, place)
    return Path(text) if isinstance(text, str) else FAILED


def read_truth(value: object, place: Place) -> object:
    """Return True or False; interpolated text may also say yes, no, on, off, 1 and 0."""
    truth = _TRUTHS.get(value.strip().lower()) if isinstance(value, Interpolated) else value
    if isinstance(truth, bool):
        return truth
    place.refuse(value, "true or false")
    return FAILED


def read_whole(value: object, place: Place) -> object:
    """Return an int; true and false are none."""
    number = _converted(int, value)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    place.refuse(value, "a whole number")
    return FAILED


def read_number(value: object, place: Place) -> object:
    """Return a finite float, also for a whole number."""
    number = _converted(float, value)
    if isinstance(number, int | float) and not isinstance(number, bool):
        try:
            number = float(number)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    place.refuse(value, "a finite number")
    return FAILED


def read_choice(kind: object, value: object, place: Place) -> object:
    """Return the member of a Literal that the value is."""
    choices = get_args(kind)
    for choice in choices:
        if type(choice) in {type(value), str} and choice == value:
            return choice
    names = [str(choice) for choice in choices]
    place.refuse(value, f"one of {', '.join(names)}", names)
    return FAILED


def _converted(kind: Callable[[str], object], value: object) -> object:
    if not isinstance(value, Interpolated):
        return value
    try:
        return kind(value)
    except ValueError:
        return value


SCALARS: Final[Mapping[object, Callable[[object, Place], object]]] = {
    str: read_text,
    Secret: read_secret,
    Path: read_path,
    bool: read_truth,
    int: read_whole,
    float: read_number,
}

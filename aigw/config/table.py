"""One attrs class from one table: keys to fields, defaults, converters, validators.

Owns what makes a class's own checks speak with a path. Its caller hands in how a value is built by
type, so that neither knows the other's half of the recursion.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import attrs

from aigw.config.checks import Wanted
from aigw.config.interpolate import FAILED
from aigw.config.kinds import hints_of, holds_secret, wanted_by
from aigw.config.place import Place, did_you_mean, quote, show
from aigw.config.redact import redact

Build = Callable[[object, object, Place], object]
_Field: TypeAlias = "attrs.Attribute[object]"


def build_table(cls: type, table: Mapping[str, object], place: Place, build: Build) -> object:
    """Return an instance; a salvage of it, with defaults for what is wrong; or FAILED.

    The salvage has not run `__attrs_post_init__`. FAILED is returned when a required field is missing.
    """
    return _Table(cls, table, place, build).make()


def told(make: Callable[[], object], value: object, place: Place) -> object:
    """Call a converter, validator or constructor; add what it raises to the place and return FAILED."""
    try:
        return make()
    except Wanted as mistake:
        _tell(mistake, value, place)
    except (ValueError, TypeError) as error:
        seen = show(value, hidden=place.hidden)
        reason = "" if place.hidden else f": {redact(str(error.args[0] if error.args else ''), value)}"
        place.say(f"got {seen}, which its check refused{reason}")
    return FAILED


def _tell(mistake: Wanted, value: object, place: Place) -> None:
    if mistake.wanted and isinstance(value, Mapping):
        place.say(f"wanted {mistake.wanted}")
    elif mistake.wanted:
        place.refuse(value, mistake.wanted)
    for key, inner in mistake.inside:
        if isinstance(value, Mapping) and isinstance(key, str):
            _tell(inner, value.get(key), place.key(key))
        elif isinstance(value, list | tuple) and isinstance(key, int):
            _tell(inner, value[key], place.item(key))


class _Table:
    def __init__(self, cls: type, table: Mapping[str, object], place: Place, build: Build) -> None:
        self.cls, self.table, self.place, self.build = cls, table, place, build
        self.hints = hints_of(cls)
        fields = [field for field in attrs.fields(cls) if field.init]
        self.named: dict[str, _Field] = {f.alias or f.name: f for f in fields if not f.metadata.get("rest")}
        self.rest: _Field | None = next((f for f in fields if f.metadata.get("rest")), None)
        # Validators may look at other fields: they get an instance that was not validated.
        self.draft: object = object.__new__(cls)
        self.given: dict[str, object] = {}
        self.sound: list[tuple[_Field, object, Place]] = []
        self.flawed = False

    def make(self) -> object:
        self.unknown_keys()
        usable = True
        for name, field in self.named.items():
            if name in self.table:
                self.field(field, self.table[name], self.place.key(name))
            elif field.default is attrs.NOTHING:
                self.place.key(name).say(f"missing, wanted {wanted_by(self.hints[field.name])}")
                self.flawed = True
            usable = self.default(field) and usable
        if self.rest is not None:
            left = {key: item for key, item in self.table.items() if key not in self.named}
            self.field(self.rest, left, self.place)
            self.default(self.rest)
        self.validate()
        if not self.flawed:
            made = told(lambda: self.cls(**self.given), self.table, self.place)
            return self.draft if made is FAILED else made
        return self.draft if usable else FAILED

    def unknown_keys(self) -> None:
        if self.rest is not None:
            return
        for key in self.table:
            if key not in self.named:
                hint = did_you_mean(key, self.named)
                known = "" if hint else f", wanted one of {', '.join(self.named)}"
                self.place.say(f"unknown key {quote(key)}{known}{hint}")

    def field(self, field: _Field, value: object, place: Place) -> None:
        """Build one field; keep it for validation when nothing in it was wrong, or no item is lacking."""
        before = len(place.problems)
        kind, convert = accepted(field, self.hints[field.name])
        built = self.build(kind, value, place)
        self.given[field.alias or field.name] = built
        if built is not FAILED and convert is not None:
            built = told(lambda: convert(built), value, place)
        if built is not FAILED:
            object.__setattr__(self.draft, field.name, built)
        if len(place.problems) > before or built is FAILED or has_failed(value):
            self.flawed = True
            if not is_complete(built, value):
                return
        self.sound.append((field, value, place))

    def default(self, field: _Field) -> bool:
        """Fill the draft where nothing usable was given; tell whether it is filled."""
        if hasattr(self.draft, field.name):
            return True
        default = field.default
        if default is attrs.NOTHING:
            return False
        factory = getattr(default, "factory", None)
        if factory is not None:
            default = factory(self.draft) if getattr(default, "takes_self", False) else factory()
        object.__setattr__(self.draft, field.name, default)
        return True

    def validate(self) -> None:
        for field, value, place in self.sound:
            if field.validator is None:
                continue
            built = getattr(self.draft, field.name)
            hidden = place.secret() if holds_secret(self.hints[field.name]) else place
            check = partial(field.validator, self.draft, field, built)
            if told(check, value, hidden) is FAILED:
                self.flawed = True


def accepted(field: _Field, hint: object) -> tuple[object, Callable[[object], object] | None]:
    """Return the type that may be given for a field, and its converter where that is a function."""
    convert: object = field.converter
    if not isinstance(convert, types.FunctionType):
        return hint, None
    parameters = (given for name, given in hints_of(convert).items() if name != "return")
    return next(parameters, hint), convert


def has_failed(tree: object) -> bool:
    """Tell whether an interpolation failed somewhere in a tree."""
    if isinstance(tree, Mapping):
        return any(map(has_failed, tree.values()))
    return any(map(has_failed, tree)) if isinstance(tree, list | tuple) else tree is FAILED


def is_complete(built: object, value: object) -> bool:
    """Tell whether a list or table was built with all its items, though some may be salvages."""
    if isinstance(built, tuple | list) and isinstance(value, tuple | list):
        return len(built) == len(value)
    return isinstance(built, dict) and isinstance(value, Mapping) and built.keys() == value.keys()

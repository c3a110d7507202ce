"""From a tree to an attrs class, and the line that every mistake gets."""

from pathlib import Path
from typing import Literal

import attrs
import pytest
from attrs import field, frozen, validators

from aigw.config import REST, Check, Secret, Wanted, structure


@frozen
class Inner:
    size: int = field(validator=validators.ge(1))
    name: str = "x"


@frozen
class Outer:
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    names: list[str] = field(factory=list)
    by_name: dict[str, Inner] = field(factory=dict)
    mode: Literal["fast", "slow"] = "fast"
    ratio: float = 0.5
    flag: bool = False
    either: int | str = 0
    file: Path = Path()
    dsn: Secret | None = None
    anything: object = None
    _private: int = 0


def mistakes(cls, tree):
    problems = []
    assert structure(cls, tree, "p", problems) is None
    return problems


def test_a_sound_tree_becomes_an_instance():
    problems = []
    tree = {
        "inner": {"size": 1},
        "many": [{"size": 2, "name": "y"}],
        "names": ["a"],
        "by_name": {"k": {"size": 3}},
        "mode": "slow",
        "ratio": 1,
        "flag": True,
        "either": "text",
        "file": "a/b",
        "dsn": "s",
        "anything": {"a": [1]},
        "private": 4,
    }
    made = structure(Outer, tree, "p", problems)
    assert problems == []
    assert made == Outer(
        Inner(1), (Inner(2, "y"),), ["a"], {"k": Inner(3)}, "slow", 1.0, True, "text", Path("a/b"),
        Secret("s"), {"a": [1]}, 4,
    )  # fmt: skip
    assert isinstance(made.ratio, float)


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ({"flagg": True}, 'p: unknown key "flagg"; did you mean "flag"?'),
        ({"mode": "fats"}, 'p.mode: got "fats", wanted one of fast, slow; did you mean "fast"?'),
        ({"mode": 3}, "p.mode: got 3, wanted one of fast, slow"),
        ({"inner": {}}, "p.inner.size: missing, wanted a whole number"),
        ({"inner": {"size": True}}, "p.inner.size: got true, wanted a whole number"),
        ({"inner": {"size": 1.0}}, "p.inner.size: got 1.0, wanted a whole number"),
        ({"inner": 3}, "p.inner: got 3, wanted a table"),
        ({"many": {"size": 1}}, "p.many: got a table, wanted a list"),
        ({"many": [{"size": 1}, "x"]}, 'p.many[1]: got "x", wanted a table'),
        ({"names": "ab"}, 'p.names: got "ab", wanted a list'),
        ({"names": ["a", 3]}, "p.names[1]: got 3, wanted text (in quotes)"),
        ({"names": ["a", None]}, "p.names[1]: got nothing, wanted text"),
        ({"by_name": {"a.b": []}}, 'p.by_name."a.b": got an empty list, wanted a table'),
        ({"by_name": {1: {"size": 1}}}, "p.by_name: a key is a number, wanted text (in quotes)"),
        ({"ratio": float("nan")}, "p.ratio: got nan, wanted a finite number"),
        ({"ratio": 10**400}, "p.ratio: got a number, wanted a finite number"),
        ({"ratio": False}, "p.ratio: got false, wanted a finite number"),
        ({"flag": 1}, "p.flag: got 1, wanted true or false"),
        ({"flag": "true"}, 'p.flag: got "true", wanted true or false'),
        ({"either": []}, "p.either: got an empty list, wanted a whole number or text"),
        ({"mode": "@cf/a?b"}, 'p.mode: got "@cf/a?b", wanted one of fast, slow'),
        ({"mode": "u:p@host"}, 'p.mode: got "u:***@host", wanted one of fast, slow'),
        ({"mode": "http://u:p?@q@h/?k=1"}, 'p.mode: got "http://***@h/?***", wanted one of fast, slow'),
        ({"dsn": 1234}, "p.dsn: got *** (a number), wanted text (in quotes)"),
    ],
)
def test_a_mistake_is_one_line_of_path_value_seen_and_value_wanted(tree, line):
    assert mistakes(Outer, tree) == [line]


def test_every_mistake_is_found_at_once():
    assert len(mistakes(Outer, {"a": 1, "inner": {"size": "x", "nam": 1}, "many": [3, {}], "flag": 0})) == 6


def test_validators_of_attrs_and_of_plugins_tell_their_own_message():
    (line,) = mistakes(Inner, {"size": 0})
    assert line == "p.size: got 0, which its check refused: 'size' must be >= 1: 0"

    even = Check("an even number", lambda value: value % 2 == 0)

    @frozen
    class Even:
        numbers: int = field(validator=even)
        other: int = field(default=0)

        @other.validator
        def _above(self, attribute, value):
            if value <= self.numbers:
                raise Wanted("more than numbers")

    assert mistakes(Even, {"numbers": 3, "other": 1}) == [
        "p.numbers: got 3, wanted an even number",
        "p.other: got 1, wanted more than numbers",
    ]


def test_checks_of_a_whole_class_are_told_at_its_table():
    @frozen
    class Both:
        a: int = 0
        b: int = 0

        def __attrs_post_init__(self):
            if self.a > self.b:
                raise ValueError(f"a {self.a} above b")

    assert mistakes(Both, {"a": 1}) == ["p: got a table, which its check refused: a 1 above b"]


@pytest.mark.parametrize(
    "tree",
    [
        {"dsn": 1, "api_key": ["hunter22"]},
        {"dsn": ["hunter22"]},
        {"dsn": "hunter22"},
        {"plain": 1, "password": {"x": "hunter22"}},
        {"creds": ["hunter22"]},
        {"creds": "hunter22"},
        {"creds": [{"hidden": ["hunter22"]}]},
        {"tokens": "hunter22"},
        {"fussy_secret": "hunter22"},
        {"fussy": {"token": "hunter22"}},
        {"url": "http://user:hunter22@host/?k=hunter22"},
    ],
)
def test_secrets_never_stand_in_a_problem(tree):
    def refuse(instance, attribute, value):
        raise ValueError(f"cannot use {value!r}")

    def refuse_revealed(instance, attribute, value):
        raise ValueError(f"cannot use {value.reveal()}")

    @frozen
    class Cred:
        hidden: Secret

    @frozen
    class Holder:
        dsn: Secret = field(default=Secret(""), validator=refuse_revealed)
        api_key: str = ""
        password: str = ""
        creds: tuple[Cred, ...] = ()
        tokens: tuple[int, ...] = ()
        fussy_secret: str = field(default="", validator=refuse)
        fussy: dict[str, str] = field(factory=dict, validator=refuse)
        url: int = 0

    lines = mistakes(Holder, tree)
    assert lines
    assert "hunter22" not in "\n".join(lines)


def test_keys_left_over_go_to_the_rest_field():
    @frozen
    class Open:
        known: int = 0
        others: dict[str, int] = field(factory=dict, metadata=REST)

    assert structure(Open, {"known": 1, "a": 2, "others": 3}, "p", []) == Open(1, {"a": 2, "others": 3})
    assert mistakes(Open, {"a": "x"}) == ['p.a: got "x", wanted a whole number']


def test_fields_that_are_not_set_from_outside_are_unknown_keys():
    @attrs.define
    class Stateful:
        a: int = 0
        state: int = field(init=False, default=7)

    assert structure(Stateful, {"a": 1}, "p", []).state == 7
    assert "unknown key" in mistakes(Stateful, {"state": 1})[0]


def test_a_type_that_no_file_can_hold_is_the_programmers_mistake():
    @frozen
    class Odd:
        a: complex = 0j

    with pytest.raises(TypeError, match="complex"):
        structure(Odd, {"a": 1}, "p", [])

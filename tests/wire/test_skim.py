"""The ends of a large object: exact, or refused."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw.wire.skim import skim

WANTED = frozenset({"model", "stream", "stream_options"})
BIG = [{"role": "user", "content": 'She said "model": \\ and left, [1], {"model": 1}'}] * 9
NAMES = ["model", "stream", "stream_options", "messages", "tools", "n", "x y", "é", "", "stop", "input"]


def spelled(text):
    """Spell a string in any of the ways that JSON has."""
    plain = st.just(json.dumps(text, ensure_ascii=False))
    return st.one_of(plain, plain, plain, escaped(text))


def escaped(text):
    flags = st.lists(st.booleans(), min_size=len(text), max_size=len(text))
    return flags.map(
        lambda some: (
            '"'
            + "".join(
                f"\\u{ord(c):04x}" if flag and ord(c) < 0x10000 else json.dumps(c, ensure_ascii=False)[1:-1]
                for c, flag in zip(text, some, strict=True)
            )
            + '"'
        )
    )


CASES = ["Model", "MODEL", "Stream", "\u017ftream", "mode", "models"]
KEYS = st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(CASES)).flatmap(spelled)
PIECES = [
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"model"',
    '],"model":"evil"',
    "é",
    "\n",
    " ",
    "model",
    "]}",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join).flatmap(spelled)
NUMBERS = st.sampled_from(["0", "1.50", "-1e5", "12345678901234567890123", "1E+2", "true", "false", "null"])
SPACE = st.sampled_from(["", "", "", "", " ", "\n", "\t \r\n"])


def listed(opener, closer, inner):
    return st.tuples(SPACE, st.lists(inner, max_size=3)).map(
        lambda t: opener + t[0] + f"{t[0]},{t[0]}".join(t[1]) + t[0] + closer
    )


def pair(value):
    return st.tuples(KEYS, SPACE, SPACE, value).map(lambda t: f"{t[0]}{t[1]}:{t[2]}{t[3]}")


VALUES = st.recursive(
    st.one_of(TEXTS, NUMBERS),
    lambda inner: st.one_of(listed("[", "]", inner), listed("{", "}", pair(inner))),
    max_leaves=3,
)
MEMBERS = st.lists(st.tuples(SPACE, KEYS, SPACE, SPACE, VALUES, SPACE).map(list), min_size=1, max_size=5)
PADS = st.sampled_from([0, 0, 700, 3000])


def written(members):
    return ("{" + ",".join("{}{}{}:{}{}{}".format(*member) for member in members) + "}").encode()


def padded(members, pad, at):
    """Make one of the values long, in an array of texts that look like the end of one."""
    if pad:
        text = json.dumps('], "model": "evil", [')
        members[at % len(members)][4] = "[" + ",".join([text] * (pad // len(text))) + "]"
    return members


ALL = st.builds(padded, MEMBERS, PADS, st.integers(0, 4))


@settings(max_examples=80)
@given(ALL)
def test_what_is_told_is_what_a_full_parse_tells(members):
    raw = written(members)
    told = skim(raw, WANTED)
    if told is None:
        return
    pairs = json.loads(raw, object_pairs_hook=lambda found: found)
    tree = orjson.loads(raw)
    assert told.fields == {name: tree[name] for name in WANTED & tree.keys()}
    spellings = [name for name, _ in pairs if name.casefold() in WANTED]
    assert sorted(spellings) == sorted(told.fields)


@settings(max_examples=80)
@given(ALL, st.dictionaries(st.sampled_from(sorted(WANTED)), st.sampled_from(["é", 1.5, None, {"a": [1]}])))
def test_changes_leave_every_other_byte(members, changes):
    raw = written(members)
    told = skim(raw, WANTED)
    made = None if told is None else told.with_changes(changes)
    if made is None:
        return
    wanted = [list(member) for member in members]
    added = dict(changes)
    for member in wanted:
        name = json.loads(member[1])
        if name in changes:
            member[4] = orjson.dumps(added.pop(name)).decode()
    wanted += [
        ["", json.dumps(name), "", "", orjson.dumps(value).decode(), ""] for name, value in added.items()
    ]
    assert made == written(wanted)
    assert orjson.loads(made) == {**orjson.loads(raw), **changes}


SMALL = {"model": "m", "stream": True, "stream_options": {"a": {"b": [1]}}, "n": 1.0}
TOOLS = [
    {"name": f"t{n}", "schema": {"required": ["a"], "properties": {"model": {"type": "string"}}}}
    for n in range(50)
]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n ", " :\t")])
@pytest.mark.parametrize(
    "tree",
    [
        {**SMALL, "messages": BIG},
        {"messages": BIG, **SMALL},
        {"tools": BIG * 9, "messages": BIG * 9, **SMALL},
        {**SMALL, "messages": BIG * 9, "tools": TOOLS, "x": [], "y": {"z": [1]}},
        {"model": "m", "messages": BIG * 9, "system": "s", "tools": BIG, "stream": False},
        {
            "stop": ["a"],
            "model": "m",
            "messages": BIG * 9,
            "metadata": {"a": [1, {"b": "c"}]},
            "stream": True,
        },
        {"model": "m", "input": "long " * 2000, "stream": True},
        {"input": 'lo"ng ' * 30 + "\\" + "x" * 9000 + "\\", "model": "m"},
        {"messages": BIG * 9, "model": "m"},
        {"model": "m", "messages": BIG * 9},
        {"x": 1, "messages": ["[1]"] * 3000, "model": "m"},
    ],
)
def test_small_fields_are_found_at_either_end(tree, separators):
    around = separators[0].replace(",", "")
    raw = (around + json.dumps(tree, separators=separators) + around).encode()
    told = skim(raw, WANTED)
    assert told is not None
    assert told.fields == {name: tree[name] for name in tree if name in WANTED}
    made = told.with_changes({"model": "other", "stream_options": {"include_usage": True}})
    assert orjson.loads(made) == {**tree, "model": "other", "stream_options": {"include_usage": True}}
    assert [*orjson.loads(made)][: len(tree)] == [*tree]


FILL = '"messages":[' + ",".join(['{"content":"[x]"}'] * 900) + "]"
FEW_ENDS = '"messages":["' + "x" * 16_000 + '"]'
"""Each of its `]` is looked at by itself; of the many in the other one, all are at once."""


@pytest.mark.parametrize(
    "field",
    [
        '"model":"evil"',
        '"Model":"evil"',
        '"MODEL" : "evil"',
        '"\\u006dodel":"evil"',
        '"mod\\u0065l":"evil"',
        '"\\u004dodel":"evil"',
        '"a":"b","model":"evil"',
        '"a":{"b":{"c":["d"]}},"n" : 1,\n"model":"evil"',
        '"a":"]","model":"evil"',
        '"a":"[\\"","model":"evil"',
        '"a":{"b":{"c":{"d":{"e":{"f":{"g":1}}}}}},"model":"evil"',
        '"\u017ftream":true',
        "'model':'evil'",
        'model:"evil"',
        "MODEL : 'evil'",
        '/**/"model":"evil"',
        '//\n"model":"evil"',
        '#\n"model":"evil"',
        '"a":1/**/,"model":"evil"',
        '"a":1,model:"evil"',
    ],
)
@pytest.mark.parametrize("known", ['"model":"m"', '"n":1'])
@pytest.mark.parametrize("fill", [FILL, FEW_ENDS], ids=["many", "few"])
def test_another_field_that_might_be_a_wanted_one_is_refused_between_large_ones(field, known, fill):
    other = fill.replace("messages", "tools")
    for raw in (f"{{{known},{fill},{field},{other}}}", f"{{{fill},{field},{other},{known}}}"):
        assert skim(raw.encode(), WANTED) is None
        assert skim(raw.replace(field, '"fine":1').encode(), WANTED) is not None


@pytest.mark.parametrize(
    "raw",
    [
        '{"model":"a","model":"b",BIG}',
        '{"model":"a",BIG,"model":"b"}',
        '{BIG,"model":"a","model":"b"}',
        '{"model":"a",BIG,"Model":"b"}',
        '{"Model":"a",BIG}',
        '{BIG,"\\u006dodel":"b"}',
        '{"mod\\u0065l":"b",BIG}',
        '{"mod\\u0065l":"b","x":{"model":"a"},BIG}',
        '{BIG,"x":{"model":"a"},"mod\\u0065l":"b"}',
        '{"model":"a",BIG,}',
        '{"model":"a",BIG',
        '{"model":"a",BIG}}',
        '{"model":"a",BIG} x',
        '{"model":"a" BIG}',
        '{"model":NaN,BIG}',
        '{BIG,"model":NaN}',
        '{BIG,"n":1/**/,"model":"a"}',
        "{BIG,'model':'a'}",
        "[BIG]",
        "[{BIG}]",
        '"model"',
        "",
        "{}",
        '{"model":"a"}',
        "\ufeff{BIG}",
    ],
)
def test_an_end_that_is_broken_or_ambiguous_is_refused(raw):
    assert skim(raw.replace("BIG", FILL).encode(), WANTED) is None


def test_the_large_field_itself_cannot_be_asked_for():
    raw = ("{" + FILL + ',"model":"m"}').encode()
    assert skim(raw, {"messages"}) is None
    assert skim(raw.replace(b"messages", b"Messages"), {"messages"}) is None


def test_a_field_that_was_not_asked_for_is_no_answer():
    told = skim(('{"model":"m","n":1,' + FILL + "}").encode(), {"model", "stream"})
    assert (told.get("model"), told.get("stream", 2), told.has("stream")) == ("m", 2, False)
    for ask in (lambda: told.get("n"), lambda: told.has("n"), lambda: told.with_changes({"n": 1})):
        with pytest.raises(KeyError, match="not asked for"):
            ask()


def test_letters_beyond_ascii_may_be_escaped_in_what_is_large():
    raw = json.dumps({"model": "m", "messages": ["café, \u017ftream, \u0041"] * 900}).encode()
    assert b"\\u00e9" in raw
    assert skim(raw, WANTED).fields == {"model": "m"}


def test_code_and_prose_in_what_is_large_do_not_force_a_parse():
    text = 'def f(a: list[str], model: str): x = [1], "model": 2  # [3], see model: that\n["a"], "b": {}'
    raw = json.dumps(
        {"messages": [{"content": text, "tools": ["x"], "n": {"model": [1], "b": 2}}] * 90, "model": "m"}
    )
    assert skim(raw.encode(), WANTED).fields == {"model": "m"}


@given(st.binary(max_size=60), st.integers(0, 2**30))
def test_no_bytes_break_it(noise, at):
    raw = ('{"model":"m",' + FILL + ',"stream":true}').encode()
    at %= len(raw)
    skim(raw[:at] + noise + raw[at + len(noise) :], WANTED)
    skim(noise, WANTED)


@pytest.mark.parametrize("piece", ['],"a":{', '],"a":"', '"', "\\", '],"a":{"b":', '],"a":[', "]"])
def test_many_false_ends_are_no_end(piece):
    raw = '{"model":"m","x":[' + piece * (200_000 // len(piece)) + ',"model":"m"}'
    assert skim(raw.encode(), WANTED) is None

"""Bodies: what may be looked at, what is changed, and what stays as it came."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import field, file, form

import aigw
from aigw.pipeline.payload import FormPayload, JsonPayload, Payload, says_one_model

FORM_TYPE = "multipart/form-data; boundary=cut-here"
FORM, _ = form(field("a", b"b"))
RAW = b'{"model": "a",  "x": [1.50]}'


def test_json_stays_as_it_came_however_often_it_is_looked_at():
    payload = JsonPayload(RAW)
    assert payload.fields == {"model": "a", "x": [1.5]}
    assert list(payload.names) == ["model", "x"]
    assert payload.body() is RAW


def test_changes_for_one_call_leave_the_payload_alone():
    payload = JsonPayload(RAW)
    assert orjson.loads(payload.body({"model": "b"})) == {"model": "b", "x": [1.5]}
    assert payload.body() is RAW
    assert payload.fields["model"] == "a"


def test_edits_stay():
    payload = JsonPayload(RAW)
    payload.edit()["x"] = 2
    assert payload.changed
    assert orjson.loads(payload.body()) == {"model": "a", "x": 2}
    assert orjson.loads(payload.body({"y": 3})) == {"model": "a", "x": 2, "y": 3}


def test_the_canonical_form_is_decoded_once_and_again_after_an_edit():
    seen = []
    payload = JsonPayload(RAW, decode=lambda tree: seen.append(dict(tree)) or len(seen))
    assert (payload.decoded(), payload.decoded()) == (1, 1)
    payload.edit()["x"] = 2
    assert payload.decoded() == 2
    assert seen[1]["x"] == 2


def test_a_canonical_form_put_in_its_place_is_written():
    payload = JsonPayload(RAW, decode=lambda tree: tree["model"], encode=lambda value: {"model": value})
    payload.replace("z")
    assert (payload.decoded(), payload.body(), payload.fields) == ("z", b'{"model":"z"}', {"model": "z"})


@pytest.mark.parametrize("payload", [JsonPayload(RAW), Payload(), FormPayload(FORM, FORM_TYPE)])
def test_where_there_is_no_canonical_form_none_can_be_put(payload):
    assert payload.decoded() is None
    with pytest.raises(aigw.ClientError):
        payload.replace("z")


def test_an_empty_payload_has_nothing_and_takes_nothing():
    payload = Payload()
    assert (payload.fields, list(payload.names), payload.body()) == ({}, [], b"")
    with pytest.raises(aigw.ClientError):
        payload.edit()
    with pytest.raises(aigw.ClientError):
        payload.body({"model": "m"})


PARTS = (
    field("model", b"a"),
    file("file", b"\r\n\x00\xff--"),
    field("n", b"1"),
    field("tag", b"x"),
    field("tag", b"y"),
)


@pytest.fixture
def made():
    body, headers = form(*PARTS)
    return FormPayload(body, headers["Content-Type"])


def test_a_form_has_its_texts_as_fields_and_all_its_parts_as_names(made):
    assert made.fields == {"model": "a", "n": "1", "tag": ["x", "y"]}
    assert list(made.names) == ["model", "file", "n", "tag", "tag"]
    assert made.body() is made.raw


def test_a_form_that_is_changed_for_one_call_keeps_every_other_byte(made):
    assert made.body({"model": "b"}) == form(field("model", b"b"), *PARTS[1:])[0]
    assert made.body() is made.raw
    assert made.fields["model"] == "a"


def test_a_form_that_was_edited_is_written_with_what_was_added_and_taken_away(made):
    made.edit()["model"] = "ü"
    del made.edit()["n"]
    made.edit()["tag"] = ["z"]
    made.edit()["new"] = "1"
    wanted = (field("model", "ü".encode()), PARTS[1], field("tag", b"z"), field("new", b"1"))
    assert made.body() == form(*wanted)[0]


def escaped(text):
    """Spell a JSON string in one of the many ways of doing so."""
    return st.lists(st.booleans(), min_size=len(text), max_size=len(text)).map(
        lambda flags: (
            '"'
            + "".join(
                f"\\u{ord(letter):04{'X' if ord(letter) % 2 else 'x'}}" if flag else letter
                for letter, flag in zip(text, flags, strict=True)
            )
            + '"'
        )
    )


PAIRS = st.lists(
    st.tuples(
        st.one_of(escaped("model"), escaped("other"), st.just('"x"')),
        st.one_of(escaped("a"), escaped("b"), st.just('{"model": "c"}')),
    ),
    min_size=1,
    max_size=4,
)


@given(PAIRS)
def test_bytes_that_pass_for_having_one_model_mean_the_same_to_every_parser(pairs):
    raw = ("{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}").encode()
    if not says_one_model(raw):
        return
    first = {}
    for name, value in json.loads(raw, object_pairs_hook=list):
        first.setdefault(name, value)
    last = orjson.loads(raw)
    assert ("model" in first) == ("model" in last)
    assert first.get("model") == last.get("model") or isinstance(last["model"], dict)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model": "a", "model": "b"}',
        b'{"mod\\u0065l": "b"}',
        b'{"model": "a", "\\u006dodel": "b"}',
        b'{"x": 1}',
    ],
)
def test_bytes_that_could_be_read_in_two_ways_do_not_pass(raw):
    assert not says_one_model(raw)


LARGE = json.dumps({"messages": [{"content": 'a "model"'}] * 999, "n": 1.0, "model": "a"}).encode()


def test_small_fields_of_a_large_body_are_told_and_replaced_without_parsing_it():
    broken = LARGE.replace(b"[{", b"[{nobody looks here", 1)  # the provider will say so
    payload = JsonPayload(broken)
    assert dict(payload.told) == {"model": "a"}
    assert (payload.spellings("model"), payload.spellings("stream")) == (["model"], [])
    assert payload.is_certain
    assert payload.body() is broken
    assert payload.body({"model": "b", "stream": True}) == broken[:-4] + b'"b","stream":true}'
    with pytest.raises(aigw.ClientError, match="not valid JSON"):
        assert payload.fields


@pytest.mark.parametrize(
    "raw",
    [
        RAW,
        LARGE.replace(b'"n"', b'"x": {"y": {"z": {"a": {"b": {"c": {}}}}}}, "n"'),
        LARGE.replace(b'"n": 1.0', b'"\\u0061": 1'),
    ],
)
def test_a_body_that_is_small_or_doubtful_is_parsed(raw):
    payload = JsonPayload(raw)
    assert payload.told["model"] == "a"
    assert payload.spellings("model") == ["model"]
    assert orjson.loads(payload.body({"model": "b"})) == {**orjson.loads(raw), "model": "b"}


@pytest.mark.parametrize("name", ["Model", "MODEL", "mod\\u0065L"])
def test_another_spelling_of_the_model_is_told_wherever_it_stands(name):
    other = f'"{name}": "b", "messages"'.encode()
    for raw in (LARGE.replace(b'"messages"', other), LARGE[:-1] + b', "x": [], ' + other + b": 1}"):
        assert sorted(JsonPayload(raw).spellings("model"))[1:] == ["model"]


def test_a_large_body_that_says_its_model_twice_is_not_certain():
    payload = JsonPayload(LARGE.replace(b"{", b'{"model": "b", ', 1))
    assert not payload.is_certain
    assert payload.told["model"] == "a"


def test_edits_of_a_large_body_are_told():
    payload = JsonPayload(LARGE, encode=lambda value: {"model": value})
    assert payload.told["model"] == "a"
    payload.edit()["model"] = "b"
    assert (payload.told["model"], payload.is_certain) == ("b", True)
    assert orjson.loads(payload.body({"stream": True})) == {
        **orjson.loads(LARGE),
        "model": "b",
        "stream": True,
    }
    payload.replace("c")
    assert (payload.told, payload.body()) == ({"model": "c"}, b'{"model":"c"}')


def test_other_changes_of_a_large_body_are_written_too():
    payload = JsonPayload(LARGE)
    assert payload.told["model"] == "a"
    assert orjson.loads(payload.body({"n": 2})) == {**orjson.loads(LARGE), "n": 2}


def test_a_form_tells_all_its_parts_that_may_be_the_model(made):
    assert (made.told["model"], made.spellings("model"), made.is_certain) == ("a", ["model"], True)
    twice, headers = form(*PARTS, file("Model", b"b"))
    assert FormPayload(twice, headers["Content-Type"]).spellings("model") == ["model", "Model"]

import pytest

from aigw.dialects.openresponses.ids import synthetic_item_id
from aigw.responses.ids import given_item_id, new_item_id, new_response_id
from aigw.responses.session import Session
from aigw.stores.names import not_named_after, response_of


def names_of(response_id):
    """Return ids of items as the gateway makes them: of an answer, and of what a request brings."""
    return [
        synthetic_item_id("msg", response_id, 0),
        synthetic_item_id("ctco", response_id, 0x100),
        given_item_id(response_id, "message", 0),
        given_item_id(response_id, "unknown_kind", 0x100),
    ]


def test_an_items_name_tells_its_response():
    response_id = new_response_id()
    assert [response_of(name) for name in names_of(response_id)] == [response_id] * 4
    assert not_named_after(response_id, names_of(response_id)) == []


def test_an_item_named_after_another_response_is_told_apart():
    names = names_of(new_response_id())
    assert not_named_after(new_response_id(), names) == names


@pytest.mark.parametrize("response_id", ["resp_abc", "gen-1", "", "resp_" + "0" * 49, "0" * 53])
def test_a_response_with_another_name_is_told_by_none_of_its_items(response_id):
    names = [*names_of(response_id), f"msg_aigw{response_id}"]
    assert response_id not in map(response_of, names)
    assert not_named_after(response_id, names) == names


@pytest.mark.parametrize(
    "name", ["", "_", "msg_1", "msg_aigw", "msg_aigw_" + "0" * 47, "msg_aigw" + "0" * 30]
)
def test_other_names_tell_no_response_that_is_there(name):
    response_id = new_response_id()
    assert response_of(name) != response_id
    assert not_named_after(response_id, [name]) == [name]


def test_an_item_without_a_response_is_named_after_none():
    assert response_of(new_item_id("message")) is None


def test_what_a_request_brings_is_named_after_its_response():
    texts = [{"role": "user", "content": "hi"}, {"type": "message", "role": "user", "content": "hi"}]
    for given, count in (("hi", 1), (texts, 2)):
        session = Session("t", input=given)
        record = session.record({"id": session.id, "output": []})
        assert len(set(record.item_ids)) == count
        assert not_named_after(record.id, record.item_ids) == []


def test_what_has_a_name_keeps_it():
    session = Session("t", input=[{"type": "message", "id": "mine", "role": "user", "content": "hi"}])
    record = session.record({"id": session.id, "output": []})
    assert not_named_after(record.id, record.item_ids) == ["mine"]

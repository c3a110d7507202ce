import json

import pytest

from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openai_events import COMPLETIONS, IMAGES, RESPONSES, SPEECH, TRANSCRIPTIONS

CHAT = OPENAI_CHAT.grammar


def look(grammar, tree, event=None):
    return grammar.examine(event, tree if isinstance(tree, bytes) else json.dumps(tree).encode())


def chunk(delta=None, reason=None, **fields):
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": reason}], **fields}


@pytest.mark.parametrize(
    ("tree", "content"),
    [
        (chunk({"role": "assistant"}), False),
        (chunk({"role": "assistant", "content": "", "refusal": None}), False),
        (chunk({}), False),
        (chunk({"content": "hi"}), True),
        (chunk({"tool_calls": [{"index": 0}]}), True),
        (chunk({"reasoning": "hm"}), True),
        ({"choices": [], "usage": {"prompt_tokens": 1}}, False),
    ],
)
def test_chat_content_is_told_from_preamble(tree, content):
    assert look(CHAT, tree).content is content


def test_chat_counts_alone_may_be_hidden_and_counts_with_choices_may_not():
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    alone = look(CHAT, {"choices": [], "usage": usage})
    assert alone.usage_only
    assert alone.usage.total == 3
    assert not look(CHAT, chunk({}, "stop", usage=usage)).usage_only
    assert not look(CHAT, {"choices": []}).usage_only


def test_chat_finish_done_and_error_are_seen():
    assert look(CHAT, chunk({}, "stop")).finished
    assert not look(CHAT, chunk({"content": "x"})).finished
    assert look(CHAT, b"[DONE]").terminal
    assert look(CHAT, {"error": {"message": "it broke"}}).error.message == "it broke"


def test_legacy_completions():
    assert look(COMPLETIONS, {"choices": [{"text": "hi", "finish_reason": None}]}).content
    assert not look(COMPLETIONS, {"choices": [{"text": "", "finish_reason": "stop"}]}).content
    assert look(COMPLETIONS, {"choices": [{"text": "", "finish_reason": "stop"}]}).finished
    assert look(COMPLETIONS, b"[DONE]").terminal


@pytest.mark.parametrize("named", [True, False])
def test_responses(named):
    def see(kind, **fields):
        return look(RESPONSES, {"type": kind, **fields}, kind if named else None)

    for kind in ("response.created", "response.queued", "response.in_progress"):
        assert not see(kind, response={}).content
    assert see("response.output_text.delta", delta="hi").content
    usage = {"input_tokens": 3, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 2}}
    for kind in ("response.completed", "response.incomplete"):
        ended = see(kind, response={"usage": usage})
        assert ended.terminal
        assert (ended.usage.total, ended.usage.cached_tokens) == (7, 2)
    failed = see("response.failed", response={"error": {"message": "it broke", "code": "server_error"}})
    assert failed.error.message == "it broke"
    assert see("error", message="it broke", code="rate_limit_exceeded").error.message == "it broke"


@pytest.mark.parametrize(
    ("grammar", "going", "end"),
    [
        (IMAGES, "image_generation.partial_image", "image_generation.completed"),
        (IMAGES, "image_edit.partial_image", "image_edit.completed"),
        (SPEECH, "speech.audio.delta", "speech.audio.done"),
        (TRANSCRIPTIONS, "transcript.text.delta", "transcript.text.done"),
    ],
)
def test_typed_streams_end_on_their_own_event(grammar, going, end):
    assert not look(grammar, {"type": going}).terminal
    assert look(grammar, {"type": end, "usage": {"input_tokens": 1, "output_tokens": 2}}).usage.total == 3
    assert look(grammar, {}, end).terminal
    assert look(grammar, {"type": "error", "error": {"message": "it broke"}}).error.message == "it broke"
    assert any(suspect in json.dumps({"type": end}).encode() for suspect in grammar.suspects)

import pytest
from support import anthropic_wire

from aigw.dialects.anthropic import ANTHROPIC
from aigw.errors import ErrorKind, GatewayError, ProtocolError
from aigw.model import (
    Annotation,
    AudioPart,
    Choice,
    FinishReason,
    ForeignItem,
    FunctionCall,
    Media,
    Message,
    RefusalPart,
    Request,
    Response,
    TextPart,
    Usage,
)

COUNTS = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 1000,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 3},
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0},
    "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    "service_tier": "standard",
}


def message(*content, **fields):
    tree = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content),
    }
    return {**tree, "stop_reason": "end_turn", "stop_sequence": None, "usage": COUNTS, **fields}


def encode(*items, reason=FinishReason.STOP, **fields):
    tree = ANTHROPIC.encode_response(Response("r", "m", choices=(Choice(items, reason),), **fields), None)
    anthropic_wire.check_whole(tree)
    return tree


def test_the_vocabularys_counts_hold_what_the_cache_served():
    response = ANTHROPIC.decode_response(message())
    assert response.usage == Usage(
        input_tokens=1110,
        output_tokens=7,
        cached_tokens=1000,
        cache_write_tokens=100,
        reasoning_tokens=3,
        extras={f"anthropic:{key}": COUNTS[key] for key in ("cache_creation", "server_tool_use")},
    )
    assert response.service_tier == "default"
    assert ANTHROPIC.encode_response(response, None)["usage"] == COUNTS
    assert ANTHROPIC.read_usage(message()) == response.usage


def test_counts_that_do_not_add_up_are_no_negative_numbers():
    assert encode(usage=Usage(5, 1, cached_tokens=9))["usage"]["input_tokens"] == 0


def test_no_counts_are_zeros_for_a_client_that_insists_on_them():
    assert encode()["usage"]["output_tokens"] == 0


def test_a_tier_without_a_word_here_is_left_out():
    assert "service_tier" not in encode(service_tier="flex")["usage"]
    assert encode(service_tier="priority")["usage"]["service_tier"] == "priority"


CITATIONS = [
    (
        {
            "type": "web_search_result_location",
            "cited_text": "q",
            "encrypted_index": "E",
            "title": "T",
            "url": "u",
        },
        Annotation("url_citation", url="u", title="T", quoted_text="q"),
    ),
    (
        {
            "type": "page_location",
            "cited_text": "q",
            "document_index": 0,
            "document_title": "D",
            "file_id": "f",
        },
        Annotation("page_location", title="D", file_id="f", filename="D", quoted_text="q"),
    ),
    (
        {"type": "search_result_location", "cited_text": "q", "source": "https://e.org", "title": "T"},
        Annotation("search_result_location", url="https://e.org", title="T", quoted_text="q"),
    ),
]


@pytest.mark.parametrize(("citation", "annotation"), CITATIONS)
def test_a_citation_is_an_annotation_and_goes_back_as_it_came(citation, annotation):
    response = ANTHROPIC.decode_response(message({"type": "text", "text": "a", "citations": [citation]}))
    (found,) = response.items[0].parts[0].annotations
    words = ("kind", "url", "title", "file_id", "filename", "quoted_text", "start_index")
    assert [getattr(found, word) for word in words] == [getattr(annotation, word) for word in words]
    assert ANTHROPIC.encode_response(response, None)["content"][0]["citations"] == [citation]


def test_an_annotation_of_another_format_quotes_what_it_points_to():
    annotations = (
        Annotation("url_citation", 0, 6, "https://e.org", "E"),
        Annotation("file_citation", file_id="file-1"),
    )
    (block,) = encode(Message("assistant", (TextPart("Prague is big", annotations),)))["content"]
    assert block["citations"] == [
        {
            "type": "web_search_result_location",
            "cited_text": "Prague",
            "encrypted_index": "",
            "title": "E",
            "url": "https://e.org",
        }
    ]


def test_a_refusal_in_words_is_told_by_the_reason():
    tree = encode(Message("assistant", (RefusalPart("I won't."),)))
    assert (tree["stop_reason"], tree["content"]) == ("refusal", [{"type": "text", "text": "I won't."}])


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "end_turn"),
        (FinishReason.STOP_SEQUENCE, "stop_sequence"),
        (FinishReason.LENGTH, "max_tokens"),
        (FinishReason.TOOL_CALLS, "tool_use"),
        (FinishReason.CONTENT_FILTER, "refusal"),
        (FinishReason.REFUSAL, "refusal"),
        (FinishReason.CONTEXT_LENGTH, "model_context_window_exceeded"),
        (FinishReason.PAUSE, "pause_turn"),
        (FinishReason.CANCELLED, "end_turn"),
        (FinishReason.ERROR, "end_turn"),
        (FinishReason.UNKNOWN, "end_turn"),
        (None, "end_turn"),
    ],
)
def test_every_reason_has_a_word(reason, word):
    assert encode(reason=reason)["stop_reason"] == word


def test_a_call_finished_as_a_plain_stop_is_still_a_tool_use():
    assert encode(FunctionCall("c", "f", "{}"))["stop_reason"] == "tool_use"
    assert encode(FunctionCall("c", "f", "{}"), reason=FinishReason.LENGTH)["stop_reason"] == "max_tokens"


def test_what_this_format_has_no_block_for_is_left_out_and_a_transcript_is_text():
    audio = AudioPart(Media(data="AAEC"), transcript="spoken")
    tree = encode(ForeignItem("gemini", {"a": 1}), Message("assistant", (audio,)))
    assert tree["content"] == [{"type": "text", "text": "spoken"}]


def test_a_model_without_a_name_has_the_one_that_was_asked_for():
    assert ANTHROPIC.encode_response(Response(), Request("alias"))["model"] == "alias"


def test_what_is_no_message_is_a_protocol_error():
    with pytest.raises(ProtocolError, match="content: expected a list"):
        ANTHROPIC.decode_response({"type": "message"})
    with pytest.raises(ProtocolError, match="expected an object"):
        ANTHROPIC.decode_response(message("hi"))


def test_an_error_in_a_whole_answer_is_raised_by_its_name():
    with pytest.raises(GatewayError) as caught:
        ANTHROPIC.decode_response(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        )
    assert caught.value.kind is ErrorKind.UPSTREAM_OVERLOADED

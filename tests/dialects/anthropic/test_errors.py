import json

import pytest
from anthropic.types import ErrorResponse

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.anthropic.errors import STATUS_AND_TYPE
from aigw.errors import ClientError, ErrorKind, UpstreamError


def body(kind, message="it broke"):
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})


@pytest.mark.parametrize(
    ("status", "word", "message", "kind", "branch"),
    [
        (400, "invalid_request_error", "max_tokens: Field required", ErrorKind.INVALID_REQUEST, ClientError),
        (400, "invalid_request_error", "prompt is too long: 9 > 8", ErrorKind.CONTEXT_LENGTH, ClientError),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 9 + 9 > 10",
            ErrorKind.CONTEXT_LENGTH,
            ClientError,
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API",
            ErrorKind.UPSTREAM_RATE_LIMITED,
            UpstreamError,
        ),
        (401, "authentication_error", "invalid x-api-key", ErrorKind.UPSTREAM_CREDENTIAL, UpstreamError),
        (402, "billing_error", "pay", ErrorKind.UPSTREAM_RATE_LIMITED, UpstreamError),
        (403, "permission_error", "no", ErrorKind.UPSTREAM_CREDENTIAL, UpstreamError),
        (404, "not_found_error", "model: claude-9", ErrorKind.MODEL_NOT_FOUND, ClientError),
        (404, "not_found_error", "file", ErrorKind.NOT_FOUND, ClientError),
        (413, "request_too_large", "big", ErrorKind.TOO_LARGE, ClientError),
        (429, "rate_limit_error", "slow down", ErrorKind.UPSTREAM_RATE_LIMITED, UpstreamError),
        (500, "api_error", "oops", ErrorKind.UPSTREAM_ERROR, UpstreamError),
        (504, "timeout_error", "late", ErrorKind.UPSTREAM_TIMEOUT, UpstreamError),
        (529, "overloaded_error", "Overloaded", ErrorKind.UPSTREAM_OVERLOADED, UpstreamError),
        (529, "born_yesterday", "x", ErrorKind.UPSTREAM_OVERLOADED, UpstreamError),
        (418, "born_yesterday", "x", ErrorKind.INVALID_REQUEST, ClientError),
    ],
)
def test_a_failure_is_named_by_its_type_its_words_and_its_status(status, word, message, kind, branch):
    error = ANTHROPIC.decode_error(status, body(word, message).encode())
    assert (error.kind, error.message) == (kind, message)
    assert isinstance(error, branch)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "the provider answered with status 502"),
        (b"<html>Bad gateway</html>", "the provider answered with status 502"),
        (b"upstream gone", "upstream gone"),
        (b'{"error": "gone"}', "gone"),
        (b'{"detail": "gone"}', "gone"),
        (b'["gone"]', "['gone']"),
    ],
)
def test_any_body_gives_a_message(given, message):
    error = ANTHROPIC.decode_error(502, given)
    assert (error.kind, error.message) == (ErrorKind.UPSTREAM_ERROR, message)


def test_every_kind_has_a_status_and_a_type_that_the_sdk_knows():
    assert STATUS_AND_TYPE.keys() == set(ErrorKind)
    for kind in ErrorKind:
        status, tree = ANTHROPIC.encode_error(ClientError("no", kind=kind))
        assert 400 <= status <= 599
        assert tree["error"]["message"] == "no"
        if tree["error"]["type"] not in {"request_too_large", "conflict_error"}:
            ErrorResponse.model_validate(tree)


def test_an_upstreams_refusal_of_our_credential_is_no_fault_of_the_client():
    error = ANTHROPIC.decode_error(401, body("authentication_error").encode())
    status, tree = ANTHROPIC.encode_error(error)
    assert (status, tree["error"]["type"]) == (502, "api_error")


def test_the_place_stands_before_the_message_and_the_code_beside_it():
    error = ClientError("expected a list", param="messages", kind=ErrorKind.INVALID_REQUEST)
    _, tree = ANTHROPIC.encode_error(error)
    assert tree["error"] == {
        "type": "invalid_request_error",
        "message": "messages: expected a list",
        "code": "invalid_request",
    }
    _, again = ANTHROPIC.encode_error(ClientError("messages: expected a list", param="messages"))
    assert again["error"]["message"] == "messages: expected a list"


def test_a_clients_fault_keeps_the_upstreams_status():
    error = ANTHROPIC.decode_error(422, body("invalid_request_error").encode())
    assert ANTHROPIC.encode_error(error)[0] == 422

import json

import pytest

from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openai_chat.errors import STATUS_AND_TYPE
from aigw.errors import ClientError, ErrorKind, ServerError, UpstreamError


def body(**error):
    return json.dumps({"error": error}).encode()


def test_every_kind_has_a_status_and_a_type():
    assert STATUS_AND_TYPE.keys() == set(ErrorKind)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (ClientError("x"), 400, "invalid_request_error", "invalid_request"),
        (ClientError("x", kind=ErrorKind.AUTHENTICATION), 401, "invalid_request_error", "invalid_api_key"),
        (ClientError("x", kind=ErrorKind.MODEL_NOT_FOUND), 404, "invalid_request_error", "model_not_found"),
        (ClientError("x", kind=ErrorKind.QUOTA_EXCEEDED), 429, "insufficient_quota", "insufficient_quota"),
        (
            ClientError("x", kind=ErrorKind.CLIENT_CLOSED),
            499,
            "invalid_request_error",
            "client_closed_request",
        ),
        (UpstreamError("x", kind=ErrorKind.UPSTREAM_TIMEOUT), 504, "server_error", "upstream_timeout"),
        (UpstreamError("x", kind=ErrorKind.UPSTREAM_OVERLOADED), 503, "server_error", "upstream_overloaded"),
        (ServerError("x"), 500, "server_error", "internal_error"),
        (ClientError("x", status=422), 422, "invalid_request_error", "invalid_request"),
    ],
)
def test_errors_take_openais_shape(error, status, kind, code):
    expected = {"error": {"message": "x", "type": kind, "param": None, "code": code}}
    assert OPENAI_CHAT.encode_error(error) == (status, expected)


def test_our_own_failed_credential_is_never_a_401_to_the_client():
    for status in (401, 403):
        error = OPENAI_CHAT.decode_error(status, body(message="bad key", code="invalid_api_key"))
        assert error.kind is ErrorKind.UPSTREAM_CREDENTIAL
        assert OPENAI_CHAT.encode_error(error)[0] == 502


@pytest.mark.parametrize(
    ("status", "given", "kind"),
    [
        (400, body(message="x", type="invalid_request_error", param="n"), ErrorKind.INVALID_REQUEST),
        (400, body(message="x", code="context_length_exceeded"), ErrorKind.CONTEXT_LENGTH),
        (400, body(message="x", code="content_filter"), ErrorKind.CONTENT_FILTER),
        (404, body(message="x", code="model_not_found"), ErrorKind.MODEL_NOT_FOUND),
        (408, b"", ErrorKind.UPSTREAM_TIMEOUT),
        (422, b'{"detail":[{"loc":["body"],"msg":"x"}]}', ErrorKind.INVALID_REQUEST),
        (429, body(message="x"), ErrorKind.UPSTREAM_RATE_LIMITED),
        (429, body(message="x", code="insufficient_quota"), ErrorKind.UPSTREAM_RATE_LIMITED),
        (500, b'{"message":"x"}', ErrorKind.UPSTREAM_ERROR),
        (502, b"<html>Bad Gateway</html>", ErrorKind.UPSTREAM_ERROR),
        (503, b'[{"error":{"message":"x"}}]', ErrorKind.UPSTREAM_OVERLOADED),
        (529, b"", ErrorKind.UPSTREAM_OVERLOADED),
    ],
)
def test_an_upstreams_refusal_is_named(status, given, kind):
    assert OPENAI_CHAT.decode_error(status, given).kind is kind


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (body(message="it broke"), "it broke"),
        (b'{"error":"it broke"}', "it broke"),
        (b'{"detail":"it broke"}', "it broke"),
        (b'{"message":"it broke"}', "it broke"),
        (b'[{"error":{"message":"it broke"}}]', "it broke"),
        (b"it broke", "it broke"),
        (b"<html>it broke</html>", "the provider answered with status 500"),
        (b"", "the provider answered with status 500"),
    ],
)
def test_an_upstreams_words_are_kept_whatever_the_body(given, message):
    assert OPENAI_CHAT.decode_error(500, given).message == message


def test_long_words_are_cut():
    assert len(OPENAI_CHAT.decode_error(400, body(message="x" * 5000)).message) == 2000


def test_the_place_and_code_of_a_callers_fault_are_kept():
    error = OPENAI_CHAT.decode_error(422, body(message="x", param="messages[0]", code="invalid_value"))
    assert (error.param, error.code, error.status) == ("messages[0]", "invalid_value", 422)

"""The command itself: what it reads, prints, and exits with."""

import json
import logging
from pathlib import Path

import pytest
from support.explained import BEARER, HI

BODY = json.dumps({"model": "claude", "messages": HI, "seed": 4})


def test_a_person_reads_who_asks_and_what_is_sent(cli):
    code, text = cli("-H", BEARER, "-d", BODY)
    assert code == 0
    for line in (
        "request: POST /v1/chat/completions (guessed from the body)",
        "model: claude (chat, whole)",
        'caller: tenant "team-a", key "ci"; may use *',
        '  rule team b does not hold: tenant is "team-a"',
        "1. ant/claude-x",
        "   format: messages, translated",
        "   x-aigw-dropped: sampling.seed; under strict, this target is not asked",
        "   POST http://127.0.0.1:9/v1/messages",
        "   x-api-key: ***",
        '     "model": "claude-x",',
        "  too long for the model: gem-model",
    ):
        assert line in text.splitlines()


def test_a_refusal_exits_with_one_and_shows_the_error(cli):
    code, text = cli("-d", BODY)
    assert code == 1
    assert "refused: HTTP 401" in text.splitlines()
    assert '"code": "invalid_api_key"' in text


def test_json_is_for_programs(cli):
    code, text = cli("--json", "-H", BEARER, "-d", BODY)
    assert code == 0
    tree = json.loads(text)
    assert list(tree) == ["sent", "request", "caller", "decisions", "targets", "left_out", "otherwise",
                          "hooks", "reservations", "answer", "notes"]  # fmt: skip
    assert cli("--json", "-H", BEARER, "-d", BODY) == (code, text)


CURL = """curl -sS http://localhost:8080/v1/chat/completions \\
  -H 'Authorization: Bearer sk-caller-secret-1' \\
  -H "Content-Type: application/json" \\
  -d '{"model": "claude", "messages": [{"role": "user", "content": "hi"}], "seed": 4}'
"""
HTTP = (
    """POST /v1/chat/completions HTTP/1.1
Host: localhost
Authorization: Bearer sk-caller-secret-1
Content-Type: application/json
Content-Length: 3

"""
    + BODY
)


@pytest.mark.parametrize(
    "text", [CURL, HTTP, HTTP.replace("\n", "\r\n"), BODY], ids=["curl", "http", "crlf", "json"]
)
def test_a_request_may_be_written_in_any_form(cli, text):
    Path("request").write_bytes(text.encode())
    plain = cli("--json", "--path", "/v1/chat/completions", "-H", BEARER, "-d", BODY)
    code, told = cli("--json", "request", "-H", BEARER)
    tree, wanted = json.loads(told), json.loads(plain[1])
    assert code == 0
    for one in (tree, wanted):
        del one["request"]["path_is_guessed"]
    assert tree == wanted


def test_a_curl_command_may_stand_in_the_command_itself(cli):
    code, text = cli(CURL)
    assert code == 0
    assert "1. ant/claude-x" in text.splitlines()


def test_data_may_come_from_a_file(cli):
    Path("body.json").write_text(BODY, encoding="utf-8")
    assert cli("-H", BEARER, "-d", "@body.json") == cli("-H", BEARER, "-d", BODY)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "got no request"),
        (("no-such-file",), "no-such-file"),
        (("-d", '{"model": "fast"}'), "none of messages, contents, input, prompt"),
        (("-d", "[]"), "no JSON object"),
        (("-d", "{"), "no JSON"),
        (("-d", '{"contents": []}'), "--path /v1beta/models/MODEL:generateContent"),
        (("-d", BODY, "-H", "nonsense"), 'wanted "Name: value"'),
        (("-d", BODY, "--path", "v1"), "wanted the path of a URL"),
        (("curl http://x/v1/models --proxy y",), "got --proxy"),
        (("curl -H",), "-H wants a value"),
        (("curl 'broken",), "breaks off"),
        (("curl -s",), "got no URL"),
        (("--nonsense",), "usage:"),
        (("-d", BODY, "-X", "PO ST"), "wanted a method"),
    ],
)
def test_what_cannot_be_read_exits_with_two(cli, words, told):
    code, text = cli(*words)
    assert code == 2
    assert told in text


def test_a_wrong_configuration_exits_with_one(cli):
    Path("aigw.toml").write_text("[server]\nport = -1\n", encoding="utf-8")
    code, text = cli("-d", BODY)
    assert code == 1
    assert "server.port" in text


def test_nothing_is_written_where_state_is_kept(cli, tmp_path):
    state = f'[state]\nkind = "sqlite"\npath = "{tmp_path}/state.db"\n'
    Path("aigw.toml").write_text(Path("aigw.toml").read_text(encoding="utf-8") + state, encoding="utf-8")
    before = sorted(Path().iterdir())
    assert cli("-H", BEARER, "-d", '{"model": "res", "input": "hi", "store": true}')[0] == 0
    assert sorted(Path().iterdir()) == before


def test_nothing_goes_to_the_log_of_requests(cli, caplog):
    with caplog.at_level(logging.INFO):
        cli("-H", BEARER, "-d", BODY)
    assert caplog.records == []

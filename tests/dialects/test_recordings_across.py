"""Real provider traffic, read through clients of all four formats: what it says is the same in each."""

import json
import os
from pathlib import Path

import orjson
import pytest

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import FinishReason, fold, unfold

FOLDER = Path(os.environ.get("AIGW_RECORDINGS") or Path(__file__).parents[2].parent / "shared" / "recordings")
PROVIDERS = {
    "openai-chat": OPENAI_CHAT,
    "openai-responses": OPENRESPONSES,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
}
CLIENTS = (OPENAI_CHAT, OPENRESPONSES, ANTHROPIC, GEMINI)
# What a format has one word for: a plain end, and one cut short for any reason.
SAME = {
    FinishReason.STOP_SEQUENCE: FinishReason.STOP,
    FinishReason.PAUSE: FinishReason.STOP,
    FinishReason.REFUSAL: FinishReason.CONTENT_FILTER,
    FinishReason.CONTEXT_LENGTH: FinishReason.LENGTH,
}


def recordings():
    found = [
        pytest.param(dialect, path, id=f"{name}/{path.stem}")
        for name, dialect in PROVIDERS.items()
        for kind in ("whole", "stream")
        for path in sorted((FOLDER / name).glob(f"{kind}-*.json"))
    ]
    missing = pytest.mark.skip(reason=f"no recordings in {FOLDER}: set AIGW_RECORDINGS to replay them")
    return found or [pytest.param(None, None, id="absent", marks=missing)]


def answer_of(dialect, path):
    recorded = json.loads(path.read_text(encoding="utf-8"))
    if not recorded["stream"]:
        return dialect.decode_response(recorded["response"])
    decoder = dialect.stream_decoder()
    return fold([*decoder.feed(recorded["response_sse"].encode()), *decoder.close()])


def meaning(response):
    """What a person or a program makes of an answer, whatever the format."""
    choice = response.choices[0]
    usage = response.usage
    # Snowflake gives no reason; the formats want one, so it is what the answer itself says.
    reason = choice.finish_reason or (FinishReason.TOOL_CALLS if choice.calls else FinishReason.STOP)
    return {
        "text": choice.text,
        "calls": [(call.name, arguments(call)) for call in choice.calls],
        "ids": len({call.call_id for call in choice.calls}),
        "finish": SAME.get(reason, reason),
        "usage": usage and (usage.input_tokens, usage.output_tokens),
    }


def arguments(call):
    try:
        return json.loads(call.arguments or "{}")
    except json.JSONDecodeError:
        return call.arguments


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize(("provider", "path"), recordings())
def test_a_client_of_any_format_reads_the_same_from_a_recording(provider, path, client):
    answer = answer_of(provider, path)
    wanted = meaning(answer)
    whole = orjson.loads(orjson.dumps(client.encode_response(answer, None)))
    assert meaning(client.decode_response(whole)) == wanted
    encoder, decoder = client.stream_encoder(None), client.stream_decoder()
    frames = b"".join([*(encoder.encode(event) for event in unfold(answer)), encoder.close()])
    assert meaning(fold([*decoder.feed(frames), *decoder.close()])) == wanted

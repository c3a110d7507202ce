"""Audio: speech that is a recording, and what is said of a recording."""

from __future__ import annotations

import wave
from base64 import b64decode
from io import BytesIO

import orjson
import pytest
from openai.types.audio import (
    Transcription,
    TranscriptionStreamEvent,
    TranscriptionVerbose,
    TranslationVerbose,
)
from pydantic import TypeAdapter
from support.demo import ask, ask_form, ask_json, form, speak

from aigw.wire.sse import split_frames


async def test_speech_is_a_wav_in_several_chunks():
    answer, chunks = await speak(input="one two three")
    assert answer.headers["Content-Type"] == "audio/wav"
    assert len(chunks) > 1
    with wave.open(BytesIO(b"".join(chunks))) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 24_000)
        assert any(reader.readframes(2_000))
        assert reader.getnframes() > 6_000


async def test_speech_as_pcm_is_the_wav_without_its_head():
    _, chunks = await speak(input="one two three")
    answer, bare = await speak(input="one two three", response_format="pcm")
    assert answer.headers["Content-Type"] == "audio/pcm"
    assert b"".join(chunks)[44:] == b"".join(bare)


async def test_speech_refuses_formats_it_cannot_make_by_naming_those_it_can():
    tree = await ask_json("/v1/audio/speech", {"input": "x", "response_format": "mp3"}, status=400)
    assert "'wav', 'pcm'" in tree["error"]["message"]


async def test_speech_as_events_carries_the_same_audio():
    _, chunks = await speak(input="one two")
    _, frames = await speak(input="one two", stream_format="sse")
    *deltas, done = [orjson.loads(frame.data) for frame in split_frames(b"".join(frames))]
    assert b"".join(b64decode(delta["audio"]) for delta in deltas) == b"".join(chunks)
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["input_tokens"] == 2


async def test_a_transcription_states_size_and_duration():
    _, chunks = await speak(input="one two")
    recording = b"".join(chunks)
    tree = await ask_form("/v1/audio/transcriptions", {"file": recording}, model="t")
    whole = Transcription.model_validate(tree)
    assert f"{len(recording)} bytes" in whole.text
    assert "seconds" in whole.text
    assert whole.usage.type == "duration"
    tree = await ask_form("/v1/audio/transcriptions", {"file": recording}, response_format="verbose_json")
    verbose = TranscriptionVerbose.model_validate(tree)
    assert verbose.duration == pytest.approx(0.25, abs=0.05)
    tree = await ask_form("/v1/audio/translations", {"file": recording}, response_format="verbose_json")
    TranslationVerbose.model_validate(tree)


async def test_a_recording_that_is_no_wav_is_described_as_such():
    headers = {"Content-Type": "multipart/form-data; boundary=xx"}
    answer = await ask("/v1/audio/transcriptions", form({"file": b"ID3"}, response_format="text"), **headers)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"3 bytes and is no WAV" in await answer.read()
    tree = await ask_form("/v1/audio/transcriptions", {"file": b"ID3"})
    assert Transcription.model_validate(tree).usage.type == "tokens"


async def test_a_transcription_streams():
    headers = {"Content-Type": "multipart/form-data; boundary=xx"}
    answer = await ask("/v1/audio/transcriptions", form({"file": b"ID3"}, stream="true"), **headers)
    events = [orjson.loads(frame.data) for frame in split_frames(await answer.read())]
    for event in events:
        TypeAdapter(TranscriptionStreamEvent).validate_python(event)
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"]


@pytest.mark.parametrize(("files", "fields"), [({}, {}), ({"file": b"x"}, {"response_format": "srt"})])
async def test_bad_transcription_requests_are_refused(files, fields):
    await ask_form("/v1/audio/transcriptions", files, status=400, **fields)


async def test_a_broken_form_is_refused():
    await ask_json(
        "/v1/audio/transcriptions", b"--yy", 400, **{"Content-Type": "multipart/form-data; boundary=xx"}
    )
    await ask_json("/v1/audio/transcriptions", b"--yy", 400, **{"Content-Type": "multipart/form-data"})

"""The URLs clients may call, as rows of data.

Owns which path belongs to which API, how its body is written, and how its streams are watched. Pure
data: adding an endpoint that only passes through is one row here. Knows no provider and no HTTP library.
Source: OpenAI's API reference and published OpenAPI description, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from attrs import frozen

from aigw.dialects.base import Dialect, StreamGrammar, Tree
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openai_chat.usage import read_usage
from aigw.dialects.openai_events import (
    COMPLETIONS,
    IMAGES,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    read_token_usage,
)
from aigw.model import Usage


class Api(StrEnum):
    """What a provider may be able to do; the values are the names used in configuration."""

    CHAT = "chat"
    RESPONSES = "responses"
    MESSAGES = "messages"
    GEMINI = "gemini"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"
    AUDIO = "audio"
    MODERATIONS = "moderations"


@frozen(eq=False)
class Endpoint:
    """One URL that reaches a model.

    path: below the application's root, as the client calls it.
    api: what a provider must speak to answer it; None where the gateway answers by itself.
    body: "json" or "multipart"; anything else is answered with 415.
    errors: the dialect whose shape this endpoint's errors take.
    codec: the dialect that can decode this endpoint's bodies; None where bytes only pass through.
    grammar: how its event streams are watched; None where it never answers with events.
    texts: body fields that hold what a person or a model wrote, for plugins that must see all of it.
    read_usage: finds the token counts in a whole answer.
    stream_usage: whether token counts in a stream must be asked for with `stream_options`.
    default_model: for the endpoints whose vendor lets the model be left out.
    """

    path: str
    api: Api | None
    method: str = "POST"
    body: Literal["json", "multipart"] = "json"
    errors: Dialect = OPENAI_CHAT
    codec: Dialect | None = None
    grammar: StreamGrammar | None = None
    texts: tuple[str, ...] = ()
    read_usage: Callable[[Tree], Usage | None] = read_usage
    stream_usage: bool = False
    default_model: str | None = None


ENDPOINTS = (
    Endpoint(
        "/v1/chat/completions", Api.CHAT, codec=OPENAI_CHAT, grammar=OPENAI_CHAT.grammar, stream_usage=True
    ),
    Endpoint(
        "/v1/completions", Api.COMPLETIONS, grammar=COMPLETIONS, texts=("prompt", "suffix"), stream_usage=True
    ),
    Endpoint(
        "/v1/responses",
        Api.RESPONSES,
        grammar=RESPONSES,
        texts=("input", "instructions"),
        read_usage=read_token_usage,
    ),
    Endpoint("/v1/embeddings", Api.EMBEDDINGS, texts=("input",)),
    Endpoint("/v1/moderations", Api.MODERATIONS, texts=("input",), default_model="omni-moderation-latest"),
    Endpoint(
        "/v1/images/generations", Api.IMAGES, grammar=IMAGES, texts=("prompt",), read_usage=read_token_usage
    ),
    Endpoint(
        "/v1/images/edits",
        Api.IMAGES,
        body="multipart",
        grammar=IMAGES,
        texts=("prompt",),
        read_usage=read_token_usage,
    ),
    Endpoint("/v1/images/variations", Api.IMAGES, body="multipart", default_model="dall-e-2"),
    Endpoint("/v1/audio/speech", Api.AUDIO, grammar=SPEECH, texts=("input", "instructions")),
    Endpoint(
        "/v1/audio/transcriptions",
        Api.AUDIO,
        body="multipart",
        grammar=TRANSCRIPTIONS,
        texts=("prompt",),
        read_usage=read_token_usage,
    ),
    Endpoint("/v1/audio/translations", Api.AUDIO, body="multipart", texts=("prompt",)),
)

LISTINGS = (
    Endpoint("/v1/models", None, method="GET"),
    Endpoint("/v1/models/{model:.+}", None, method="GET"),
)

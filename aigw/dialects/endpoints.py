"""The URLs clients may call, as rows of data.

Owns which path belongs to which API, how its body is written, and how its streams are watched. Pure
data: adding an endpoint that only passes through is one row here. Knows no provider and no HTTP library.
Source: OpenAI's API reference and published OpenAPI description, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import quote

from attrs import field, frozen

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.base import Dialect, StreamGrammar, Tree
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openai_chat.usage import read_usage
from aigw.dialects.openai_events import (
    COMPLETIONS,
    IMAGES,
    SPEECH,
    TRANSCRIPTIONS,
    read_token_usage,
)
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ClientError, ErrorKind
from aigw.model import Usage

BEARER = ("Authorization", "Bearer ")


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

    __hash__ = str.__hash__  # an Enum's own is written in Python


@frozen(eq=False)
class Endpoint:
    """One URL that reaches a model.

    path: below the application's root, as the client calls it. Where `{model}` stands in it, that is where
        the format keeps the model; it is in the body otherwise.
    api: what a provider must speak to answer it; None where the gateway answers by itself.
    body: "json" or "multipart"; anything else is answered with 415.
    errors: the dialect whose shape this endpoint's errors take.
    codec: the dialect that can decode this endpoint's bodies; None where bytes only pass through.
    grammar: how its event streams are watched; None where it never answers with events.
    stream: whether it answers with a stream; None where a body field `stream` says so.
    query: what must stand behind the `?` when the gateway calls this endpoint of its own accord.
    auth: how a provider of this API wants its key, as (header, prefix). headers: what it wants beside it,
        where the client has not said otherwise.
    texts: body fields that hold what a person or a model wrote, for plugins that must see all of it.
    read_usage: finds the token counts in a whole answer.
    stream_usage: whether token counts in a stream must be asked for with `stream_options`.
    own: what this is called in records where no API's name fits: the gateway answers it by itself.
    default_model: for the endpoints whose vendor lets the model be left out.
    """

    path: str
    api: Api | None
    method: str = "POST"
    body: Literal["json", "multipart"] = "json"
    errors: Dialect = OPENAI_CHAT
    codec: Dialect | None = None
    grammar: StreamGrammar | None = None
    stream: bool | None = None
    query: str = ""
    auth: tuple[str, str] = BEARER
    headers: Mapping[str, str] = field(factory=dict)
    texts: tuple[str, ...] = ()
    read_usage: Callable[[Tree], Usage | None] = read_usage
    stream_usage: bool = False
    own: str = "models"
    default_model: str | None = None
    has_model_in_path: bool = field(init=False)

    @has_model_in_path.default
    def _has_model_in_path(self) -> bool:
        return "{model}" in self.path

    def path_for(self, model: str) -> str:
        """Return the path of a call for this model; quoted, so that it cannot leave its place."""
        if not self.has_model_in_path:
            return self.path
        if not model.strip("."):
            raise ClientError(f'model "{model}": not a name', kind=ErrorKind.MODEL_NOT_FOUND, param="model")
        return self.path.replace("{model}", quote(model, safe=""))


X_API_KEY = ("x-api-key", "")
ANTHROPIC_VERSION = {"anthropic-version": "2023-06-01"}


def _gemini(method: str, **more: Any) -> tuple[Endpoint, ...]:
    """Return a method's endpoint in both of the API's versions: clients choose either."""
    return tuple(
        Endpoint(
            f"/{version}/models/{{model}}:{method}",
            Api.GEMINI,
            errors=GEMINI,
            read_usage=GEMINI.read_usage,
            auth=("x-goog-api-key", ""),
            **more,
        )
        for version in ("v1beta", "v1")
    )


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
        codec=OPENRESPONSES,
        grammar=OPENRESPONSES.grammar,
        texts=("input", "instructions"),
        read_usage=read_token_usage,
    ),
    Endpoint(
        "/v1/responses/compact",
        Api.RESPONSES,
        stream=False,
        texts=("input", "instructions"),
        read_usage=read_token_usage,
    ),
    Endpoint("/v1/responses/input_tokens", Api.RESPONSES, stream=False, texts=("input", "instructions")),
    Endpoint(
        "/v1/messages",
        Api.MESSAGES,
        errors=ANTHROPIC,
        codec=ANTHROPIC,
        grammar=ANTHROPIC.grammar,
        read_usage=ANTHROPIC.read_usage,
        auth=X_API_KEY,
        headers=ANTHROPIC_VERSION,
    ),
    Endpoint(
        "/v1/messages/count_tokens",
        Api.MESSAGES,
        errors=ANTHROPIC,
        texts=("messages", "system"),
        auth=X_API_KEY,
        headers=ANTHROPIC_VERSION,
    ),
    *_gemini("generateContent", codec=GEMINI, stream=False),
    *_gemini("streamGenerateContent", codec=GEMINI, grammar=GEMINI.grammar, stream=True, query="alt=sse"),
    *_gemini("countTokens", stream=False, texts=("contents",)),
    *_gemini("embedContent", stream=False, texts=("content",)),
    *_gemini("batchEmbedContents", stream=False, texts=("requests",)),
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

TARGETS = Endpoint("/aigw/targets", None, method="GET", own="targets")

PREFERENCE = (Api.MESSAGES, Api.GEMINI, Api.CHAT, Api.RESPONSES)
"""The format to speak to a provider that does not speak the client's: its native one first."""


def generation(api: Api, *, stream: bool) -> Endpoint | None:
    """Return the endpoint at which a provider of this API is asked for an answer."""
    for endpoint in ENDPOINTS:
        if endpoint.api is api and endpoint.codec is not None and endpoint.stream in {None, stream}:
            return endpoint
    return None


def errors_for(path: str) -> Dialect:
    """Return the dialect whose errors a client expects that called a URL which does not exist."""
    last = path.rpartition("/")[2]
    if "/v1beta/" in path or ("/models/" in path and ":" in last):
        return GEMINI
    return ANTHROPIC if "/v1/messages" in path else OPENAI_CHAT

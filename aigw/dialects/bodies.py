"""Requests that the vocabulary has no words for, asked of a provider that has them under another URL.

Embeddings, pictures and token counts are small: one tree in, one tree out. So each row here says where
a provider is asked in place of the URL that the client called, and how the two trees are turned into each
other. Pure, as dialects are: nothing here knows a provider or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from attrs import frozen

from aigw.dialects.anthropic import counting
from aigw.dialects.base import Encoded, Tree
from aigw.dialects.endpoints import ENDPOINTS, Api, Endpoint
from aigw.dialects.gemini import GEMINI, embeddings, images
from aigw.dialects.openresponses import OPENRESPONSES


@frozen(eq=False)
class BodyCodec:
    """One way to ask a provider of another API for the same thing.

    endpoint: where it is asked.
    encode_request: from the client's fields, with "model" the provider's own name for it. Raises ClientError.
    decode_response: (the provider's answer, the client's fields) -> the client's answer. Raises ProtocolError
        on what is none, and ClientError where the model declined.
    models: a pattern of the provider's models that are asked so.
    dated: the client's format tells when the answer was made. counted: it tells token counts, always.
    """

    endpoint: Endpoint
    encode_request: Callable[[Tree], Encoded]
    decode_response: Callable[[Tree, Tree], Tree]
    models: str = "*"
    dated: bool = False
    counted: bool = False


def body_codec(endpoint: Endpoint, apis: Iterable[Api | None], model: str) -> BodyCodec | None:
    """Return how to ask a provider that speaks `apis` for what the client asked; None if there is no way."""
    return next(
        (
            codec
            for codec in BODIES.get(endpoint.path, ())
            if codec.endpoint.api in apis and fnmatchcase(model.lower(), codec.models)
        ),
        None,
    )


def _at(path: str) -> Endpoint:
    return next(endpoint for endpoint in ENDPOINTS if endpoint.path == path)


def _of_gemini(method: str) -> Endpoint:
    return _at(f"/v1beta/models/{{model}}:{method}")


def _to_both_versions(method: str, codec: BodyCodec) -> dict[str, tuple[BodyCodec, ...]]:
    return {f"/{version}/models/{{model}}:{method}": (codec,) for version in ("v1beta", "v1")}


def _one_embedding(tree: Tree, _request: Tree) -> Tree:
    return embeddings.encode_embeddings(tree, batch=False)


def _embeddings(tree: Tree, _request: Tree) -> Tree:
    return embeddings.encode_embeddings(tree, batch=True)


def _count_by_gemini(tree: Tree) -> Encoded:
    return embeddings.encode_count(counting.decode_count_request(tree))


def _gemini_count(tree: Tree, _request: Tree) -> Tree:
    return counting.encode_count(embeddings.read_count(tree))


def _responses_by_claude(tree: Tree) -> Encoded:
    return counting.encode_count_request(OPENRESPONSES.decode_request(tree))


def _responses_by_gemini(tree: Tree) -> Encoded:
    return embeddings.encode_count(OPENRESPONSES.decode_request(tree))


def _claude_count_for_responses(tree: Tree, _request: Tree) -> Tree:
    return {"object": "response.input_tokens", "input_tokens": counting.decode_count(tree)}


def _gemini_count_for_responses(tree: Tree, _request: Tree) -> Tree:
    return {"object": "response.input_tokens", "input_tokens": embeddings.read_count(tree)}


def _count_by_claude(tree: Tree) -> Encoded:
    return counting.encode_count_request(GEMINI.decode_request(embeddings.count_tree(tree)))


def _claude_count(tree: Tree, _request: Tree) -> Tree:
    return embeddings.write_count(counting.decode_count(tree))


IMAGEN = Endpoint(
    "/v1beta/models/{model}:predict",
    Api.GEMINI,
    errors=GEMINI,
    stream=False,
    read_usage=GEMINI.read_usage,
    auth=("x-goog-api-key", ""),
)

BODIES: Mapping[str, tuple[BodyCodec, ...]] = {
    "/v1/embeddings": (
        BodyCodec(
            _of_gemini("batchEmbedContents"),
            embeddings.encode_batch,
            embeddings.decode_embeddings,
            counted=True,
        ),
    ),
    **_to_both_versions(
        "embedContent", BodyCodec(_at("/v1/embeddings"), embeddings.decode_embed_request, _one_embedding)
    ),
    **_to_both_versions(
        "batchEmbedContents", BodyCodec(_at("/v1/embeddings"), embeddings.decode_embed_request, _embeddings)
    ),
    "/v1/images/generations": (
        BodyCodec(IMAGEN, images.encode_for_imagen, images.decode_from_imagen, models="imagen-*", dated=True),
        BodyCodec(
            _of_gemini("generateContent"), images.encode_for_gemini, images.decode_from_gemini, dated=True
        ),
    ),
    "/v1/responses/input_tokens": (
        BodyCodec(_at("/v1/messages/count_tokens"), _responses_by_claude, _claude_count_for_responses),
        BodyCodec(_of_gemini("countTokens"), _responses_by_gemini, _gemini_count_for_responses),
    ),
    "/v1/messages/count_tokens": (BodyCodec(_of_gemini("countTokens"), _count_by_gemini, _gemini_count),),
    **_to_both_versions(
        "countTokens", BodyCodec(_at("/v1/messages/count_tokens"), _count_by_claude, _claude_count)
    ),
}
"""By the path that the client called, in the order in which they are tried."""

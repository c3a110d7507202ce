"""Token probabilities: `logprobsResult`, and the vocabulary's trees in the shape OpenAI gave them."""

from __future__ import annotations

from collections.abc import Iterable

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, object_of, text_of
from aigw.model import JsonObject


def decode_logprobs(result: Tree) -> tuple[JsonObject, ...]:
    """Read one tree a token."""
    chosen = [object_of(token) for token in list_of(result.get("chosenCandidates"))]
    top = [list_of(object_of(step).get("candidates")) for step in list_of(result.get("topCandidates"))]
    return tuple(
        {
            **_token(token),
            "top_logprobs": [_token(object_of(other)) for other in (top[n] if n < len(top) else [])],
        }
        for n, token in enumerate(chosen)
    )


def _token(token: Tree) -> JsonObject:
    text = text_of(token.get("token"))
    tree: JsonObject = {
        "token": text,
        "logprob": token.get("logProbability") or 0.0,
        "bytes": list(text.encode("utf-8", "replace")),
    }
    if token.get("tokenId") is not None:
        tree["token_id"] = token["tokenId"]
    return tree


def encode_logprobs(probs: Iterable[JsonObject]) -> Tree:
    """Write the trees of all tokens as one result."""
    probs = list(probs)
    return {
        "chosenCandidates": [_candidate(prob) for prob in probs],
        "topCandidates": [
            {"candidates": [_candidate(object_of(other)) for other in list_of(prob.get("top_logprobs"))]}
            for prob in probs
        ],
    }


def _candidate(prob: JsonObject) -> Tree:
    tree: Tree = {"token": text_of(prob.get("token")), "logProbability": prob.get("logprob") or 0.0}
    if prob.get("token_id") is not None:
        tree["tokenId"] = prob["token_id"]
    return tree

"""A request as the demo reads it: a JSON body or a form, and the text that steers it.

Owns reading bodies and the identity of a question (its digest). Which fields an API wants is that
API's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson
from attrs import field, frozen

from aigw.errors import ClientError
from aigw.upstream.demo.refusal import Refusal
from aigw.upstream.provider import Call
from aigw.wire.multipart import boundary_of, parse, text_fields

Tree = dict[str, Any]

FINGERPRINT = "aigw-demo"


@frozen
class Question:
    """One request.

    tree: the JSON body, or a form's text fields. files: a form's files by field name, "[]" stripped.
    digest: hex, the same for the same question. created: Unix time in seconds.
    """

    path: str
    model: str
    tree: Tree
    digest: str
    created: int
    files: Mapping[str, bytes] = field(factory=dict, repr=False)

    @property
    def stream(self) -> bool:
        return self.tree.get("stream") in (True, "true")

    @property
    def last_text(self) -> str:
        """What the user said last, wherever this API keeps it; empty when it is not there or no text."""
        for name in ("messages", "input", "prompt"):
            if name in self.tree:
                return _last_text(self.tree[name])
        return ""

    def id(self, prefix: str, *place: object) -> str:
        """Return an identifier that depends on the question, and on a place within the answer."""
        return prefix + sha256(f"{self.digest}{place}".encode()).hexdigest()[:24]


def read_question(call: Call, *, created: int) -> Question:
    """Read a call's body. Raises Refusal when it is no JSON object and no form."""
    if call.headers.get("Content-Type", "").lower().startswith("multipart/form-data"):
        tree, files = _read_form(call)
    else:
        tree, files = _read_json(call.body), {}
    model = tree.get("model") or call.model
    if not isinstance(model, str):
        raise Refusal("Invalid type for 'model': expected a string.", param="model", code="invalid_type")
    if not model:
        raise Refusal("you must provide a model parameter")
    # Streamed or whole, it is the same question: same identifiers, same pictures.
    asked = {name: value for name, value in tree.items() if name not in ("stream", "stream_options")}
    digest = sha256(call.endpoint.path.encode() + _canonical(asked))
    for name, content in sorted(files.items()):
        digest.update(name.encode() + b"\0" + content)
    return Question(call.endpoint.path, model, tree, digest.hexdigest(), created, files)


def text_of(content: object) -> str:
    """Return the text of a message's content: a string, or the text parts of a list, a line each."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return "\n".join(part for part in parts if isinstance(part, str))


def _last_text(value: object) -> str:
    if not isinstance(value, list):
        return text_of(value)
    for item in reversed(value):
        if isinstance(item, dict) and item.get("role") == "user":
            return text_of(item.get("content"))
    return text_of(value[-1:])


def _canonical(tree: Tree) -> bytes:
    # Some answers echo a part of the question a few levels down: what fits here will fit there.
    try:
        return orjson.dumps([[[[[[[[tree]]]]]]]], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise Refusal("The JSON body of your request is nested too deeply.") from error


def _read_json(body: bytes) -> Tree:
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(f"We could not parse the JSON body of your request: {error}.") from error
    if not isinstance(tree, dict):
        raise Refusal("The body of your request must be a JSON object.")
    return tree


def _read_form(call: Call) -> tuple[Tree, dict[str, bytes]]:
    try:
        parts = parse(call.body, boundary_of(call.headers["Content-Type"]))
    except ClientError as error:
        raise Refusal(error.message) from error
    tree: Tree = dict(text_fields(call.body, parts))
    files = {part.name.removesuffix("[]"): call.body[part.start : part.end] for part in parts if part.is_file}
    return tree, files

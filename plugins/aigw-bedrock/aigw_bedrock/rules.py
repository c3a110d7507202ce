"""Which model is spoken to where, and in which format: rows of data, the first that matches counts.

Bedrock serves the same account's models at two endpoints. The runtime has every vendor's own format below
`/model/{id}/invoke`; Mantle has OpenAI's APIs, at a path that depends on the model's family and not on the
API. Source: Bedrock's user guide, "Inference using Chat Completions API" and "... Responses API", and the
threads in which users measured the paths, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from attrs import field, frozen

from aigw.config import Check, Wanted
from aigw.config.checks import filled
from aigw.dialects.endpoints import Api

SPOKEN = frozenset({Api.MESSAGES, Api.CHAT, Api.RESPONSES})

_Validator = Callable[[object, object, str], None]
_filled: _Validator = filled
_path: Check[str] = Check(
    "a path that begins with / and does not end with it, as /openai/v1",
    lambda text: text.startswith("/") and not text.endswith("/") and not {"?", "#", " "} & set(text),
)
_prefix: _Validator = _path
_one_of_two: Check[str] = Check('"runtime" or "mantle"', lambda name: name in {"runtime", "mantle"})
_endpoint: _Validator = _one_of_two


def _known(_instance: object, _attribute: object, names: tuple[str, ...]) -> None:
    if not names or not SPOKEN.issuperset(names):
        raise Wanted(f"some of {', '.join(sorted(SPOKEN))}")


@frozen
class ModelRule:
    """How models are served whose id matches.

    match: a pattern over the whole model id or ARN, with `*` and `?`.
    apis: the formats these models speak.
    endpoint: "runtime" or "mantle", where chat and responses are sent; messages always go to the runtime.
    path: what stands before /chat/completions and /responses there.
    """

    match: str = field(validator=_filled)
    apis: tuple[str, ...] = field(validator=_known)
    endpoint: str = field(default="mantle", validator=_endpoint)
    path: str = field(default="/v1", validator=_prefix)

    @property
    def spoken(self) -> frozenset[Api]:
        return frozenset(Api(name) for name in self.apis)


RULES = (
    ModelRule("*anthropic.*", ("messages",), "runtime", "/openai/v1"),
    # Application profiles do not tell the model behind them; only `invoke` takes ARNs at all.
    ModelRule("arn:*", ("messages",), "runtime", "/openai/v1"),
    # Ids with a version (openai.gpt-oss-120b-1:0) are the runtime's; Mantle has names of its own.
    ModelRule("*:*", ("chat",), "runtime", "/openai/v1"),
    ModelRule("openai.gpt-oss-safeguard*", ("chat",)),
    ModelRule("openai.gpt-oss*", ("chat", "responses")),
    ModelRule("openai.gpt-*", ("responses",), "mantle", "/openai/v1"),
    ModelRule("*", ("chat",)),
)


def rule_for(model: str, rules: Iterable[ModelRule]) -> ModelRule:
    """Return the first rule that matches a model's id; the rules end with one for all others."""
    return next(rule for rule in (*rules, *RULES) if fnmatchcase(model, rule.match))

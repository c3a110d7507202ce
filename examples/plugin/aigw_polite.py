"""aigw plugin: every conversation begins with the house's own words.

    [plugins.polite]
    words = "Answer politely and in the user's own language."
    models = ["fast", "openai/*"]
    header = "X-Title"
    value = "polite"

Works on the fields of two formats, Chat Completions and Responses; other requests pass as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

import aigw
from aigw.config import Check, Wanted

if TYPE_CHECKING:
    from aigw.pipeline.payload import Payload

_words: Check[str] = Check("some words", lambda text: bool(text.strip()))
_patterns: Check[tuple[str, ...]] = Check(
    "names or patterns of models", lambda names: bool(names) and all(names)
)


@frozen
class PoliteConfig:
    """The plugin's own section, `[plugins.polite]`; every mistake in it is told by `aigw check`.

    words: what the model is told first.
    models: whom it is told to, by the names clients use.
    header, value: sent to the provider with these calls; both or neither.
    """

    words: str = field(default="Answer politely.", validator=_words)
    models: tuple[str, ...] = field(default=("*",), validator=_patterns)
    header: str | None = field(default=None, validator=_words)
    value: str | None = field(default=None, validator=_words)

    def __attrs_post_init__(self) -> None:
        if (self.header is None) != (self.value is None):
            raise Wanted("header and value both, or neither")


class Polite(aigw.Plugin):
    """Adds the words to what is asked, and a header to the calls that carry them."""

    name = "polite"
    Config = PoliteConfig

    def __init__(self, config: PoliteConfig) -> None:
        self._config = config

    async def rewrite_request(self, exchange: aigw.Exchange, payload: Payload[Any]) -> None:
        add = _FORMATS.get(exchange.api)
        if add is None or not any(fnmatchcase(exchange.model, pattern) for pattern in self._config.models):
            return
        add(payload.edit(), self._config.words)
        exchange.scratch[self.name] = True

    async def before_call(self, exchange: aigw.Exchange, attempt: aigw.Attempt, call: aigw.Call) -> None:  # noqa: ARG002
        if self._config.header and self._config.value and self.name in exchange.scratch:
            call.headers[self._config.header] = self._config.value


def _add_to_chat(fields: dict[str, Any], words: str) -> None:
    messages = fields.get("messages")
    if isinstance(messages, list):  # what else it may be, the provider has the words for
        fields["messages"] = [{"role": "system", "content": words}, *messages]


def _add_to_responses(fields: dict[str, Any], words: str) -> None:
    said = fields.get("instructions")
    fields["instructions"] = f"{words}\n\n{said}" if isinstance(said, str) and said else words


_FORMATS: Mapping[str, Callable[[dict[str, Any], str], None]] = MappingProxyType(
    {"chat": _add_to_chat, "responses": _add_to_responses}
)

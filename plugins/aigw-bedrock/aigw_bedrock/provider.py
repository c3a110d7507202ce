"""Bedrock as a provider: which URL, which body, whose answer.

Owns the way of one call. What differs between models is data (`aigw_bedrock.rules`), who signs is
`aigw_bedrock.signing`'s, and the two wire formats are translated next door.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

import orjson

from aigw.dialects.endpoints import Api
from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.face import face_of
from aigw.upstream.kind import fill_path
from aigw.upstream.provider import Answer, BaseProvider, Call, Timeouts
from aigw.upstream.transport import make_transport
from aigw.upstream.transport.base import Transport, TransportSettings
from aigw_bedrock.errors import tell_failure
from aigw_bedrock.eventstream import MEDIA_TYPE, EventStreamAnswer
from aigw_bedrock.invoke import from_count, to_count, to_invoke
from aigw_bedrock.rules import SPOKEN, ModelRule, rule_for
from aigw_bedrock.signing import Authority, Bearer

RUNTIME = "bedrock"
MANTLE = "bedrock-mantle"
"""The names under which the two endpoints' requests are signed."""

COUNT_PATH = "/v1/messages/count_tokens"
MAX_COUNT_BYTES = 64 * 1024

# Where regions have names of their own for the internet; every other ends in amazonaws.com.
_SUFFIXES = (("cn-", "amazonaws.com.cn"), ("eusc-", "amazonaws.eu"))


class Outgoing(NamedTuple):
    """What a call becomes."""

    url: str
    service: str
    body: bytes


class BedrockProvider(BaseProvider):
    """Amazon Bedrock in one region.

    authority: who puts the credential into a request. rules: how models are served, before the usual rules.
    base_url: in place of the runtime's address. mantle_url: in place of Mantle's; base_url where that is set.
    """

    apis = SPOKEN

    def __init__(  # noqa: PLR0913 - each is one setting of a provider
        self,
        name: str,
        *,
        region: str,
        authority: Authority,
        base_url: str | None = None,
        mantle_url: str | None = None,
        rules: Iterable[ModelRule] = (),
        apis: Iterable[Api | str] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        settings: TransportSettings | None = None,
        transport: Transport | str | None = None,
    ) -> None:
        super().__init__(name, apis=apis)
        self.apis &= SPOKEN  # so that "all" is all there is
        self.timeouts = timeouts or Timeouts()
        self.rules = tuple(rules)
        self._authority = authority
        self._runtime_url = (base_url or runtime_url(region)).rstrip("/")
        self._mantle_url = (mantle_url or base_url or f"https://bedrock-mantle.{region}.api.aws").rstrip("/")
        self._headers = dict(headers or {})
        self._query = urlencode(query or {})
        self._transport = make_transport(transport, name, settings, self.timeouts.connect_s)

    def __repr__(self) -> str:
        return f"BedrockProvider({self.name!r}, {self._runtime_url!r})"

    async def open(self) -> None:
        await self._transport.open()

    async def close(self) -> None:
        await self._authority.close()
        await self._transport.close()

    async def call(self, call: Call) -> Answer:
        headers = call.headers
        headers.update(self._headers)
        url, service, body = self.outgoing(call)
        authority = self._authority
        if self.forward_client_key and call.client_key:
            authority = Bearer(call.client_key)
        await authority.authorize(url, service, headers, body)
        answer = await self._transport.send("POST", url, headers, body)
        if answer.status >= 300:
            return await tell_failure(answer, call.endpoint.api)
        if call.path == COUNT_PATH:
            return await self._count(answer)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return EventStreamAnswer(answer, self.name) if media_type == MEDIA_TYPE else answer

    def outgoing(self, call: Call) -> Outgoing:
        """Return where a call goes, and what it says; headers that Bedrock has elsewhere are moved there."""
        if call.endpoint.api is Api.MESSAGES:
            return self._invoke(call)
        rule = rule_for(call.model, self.rules)
        base_url, service = (
            (self._mantle_url, MANTLE) if rule.endpoint == "mantle" else (self._runtime_url, RUNTIME)
        )
        return Outgoing(self._url(base_url + rule.path + call.path.removeprefix("/v1")), service, call.body)

    def face(self, model: str) -> BaseProvider:
        """Return this provider as it is for one model: with the formats that the model speaks."""
        return face_of(self, rule_for(model, self.rules).spoken)

    def _invoke(self, call: Call) -> Outgoing:
        headers = call.headers
        if call.path == COUNT_PATH:
            action, body = "count-tokens", to_count(call.body, headers)
        else:
            action = "invoke-with-response-stream" if call.stream else "invoke"
            body = to_invoke(call.body, headers)
        headers["Accept"] = MEDIA_TYPE if action == "invoke-with-response-stream" else "application/json"
        path = fill_path("/model/{model}/" + action, call.path, call.model)
        return Outgoing(self._url(self._runtime_url + path), RUNTIME, body)

    def _url(self, url: str) -> str:
        # A client's own query (`?beta=true`) is Anthropic's or OpenAI's, and means nothing here.
        return f"{url}?{self._query}" if self._query else url

    async def _count(self, answer: Answer) -> Answer:
        try:
            body = await answer.read(MAX_COUNT_BYTES)
        finally:
            await answer.close()
        try:
            return Answer.json(from_count(orjson.loads(body)))
        except (orjson.JSONDecodeError, AttributeError) as error:
            raise UpstreamError(
                f'provider "{self.name}": its token count is not valid',
                kind=ErrorKind.UPSTREAM_PROTOCOL,
                provider=self.name,
            ) from error


def runtime_url(region: str) -> str:
    """Return the address of a region's runtime."""
    suffix = next((suffix for prefix, suffix in _SUFFIXES if region.startswith(prefix)), "amazonaws.com")
    return f"https://bedrock-runtime.{region}.{suffix}"

"""Vertex AI as a provider: which URL, which body, whose token.

Owns the way of one call. Whose a model is, is data (`aigw_vertex.publishers`); tokens and bodies are made
next door.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode

from aigw.dialects.endpoints import Api
from aigw.errors import ClientError, ErrorKind, ServerError
from aigw.upstream.face import face_of
from aigw.upstream.provider import Answer, BaseProvider, Call, Timeouts
from aigw.upstream.transport import make_transport
from aigw.upstream.transport.base import Transport, TransportSettings
from aigw_vertex.body import to_chat, to_count, to_gemini, to_predict
from aigw_vertex.errors import tell_failure
from aigw_vertex.publishers import SPOKEN, split_model, spoken_by
from aigw_vertex.tokens import Token, TokenSource

COUNT_PATH = "/v1/messages/count_tokens"
_METHODS = frozenset({"generateContent", "streamGenerateContent", "countTokens", "embedContent"})

# Places whose address is not `{location}-aiplatform.googleapis.com`.
_HOSTS = {
    "global": "aiplatform.googleapis.com",
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}


class VertexProvider(BaseProvider):
    """Vertex AI in one project and location.

    tokens: who has access tokens. project: by default the one that the credentials belong to.
    publishers: patterns of bare model names to publishers, before the usual rules.
    base_url: in place of the location's address. api_version: the first part of every path.
    """

    apis = SPOKEN

    def __init__(  # noqa: PLR0913 - each is one setting of a provider
        self,
        name: str,
        *,
        tokens: TokenSource,
        project: str | None = None,
        location: str = "global",
        base_url: str | None = None,
        api_version: str = "v1",
        publishers: Mapping[str, str] | None = None,
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
        self.publishers = dict(publishers or {})
        self._tokens = tokens
        self._project = project
        self._location = location
        self._base_url = (base_url or f"https://{host_of(location)}").rstrip("/") + f"/{api_version}"
        self._headers = dict(headers or {})
        self._query = dict(query or {})
        self._transport = make_transport(transport, name, settings, self.timeouts.connect_s)

    def __repr__(self) -> str:
        return f"VertexProvider({self.name!r}, {self._base_url!r}, location={self._location!r})"

    async def open(self) -> None:
        await self._transport.open()

    async def close(self) -> None:
        await self._tokens.close()
        await self._transport.close()

    async def call(self, call: Call) -> Answer:
        path, body = self.outgoing(call)  # what cannot be sent needs no token
        callers = call.client_key if self.forward_client_key else None
        token = Token(callers) if callers else await self._tokens.get()
        headers = call.headers
        headers.popall("anthropic-version", None)  # the body says it
        headers.update(self._headers)
        headers["Authorization"] = f"Bearer {token.text}"
        if token.quota_project:
            headers.setdefault("x-goog-user-project", token.quota_project)
        answer = await self._transport.send("POST", self._url(path, token), headers, body)
        if answer.status < 300:
            return answer
        if answer.status == 401 and not callers:
            self._tokens.refused(token)
        return await tell_failure(answer, call.endpoint.api)

    def outgoing(self, call: Call) -> tuple[str, bytes]:
        """Return the path of a call below project and location, and what it says."""
        publisher, name = split_model(call.model, self.publishers)
        if call.path == COUNT_PATH:
            path = f"publishers/{_segment(publisher)}/models/count-tokens:rawPredict"
            return path, to_count(call.body, name)
        match call.endpoint.api:
            case Api.CHAT:
                return "endpoints/openapi/chat/completions", to_chat(call.body, f"{publisher}/{name}")
            case Api.MESSAGES:
                method, body = "streamRawPredict" if call.stream else "rawPredict", to_predict(call.body)
            case _:
                method, body = _method(call), to_gemini(call.body)
        return f"publishers/{_segment(publisher)}/models/{_segment(name)}:{method}", body

    def face(self, model: str) -> BaseProvider:
        """Return this provider as it is for one model: with the formats that the model speaks."""
        return face_of(self, spoken_by(split_model(model, self.publishers)[0]))

    def _url(self, path: str, token: Token) -> str:
        project = self._project or token.project
        if not project:
            raise ServerError(
                f'provider "{self.name}" has no project; set options.project',
                kind=ErrorKind.MISCONFIGURED,
                provider=self.name,
            )
        # A client's own query (`?beta=true`, `?key=`) is Anthropic's or Google's other API's.
        query = urlencode(
            {**self._query, **({"alt": "sse"} if path.endswith(":streamGenerateContent") else {})}
        )
        place = f"projects/{quote(project, safe=':')}/locations/{quote(self._location, safe='')}"
        return f"{self._base_url}/{place}/{path}" + (f"?{query}" if query else "")


def host_of(location: str) -> str:
    """Return the host that serves a location."""
    return _HOSTS.get(location, f"{location}-aiplatform.googleapis.com")


def _method(call: Call) -> str:
    method = call.path.rpartition(":")[2]
    if method not in _METHODS:
        raise ClientError(
            f'Vertex AI has no method "{method}"; it has {", ".join(sorted(_METHODS))}',
            kind=ErrorKind.NOT_FOUND,
        )
    return method


def _segment(name: str) -> str:
    """Quote a name so that it cannot leave its place in a path; versions (`@20250929`) stay readable."""
    if not name.strip("."):
        raise ClientError(f'model "{name}": not a name', kind=ErrorKind.MODEL_NOT_FOUND, param="model")
    return quote(name, safe="@")

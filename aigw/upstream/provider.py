"""What a provider is to the rest of the gateway: something that answers a `Call`.

Owns the three types between the pipeline and whatever stands behind it: `Call` (what is asked),
`Answer` (what comes back, chunk by chunk) and `BaseProvider` (the base class; twenty lines make one that
is not HTTP at all). Must not know clients, hooks or the pipeline.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import orjson
from attrs import define, field, frozen
from multidict import CIMultiDict

from aigw.dialects.endpoints import Api, Endpoint
from aigw.errors import ErrorKind, GatewayError, UpstreamError

logger = logging.getLogger("aigw.upstream")

ALL_APIS = frozenset(Api)


@define(eq=False)
class Call:
    """One request as a provider is about to get it. `before_call` hooks may change any of it.

    model: the provider's own name for it (also written in the body).
    path: the endpoint as the client called it, `/v1/chat/completions`; a provider maps it to its own URL.
    query: what the client put behind the `?`, less any credential.
    headers: end-to-end headers only; the provider adds its credential itself.
    body: the whole body in the endpoint's wire format.
    client_key: the caller's own credential; set only for a provider that forwards it.
    key: the name of the credential it was made with, set by a provider that has several.
    """

    endpoint: Endpoint
    model: str
    path: str
    headers: CIMultiDict[str]
    body: bytes = field(repr=False)
    stream: bool = False
    method: str = "POST"
    query: str = ""
    client_key: str | None = field(default=None, repr=False)
    key: str | None = None

    def json(self) -> dict[str, Any]:
        """Parse the body (for providers that are not HTTP). Raises orjson.JSONDecodeError."""
        tree: dict[str, Any] = orjson.loads(self.body)
        return tree


class Answer(ABC):
    """What a provider answers: a status, headers, and a body that is pulled chunk by chunk.

    `chunk` returns b"" at the end and raises UpstreamError when the body breaks off. `close` must be
    safe to call at any time and more than once; it gives the connection back, or drops it if the
    body was not read to its end.
    """

    status: int
    headers: CIMultiDict[str] | Mapping[str, str]

    @abstractmethod
    async def chunk(self) -> bytes:
        """Wait for the next piece of the body, whatever its size."""

    async def flow(self, take: Callable[[bytes], bool]) -> None:
        """Give `take` each piece of the body as it comes, b"" at the end, until it returns False.

        What `take` raises is raised here.
        """
        while take(chunk := await pull(self)) and chunk:
            pass

    def at_once(self) -> bytes | None:
        """Return the whole body if it is there already, so that nobody has to wait for it; else None."""
        return None

    async def read(self, limit: int | None = None) -> bytes:
        """Read the whole body. Past `limit` bytes reading stops and what came so far is returned."""
        parts: list[bytes] = []
        size = 0
        while part := await pull(self):
            parts.append(part)
            size += len(part)
            if limit is not None and size > limit:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def close(self) -> None:  # noqa: B027 - most answers hold nothing
        """Drop what has not been read."""

    @staticmethod
    def json(tree: object, *, status: int = 200) -> Answer:
        """Answer with one JSON document."""
        return BufferedAnswer(status, {"Content-Type": "application/json"}, orjson.dumps(tree))

    @staticmethod
    def whole(body: bytes, content_type: str, *, status: int = 200) -> Answer:
        """Answer with bytes that are all there already."""
        return BufferedAnswer(status, {"Content-Type": content_type}, body)

    @staticmethod
    def stream(chunks: AsyncIterator[bytes], content_type: str = "text/event-stream") -> Answer:
        """Answer with bytes as they come; closing the answer closes the iterator."""
        return IteratorAnswer(chunks, content_type)


async def pull(answer: Answer) -> bytes:
    """Wait for an answer's next chunk; whatever goes wrong in it is the provider's failure."""
    try:
        return await answer.chunk()
    except GatewayError:
        raise
    except Exception as error:
        logger.exception("an answer of a provider failed")
        raise UpstreamError("its answer breaks off", kind=ErrorKind.UPSTREAM_TRUNCATED) from error


class BufferedAnswer(Answer):
    """A body that is in memory already."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = CIMultiDict(headers)
        self._body = body

    async def chunk(self) -> bytes:
        body, self._body = self._body, b""
        return body


class IteratorAnswer(Answer):
    """A body that an async iterator produces."""

    def __init__(self, chunks: AsyncIterator[bytes], content_type: str) -> None:
        self.status = 200
        self.headers = CIMultiDict({"Content-Type": content_type})
        self._chunks = chunks

    async def chunk(self) -> bytes:
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""

    async def close(self) -> None:
        # Async generators hold resources in their own finally blocks; a plain iterator has no aclose.
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()


@frozen
class Timeouts:
    """How long to wait for a provider, in seconds; None means without limit.

    connect_s: for a connection. first_byte_s: from the call to the head of the answer, connecting included.
    read_s: between two reads of its body. total_s: for the whole answer. first_token_s: from the call to a
    stream's first content.
    """

    connect_s: float = 10.0
    first_byte_s: float = 300.0
    read_s: float = 300.0
    total_s: float | None = None
    first_token_s: float | None = None


class BaseProvider(ABC):
    """Base of every provider. Subclass it, set `apis`, write `call`.

    name: how configuration, models and metrics call it.
    apis: what it speaks; a request for anything else is answered with a clear 404.
    stream_usage: "ask" (token counts in a stream come when `stream_options` asks), "always" or "never".
    done_optional: a stream may end without the format's terminal mark once a finish reason was given.
    compacts: it compacts conversations by itself; those of any other are summed up by the gateway.
    hosted_tools: types of tools that it runs itself when it is asked for a response.
    repeats_ids: it may give two answers the same id, so the gateway names those that are kept.
    forward_client_key: give it the caller's own credential.
    forward_headers: names of client headers it gets beside the usual ones.
    timeouts: kept by the pipeline, so that they hold for every kind of provider.
    wraps: the providers it calls; the gateway opens them before it and closes them after it.
    """

    apis: frozenset[Api] = ALL_APIS
    stream_usage: str = "ask"
    done_optional: bool = False
    compacts: bool = False
    repeats_ids: bool = False
    hosted_tools: frozenset[str] = frozenset()
    forward_client_key: bool = False
    forward_headers: tuple[str, ...] = ()
    timeouts: Timeouts = Timeouts()
    wraps: tuple[BaseProvider, ...] = ()

    def __init__(self, name: str, *, apis: Iterable[Api | str] | None = None) -> None:
        self.name = name
        if apis is not None:
            self.apis = parse_apis(apis)

    @property
    def vendor(self) -> str:
        """Whose models it serves, as profiles name vendors."""
        return self.name

    async def open(self) -> None:  # noqa: B027 - most providers that are not HTTP hold nothing
        """Acquire what must live as long as the gateway. Called once, in the running loop."""

    async def close(self) -> None:  # noqa: B027
        """Release it again."""

    @abstractmethod
    async def call(self, call: Call) -> Answer:
        """Ask the model. Raises UpstreamError when no answer came; an error status is an answer too."""

    def spare_key(self, key: str | None, error: GatewayError) -> bool:  # noqa: ARG002 - most have one key
        """Say whether a call that failed is worth making again at once, with another credential.

        key: the name of the one it was made with. A provider with several leaves that one alone for a while.
        """
        return False

    async def ping(self, path: str) -> None:  # noqa: ARG002 - only what speaks HTTP has paths
        """Ask whether it is there. Raises GatewayError when it is not."""
        await self.models()

    async def models(self) -> list[str]:
        """Names of the models it serves, in its own spelling; empty where it cannot tell."""
        return []


def parse_apis(names: Iterable[Api | str]) -> frozenset[Api]:
    """Turn configuration's names into APIs; "all" means every one. Raises ValueError on another word."""
    found: set[Api] = set()
    for name in names:
        if name == "all":
            found |= ALL_APIS
        else:
            found.add(Api(name))
    return frozenset(found)

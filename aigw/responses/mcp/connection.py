"""One MCP server while one response is made: its session, opened when it is needed first.

Owns the session's task: transport and session are opened and closed in it, so that whatever breaks in them
breaks nothing else, and what its failures are called. Tries both transports that servers have.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import orjson
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Implementation

from aigw.dialects.base import Tree
from aigw.responses.mcp.failure import (
    INVALID_ARGUMENTS,
    RefusedServerError,
    ToolError,
    execution_error,
    http_error,
    protocol_error,
)
from aigw.responses.mcp.server import McpServer
from aigw.responses.mcp.transport import http_client
from aigw.version import __version__

logger = logging.getLogger("aigw.mcp")

T = TypeVar("T")
Transport = AbstractAsyncContextManager[Any]
Make = Callable[..., httpx2.AsyncClient]

CLOSE_S = 2.0
"""How long a session may take to say goodbye."""
MAX_PAGES = 50
MAX_OUTPUT_CHARS = 2**20


class Connection:
    """A session with one server. anywhere: it may be at an address that is not public."""

    def __init__(self, server: McpServer, *, anywhere: bool, timeout_s: float) -> None:
        self._server = server
        self._anywhere = anywhere
        self._timeout_s = timeout_s
        self._client: asyncio.Future[Client] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def list_tools(self) -> list[Tree]:
        """Return the server's tools as `mcp_list_tools` has them. Raises ToolError, RefusedServerError."""
        return await self._asked(_list_tools)

    async def call(self, name: str, arguments: str) -> str:
        """Run a tool and return what it said. Raises ToolError, RefusedServerError."""
        given = _parsed(arguments)
        result = await self._asked(lambda client: client.call_tool(name, given))
        text = text_of(result)
        if result.is_error:
            raise execution_error(text)
        return text

    async def close(self) -> None:
        """End the session; one that does not end by itself is cut off."""
        if self._task is None:
            return
        self._closing.set()
        try:
            await asyncio.wait({self._task}, timeout=CLOSE_S)
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _asked(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await ask(await self._opened())
        except TimeoutError:
            raise http_error(504, f"the server did not answer within {self._timeout_s:g} seconds") from None
        except (ToolError, RefusedServerError):
            raise
        except Exception as error:
            raise _named(error) from error

    async def _opened(self) -> Client:
        if self._client is None:
            self._client = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._live(self._client), name="aigw mcp session")
        return await asyncio.shield(self._client)

    async def _live(self, opened: asyncio.Future[Client]) -> None:
        first: Exception | None = None
        for transport in self._transports():
            try:
                await self._run(transport, opened)
            except Exception as error:  # noqa: BLE001 - a library's own task groups raise anything
                first = first or error
                if opened.done() or isinstance(_leaf(error), RefusedServerError):
                    break
            else:
                return
        if not opened.done():
            opened.set_exception(first or ConnectionError("the session did not open"))
            opened.exception()  # looked at: nobody may be waiting any more
        else:
            logger.debug("the session with an MCP server broke: %s", type(first).__name__)

    async def _run(self, transport: Transport, opened: asyncio.Future[Client]) -> None:
        own = Implementation(name="aigw", version=__version__)
        async with Client(transport, client_info=own, cache=None) as client:
            opened.set_result(client)
            await self._closing.wait()

    def _transports(self) -> Iterator[Transport]:
        """Yield the two transports, the likelier one first: nothing but its URL tells a server's own."""
        likely, other = _streamable, _sse
        if urlsplit(self._server.url).path.rstrip("/").endswith("/sse"):
            likely, other = other, likely
        yield likely(self._server.url, self._http)
        yield other(self._server.url, self._http)

    def _http(self, *_: object, **__: object) -> httpx2.AsyncClient:
        return http_client(self._server.headers, self._timeout_s, anywhere=self._anywhere)


@contextlib.asynccontextmanager
async def _streamable(url: str, make: Make) -> AsyncIterator[Any]:
    async with make() as http, streamable_http_client(url, http_client=http) as streams:
        yield streams


@contextlib.asynccontextmanager
async def _sse(url: str, make: Make) -> AsyncIterator[Any]:
    async with sse_client(url, httpx_client_factory=make) as streams:
        yield streams


async def _list_tools(client: Client) -> list[Tree]:
    tools: list[Tree] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            notes = tool.annotations
            tools.append(
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": tool.input_schema,
                    "annotations": notes.model_dump(by_alias=True, exclude_none=True) if notes else None,
                }
            )
        cursor = page.next_cursor
        if not cursor:
            break
    return tools


def _parsed(arguments: str) -> dict[str, Any]:
    parsed: object = None
    with contextlib.suppress(orjson.JSONDecodeError):
        parsed = orjson.loads(arguments or "{}")
    if not isinstance(parsed, dict):
        raise protocol_error(INVALID_ARGUMENTS, "the arguments are no JSON object")
    return parsed


def text_of(result: CallToolResult) -> str:
    """Return what a tool said as text; of what is no text, what kind it is and how large."""
    parts = [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in result.content]
    texts = [_text(part) for part in parts]
    if not texts and result.structured_content is not None:
        texts = [orjson.dumps(result.structured_content).decode()]
    text = "\n".join(texts)
    if len(text) > MAX_OUTPUT_CHARS:
        return f"{text[:MAX_OUTPUT_CHARS]}\n[cut off: {len(text)} characters in all]"
    return text


def _text(part: Tree) -> str:
    if part["type"] == "text":
        return str(part["text"])
    data = part.get("data")
    if isinstance(data, str):
        return f"[{part['type']}: {part.get('mimeType')}, {len(data) * 3 // 4} bytes]"
    resource = part.get("resource")
    if isinstance(resource, dict) and isinstance(resource.get("text"), str):
        return str(resource["text"])
    return orjson.dumps({name: value for name, value in part.items() if name != "_meta"}).decode()


def _leaf(error: BaseException) -> BaseException:
    """Return the failure at the bottom of the library's task groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _named(error: Exception) -> ToolError | RefusedServerError:
    """Name a failure without its URL, its address, or anything else that is not the client's to know."""
    match _leaf(error):
        case RefusedServerError() as refused:
            return refused
        case MCPError() as told:
            return protocol_error(told.error.code, told.error.message)
        case httpx2.HTTPStatusError() as answered:
            return http_error(answered.response.status_code, "the server answered with an HTTP error")
        case httpx2.HTTPError() | OSError():
            return http_error(502, "the server cannot be reached")
        case other:
            logger.warning("an MCP server failed: %s", type(other).__name__)
            return http_error(502, "the server does not answer as an MCP server does")

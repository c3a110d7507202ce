"""MCP servers over real HTTP, made with the official library, that remember how they were called."""

import asyncio
import socket

import uvicorn
from attrs import define, field
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

READ_ONLY = ToolAnnotations(read_only_hint=True)


@define(eq=False)
class Watcher:
    """An ASGI application before the server's own: counts what is asked and what is being answered."""

    app: object
    asked: list = field(factory=list)
    headers: list = field(factory=list)
    open: int = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        self.asked.append((scope["method"], scope["path"]))
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.open += 1
        try:
            return await self.app(scope, receive, send)
        finally:
            self.open -= 1


@define(eq=False)
class Running:
    """A server that runs.

    called: names and arguments of the tools; cancelled: of those that were cut off. meet: where calls of
    `add` wait for each other. hold: until this, `wait` does.
    """

    url: str = ""
    called: list = field(factory=list)
    cancelled: list = field(factory=list)
    watcher: Watcher | None = None
    hold: asyncio.Event = field(factory=asyncio.Event)
    meet: asyncio.Barrier | None = None


def tools_of(running):
    """Return a server with tools that add, fail, wait and remember."""
    server = MCPServer("tests")

    @server.tool(description="Adds two numbers", annotations=READ_ONLY)
    async def add(a: int, b: int) -> str:
        running.called.append(("add", {"a": a, "b": b}))
        if running.meet is not None:
            async with asyncio.timeout(5):
                await running.meet.wait()
        return str(a + b)

    @server.tool(description="Fails")
    async def fail() -> str:
        running.called.append(("fail", {}))
        raise ValueError("the tool is broken")

    @server.tool(description="Waits until it is let go")
    async def wait() -> str:
        running.called.append(("wait", {}))
        try:
            await running.hold.wait()
        except asyncio.CancelledError:
            running.cancelled.append("wait")
            raise
        return "at last"

    return server


class Servers:
    """Starts servers, and stops them all."""

    def __init__(self):
        self._running = []

    async def start(self, transport="http", *, json_response=False):
        running = Running()
        server = tools_of(running)
        if transport == "sse":
            app, path = server.sse_app(), "/sse"
        else:
            app, path = server.streamable_http_app(json_response=json_response), "/mcp"
        running.watcher = Watcher(app)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            running.watcher, log_level="critical", ws="none", timeout_graceful_shutdown=1, access_log=False
        )
        host = uvicorn.Server(config)
        task = asyncio.create_task(host.serve(sockets=[listening]))
        self._running.append((host, task, running))
        while not host.started:  # noqa: ASYNC110 - uvicorn has nothing to wait for
            await asyncio.sleep(0.005)
        running.url = f"http://127.0.0.1:{listening.getsockname()[1]}{path}"
        return running

    async def stop(self):
        for host, task, running in self._running:
            running.hold.set()
            host.should_exit = True
            await task

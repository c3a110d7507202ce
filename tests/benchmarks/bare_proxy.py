"""The reference: the least an aiohttp proxy can do, bytes through and nothing looked at."""

import sys

import aiohttp
import uvloop
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "authorization"}
UPSTREAM = web.AppKey("upstream", str)
SESSION = web.AppKey("session", aiohttp.ClientSession)


async def handle(request):
    body = await request.read()
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
    session = request.app[SESSION]
    async with session.post(request.app[UPSTREAM] + request.path_qs, data=body, headers=headers) as answer:
        head = {"Content-Type": answer.headers["Content-Type"]}
        if answer.content_length is not None:
            return web.Response(body=await answer.read(), status=answer.status, headers=head)
        response = web.StreamResponse(status=answer.status, headers=head)
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def session_of(app):
    # What costs aiohttp's client most is switched off, so that the reference is a hard one.
    app[SESSION] = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
    )
    yield
    await app[SESSION].close()


def make(upstream):
    app = web.Application(client_max_size=2**26)
    app[UPSTREAM] = upstream
    app.router.add_post("/v1/{tail:.*}", handle)
    app.cleanup_ctx.append(session_of)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(make(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None)

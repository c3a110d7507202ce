"""The HTTP client against providers that fail: every failure has its name, and none tells the key."""

import asyncio
import gzip
import ssl

import pytest
import trustme
from multidict import CIMultiDict
from support.misbehaving import KEY, OK, Raw, chain, fetch, free_port, listening

from aigw.errors import ConfigError, ErrorKind, UpstreamError
from aigw.upstream.http import Provider
from aigw.upstream.transport.aiohttp_client import AiohttpTransport
from aigw.upstream.transport.base import TransportSettings

BROKEN = {
    "early close": (["close"], ErrorKind.UPSTREAM_UNREACHABLE),
    "reset": (["reset"], ErrorKind.UPSTREAM_UNREACHABLE),
    "half a head": ([b"HTTP/1.1 200 OK\r\nContent-", "close"], ErrorKind.UPSTREAM_UNREACHABLE),
    "garbage": ([b"SSH-2.0-OpenSSH\r\n\r\n", "close"], ErrorKind.UPSTREAM_PROTOCOL),
    "too short": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", "close"],
        ErrorKind.UPSTREAM_TRUNCATED,
    ),
    "too short, reset": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", 0.05, "reset"],
        ErrorKind.UPSTREAM_TRUNCATED,
    ),
    "cut between chunks": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "close"],
        ErrorKind.UPSTREAM_TRUNCATED,
    ),
    "cut in a chunk": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello", "close"],
        ErrorKind.UPSTREAM_TRUNCATED,
    ),
    "broken gzip": (
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"],
        ErrorKind.UPSTREAM_TRUNCATED,
    ),
    "broken gzip later": (
        [
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n"
            + gzip.compress(b"a" * 99)[:20],
            0.05,
            b"\xff" * 980,
        ],
        ErrorKind.UPSTREAM_TRUNCATED,
    ),
    "huge header": (
        [b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n"],
        ErrorKind.UPSTREAM_PROTOCOL,
    ),
    "many headers": (
        [b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000 + b"Content-Length: 0\r\n\r\n"],
        ErrorKind.UPSTREAM_PROTOCOL,
    ),
}


@pytest.mark.parametrize(("answer", "kind"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_has_its_own_kind_and_tells_no_secret(raw, transport, answer, kind):
    raw.play(answer)
    subject = await transport()
    with pytest.raises(UpstreamError) as caught:
        await fetch(subject, raw.url)
    assert caught.value.kind is kind
    assert caught.value.provider == "up"
    assert not any(KEY in repr(error) + str(error) for error in chain(caught.value))
    assert raw.url.rpartition(":")[2] not in str(caught.value)


async def test_a_refused_connection_is_unreachable(transport):
    subject = await transport()
    with pytest.raises(UpstreamError, match="refused the connection") as caught:
        await fetch(subject, f"http://127.0.0.1:{free_port()}")
    assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE


async def test_an_unknown_host_is_unreachable(transport):
    subject = await transport()
    with pytest.raises(UpstreamError, match="host name is not known") as caught:
        await fetch(subject, "http://nowhere.invalid")
    assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE


async def test_an_answer_without_a_length_ends_with_its_connection(raw, transport):
    raw.play([b"HTTP/1.1 200 OK\r\n\r\nhello", "close"])
    _, body = await fetch(await transport(), raw.url)
    assert body == b"hello"


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"]
)
async def test_interim_answers_are_passed_over(raw, transport, interim):
    raw.play([interim, 0.02, interim + OK])
    answer, body = await fetch(await transport(), raw.url)
    assert (answer.status, body) == (200, b"{}")


async def test_a_compressed_answer_is_unpacked(raw, transport):
    packed = gzip.compress(b'{"a": 1}' * 1000)
    raw.play(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    )
    _, body = await fetch(await transport(), raw.url)
    assert body == b'{"a": 1}' * 1000


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_connection_the_provider_closed_between_requests_is_replaced(raw, transport, end):
    raw.play(OK, [end], OK)
    subject = await transport()
    await fetch(subject, raw.url)
    _, body = await fetch(subject, raw.url)
    assert body == b"{}"
    assert raw.connections == 2


async def test_a_connection_closed_while_idle_is_not_used_again(raw, transport):
    raw.play([OK, 0.02, "close"], OK)
    subject = await transport()
    await fetch(subject, raw.url)
    await asyncio.sleep(0.1)
    _, body = await fetch(subject, raw.url)
    assert body == b"{}"
    assert len(raw.heads) == 2


async def test_connections_are_used_again(raw, transport):
    raw.play(OK)
    subject = await transport()
    for _ in range(5):
        await fetch(subject, raw.url)
    assert raw.connections == 1


async def test_redirects_are_never_followed(raw, transport):
    raw.play(f"HTTP/1.1 307 Go\r\nLocation: {raw.url}/evil\r\nContent-Length: 0\r\n\r\n".encode())
    answer, _ = await fetch(await transport(), raw.url)
    assert answer.status == 307
    assert len(raw.heads) == 1


async def test_the_request_goes_out_with_nothing_added(raw, transport):
    raw.play(OK)
    await fetch(await transport(), raw.url, b'{"a": 1}')
    names = {line.partition(":")[0].lower() for line in raw.heads[0].split("\r\n")[1:] if line}
    assert names == {"host", "authorization", "content-type", "content-length"}
    assert raw.bodies == [b'{"a": 1}']


async def test_a_large_body_arrives_whole(raw, transport):
    raw.play(OK, ["close"], OK)
    subject = await transport()
    await fetch(subject, raw.url)
    body = bytes(range(256)) * 20_000
    await fetch(subject, raw.url, body)
    assert raw.bodies[1:] == [body, body]


async def test_an_answer_that_is_closed_early_drops_its_connection(raw, transport):
    raw.play([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", 5.0], OK)
    subject = await transport()
    answer = await subject.send("POST", raw.url, CIMultiDict(), b"{}")
    assert await answer.chunk() == b"hello"
    await answer.close()
    await answer.close()
    await fetch(subject, raw.url)
    assert raw.connections == 2


async def test_a_transport_that_is_not_open_says_so(client):
    subject = client("up", TransportSettings())
    with pytest.raises(RuntimeError, match='"up" is not open'):
        await subject.send("POST", "http://x", CIMultiDict(), None)
    await subject.close()


@pytest.mark.parametrize("url", ["http://", "http://[", "http://x:99999999"])
async def test_a_url_that_is_none_is_our_misconfiguration_or_unreachable(transport, url):
    with pytest.raises(UpstreamError) as caught:
        await fetch(await transport(), url)
    assert caught.value.kind in {ErrorKind.MISCONFIGURED, ErrorKind.UPSTREAM_UNREACHABLE}


# TLS.


@pytest.mark.parametrize("setting", ["ca_file", "cert_file"])
async def test_a_file_that_cannot_be_used_is_named(client, tmp_path, setting):
    path = tmp_path / "broken.pem"
    path.write_text("no certificate")
    for name in (str(path), str(tmp_path / "missing.pem")):
        with pytest.raises(ConfigError, match=r"providers\.up\.tls: cannot use"):
            await client("up", TransportSettings(**{setting: name})).open()


async def test_plain_http_where_tls_was_expected_is_unreachable(transport):
    def talk(_reader, writer):
        writer.write(OK)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        with pytest.raises(UpstreamError, match="handshake") as caught:
            await fetch(await transport(), f"https://localhost:{server.sockets[0].getsockname()[1]}")
    assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE


# Proxies.


class Proxy(Raw):
    """A proxy that forwards absolute-form requests, and opens tunnels for CONNECT."""

    status = b"200 OK"

    async def one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        if self.status != b"200 OK":
            writer.write(b"HTTP/1.1 " + self.status + b"\r\nContent-Length: 0\r\n\r\n")
            return False
        if method != b"CONNECT":
            writer.write(OK)
            return True
        host, _, port = target.decode().partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        self.writers.add(far_writer)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))
        return False


async def pipe(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()


through_proxies = pytest.mark.parametrize("client", [AiohttpTransport], indirect=True)
"""Our own pool speaks to origins only; a provider with a proxy gets aiohttp's client."""


@pytest.fixture
async def proxy():
    async with listening(Proxy()) as subject:
        yield subject


@through_proxies
async def test_plain_requests_go_through_the_proxy(proxy, transport):
    subject = await transport(proxy=proxy.url.replace("//", "//user:pass@"))
    _, body = await fetch(subject, "http://nowhere.invalid")
    assert body == b"{}"
    assert proxy.heads[0].startswith("POST http://nowhere.invalid/v1/x HTTP/1.1")
    assert "Proxy-Authorization: Basic" in proxy.heads[0]


@through_proxies
async def test_a_tunnel_keeps_the_key_from_the_proxy(proxy, transport, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = Raw()
    server.play(OK)
    async with listening(server, context):
        subject = await transport(proxy=proxy.url, ca_file=str(tmp_path / "ca.pem"))
        _, body = await fetch(subject, server.url)
        assert body == b"{}"
        assert proxy.heads[0].startswith("CONNECT localhost:")
        assert not any(KEY in head for head in proxy.heads)
        assert KEY in server.heads[0]
        await subject.close()


@through_proxies
async def test_a_proxy_that_refuses_or_is_not_there_is_named_and_its_password_is_not(proxy, transport):
    proxy.status = b"407 Proxy Authentication Required"
    for url in (
        proxy.url.replace("//", "//user:pass-word@"),
        f"http://user:pass-word@127.0.0.1:{free_port()}",
    ):
        settings = TransportSettings(proxy=url)
        assert "pass-word" not in repr(settings)
        subject = await transport(proxy=url)
        with pytest.raises(UpstreamError, match="the proxy") as caught:
            await fetch(subject, "https://nowhere.invalid")
        assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE
        assert "pass-word" not in str(caught.value)


def test_a_provider_never_shows_its_key():
    provider = Provider("https://user.example/v1", KEY, name="up")
    assert KEY not in repr(provider)
    assert KEY not in str(vars(provider).get("_transport"))

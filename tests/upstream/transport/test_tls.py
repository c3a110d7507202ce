"""TLS: who is let in and who is not, and that a cut connection is no end of an answer."""

import datetime as dt
import ssl

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.misbehaving import HELLO, Raw, fetch, listening

from aigw.errors import ErrorKind, UpstreamError

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
async def raw():
    return Raw()


def context_for(leaf):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


class SelfSigned:
    """A certificate that vouches for itself."""

    def __init__(self, folder):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        built = built.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
        built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        self.path = folder / "self.pem"
        self.path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        )

    def configure_cert(self, context):
        context.load_cert_chain(self.path)


DOUBTS = ["of an unknown authority", "self-signed", "expired", "not yet valid", "of another host"]


@pytest.fixture(params=DOUBTS)
def doubtful(request, authority, tmp_path):
    return {
        "of an unknown authority": lambda: trustme.CA().issue_cert("localhost"),
        "self-signed": lambda: SelfSigned(tmp_path),
        "expired": lambda: authority.issue_cert("localhost", not_before=NOW - 2 * DAY, not_after=NOW - DAY),
        "not yet valid": lambda: authority.issue_cert(
            "localhost", not_before=NOW + DAY, not_after=NOW + 2 * DAY
        ),
        "of another host": lambda: authority.issue_cert("localhost.example"),
    }[request.param]()


async def test_a_certificate_in_doubt_is_refused_before_a_word_is_said(raw, transport, doubtful, ca_file):
    raw.play(HELLO)
    async with listening(raw, context_for(doubtful)):
        with pytest.raises(UpstreamError, match="certificate is not valid") as caught:
            await fetch(await transport(ca_file=ca_file), raw.url)
        assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE
        assert caught.value.provider == "up"
        assert not raw.heads
        _, body = await fetch(await transport(verify=False), raw.url)
        assert body == b"hello"


async def test_the_host_is_named_in_the_handshake(raw, transport, authority, ca_file):
    context = context_for(authority.issue_cert("localhost", "other.example"))
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    raw.play([HELLO, "close"])
    async with listening(raw, context):
        await fetch(await transport(ca_file=ca_file), raw.url)
        await fetch(await transport(ca_file=ca_file, server_name="other.example"), raw.url)
    assert names == ["localhost", "other.example"]


async def test_an_address_is_checked_as_one(raw, transport, authority, ca_file):
    raw.play(HELLO)
    async with listening(raw, context_for(authority.issue_cert("127.0.0.1"))):
        url = raw.url.replace("localhost", "127.0.0.1")
        _, body = await fetch(await transport(ca_file=ca_file), url)
        assert body == b"hello"
        with pytest.raises(UpstreamError, match="certificate is not valid"):
            await fetch(await transport(ca_file=ca_file), raw.url)


async def test_a_certificate_of_another_name_needs_the_name_stated(raw, transport, authority, ca_file):
    raw.play(HELLO)
    async with listening(raw, context_for(authority.issue_cert("other.example"))):
        with pytest.raises(UpstreamError, match="certificate is not valid"):
            await fetch(await transport(ca_file=ca_file), raw.url)
        _, body = await fetch(await transport(ca_file=ca_file, server_name="other.example"), raw.url)
        assert body == b"hello"


async def test_a_client_without_a_certificate_is_told_so(raw, transport, authority, ca_file):
    context = context_for(authority.issue_cert("localhost"))
    context.verify_mode = ssl.CERT_REQUIRED
    trustme.CA().configure_trust(context)
    raw.play(HELLO)
    async with listening(raw, context):
        with pytest.raises(UpstreamError) as caught:
            await fetch(await transport(ca_file=ca_file), raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE
    assert not raw.heads


async def test_a_client_certificate_is_shown_without_verifying_too(raw, transport, authority, tmp_path):
    clients = trustme.CA()
    context = context_for(authority.issue_cert("localhost"))
    context.verify_mode = ssl.CERT_REQUIRED
    clients.configure_trust(context)
    clients.issue_cert("client@example.com").private_key_and_cert_chain_pem.write_to_path(tmp_path / "c.pem")
    raw.play(HELLO)
    async with listening(raw, context):
        _, body = await fetch(await transport(verify=False, cert_file=str(tmp_path / "c.pem")), raw.url)
        assert body == b"hello"


async def test_a_client_certificate_that_is_refused_is_an_error(raw, transport, authority, ca_file, tmp_path):
    context = context_for(authority.issue_cert("localhost"))
    context.verify_mode = ssl.CERT_REQUIRED
    trustme.CA().configure_trust(context)
    leaf = trustme.CA().issue_cert("client@example.com")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "c.pem")
    raw.play(HELLO)
    async with listening(raw, context):
        with pytest.raises(UpstreamError) as caught:
            await fetch(await transport(ca_file=ca_file, cert_file=str(tmp_path / "c.pem")), raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_UNREACHABLE
    assert not raw.heads


async def test_connections_are_kept_and_bodies_read_over_tls(raw, transport, authority, ca_file):
    body = bytes(range(256)) * 8192
    raw.play(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    async with listening(raw, context_for(authority.issue_cert("localhost"))):
        subject = await transport(ca_file=ca_file)
        for _ in range(3):
            _, read = await fetch(subject, raw.url, body)
            assert read == body
        assert raw.connections == 1
        assert raw.bodies == [body] * 3
        await subject.close()


async def test_an_answer_until_close_ends_with_a_word_of_tls(raw, transport, authority, ca_file):
    raw.play([b"HTTP/1.1 200 OK\r\n\r\nhello", "close"])
    async with listening(raw, context_for(authority.issue_cert("localhost"))):
        _, body = await fetch(await transport(ca_file=ca_file), raw.url)
    assert body == b"hello"


@pytest.mark.xfail(reason="asyncio tells a connection that was cut and one that was ended alike", strict=True)
async def test_an_answer_until_close_that_somebody_cut_breaks_off(raw, transport, authority, ca_file):
    raw.play([b"HTTP/1.1 200 OK\r\n\r\nhello", 0.02, "abort"])
    async with listening(raw, context_for(authority.issue_cert("localhost"))):
        with pytest.raises(UpstreamError) as caught:
            await fetch(await transport(ca_file=ca_file), raw.url)
    assert caught.value.kind is ErrorKind.UPSTREAM_TRUNCATED

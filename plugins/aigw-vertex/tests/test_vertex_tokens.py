import asyncio
import datetime as dt
import json
import threading

import anthropic
import pytest
from aigw_vertex.section import make_provider
from aigw_vertex.tokens import GivenTokens, GoogleTokens
from google.auth.exceptions import RefreshError, TransportError

from aigw.config import ProviderConfig
from aigw.errors import ErrorKind, GatewayError

ASK = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def tokens(google, account_file):
    """A service account's tokens, from the local token endpoint."""
    made = make_provider("g", ProviderConfig(kind="vertex", options={"credentials_file": str(account_file)}))
    return made._tokens


class Slow:
    """Stands for google-auth's credentials, where a test must say when they come and how long they live."""

    quota_project_id = "billed"

    def __init__(self, life_s=3600.0):
        self.life_s = life_s
        self.gate = threading.Event()
        self.gate.set()
        self.failure = None
        self.fetched = 0
        self.token = None
        self.threads = set()

    def refresh(self, request):
        self.threads.add(threading.current_thread())
        assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        self.fetched += 1
        self.token = f"token-{self.fetched}"
        self.expiry = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.life_s)).replace(tzinfo=None)


def of(credentials):
    return GoogleTokens(lambda: (credentials, "p"), "g")


async def test_a_service_account_gets_a_token_for_a_signed_assertion(google, tokens):
    token = await tokens.get()
    assert token.text in google.issued
    assert token.project == "my-project"
    assert 3500 < token.left_s() <= 3600
    assert token.text not in repr(token)
    assert await tokens.get() is token
    assert google.asked == 1
    await tokens.close()


async def test_a_token_is_renewed_ahead_of_its_end_while_the_old_one_serves(
    google, tokens, monkeypatch, until
):
    monkeypatch.setattr("aigw_vertex.tokens.GAP_S", 0.0)
    google.life_s = 200
    first = await tokens.get()
    google.life_s = 3600
    assert await tokens.get() is first
    await until(lambda: google.asked == 2 and tokens._asking is None)
    second = await tokens.get()
    assert second.text != first.text
    assert await tokens.get() is second
    assert google.asked == 2
    await tokens.close()


async def test_a_token_at_its_end_is_waited_for(google, tokens):
    google.life_s = 5
    first = await tokens.get()
    second = await tokens.get()
    assert (first.text == second.text, google.asked) == (False, 2)
    await tokens.close()


async def test_many_who_wait_ask_once_and_the_loop_does_not_wait():
    credentials = Slow()
    credentials.gate.clear()
    tokens = of(credentials)
    waiting = [asyncio.create_task(tokens.get()) for _ in range(20)]
    await asyncio.sleep(0.02)
    assert not any(task.done() for task in waiting)
    waiting[0].cancel()
    credentials.gate.set()
    got = await asyncio.gather(*waiting[1:])
    assert {each.text for each in got} == {"token-1"}
    assert credentials.fetched == 1
    assert threading.main_thread() not in credentials.threads
    await tokens.close()


async def test_an_early_renewal_that_brings_the_same_end_is_not_asked_for_again_at_once():
    credentials = Slow(life_s=200)
    tokens = of(credentials)
    for _ in range(5):
        await tokens.get()
        await asyncio.sleep(0.01)
    assert credentials.fetched == 1
    await tokens.close()


async def test_an_outage_lets_the_old_token_serve_to_its_end(monkeypatch, until, caplog):
    monkeypatch.setattr("aigw_vertex.tokens.GAP_S", 0.0)
    credentials = Slow(life_s=200)
    tokens = of(credentials)
    first = await tokens.get()
    credentials.failure = TransportError("down")
    assert await tokens.get() is first
    await until(lambda: "no access token came" in caplog.text)
    assert await tokens.get() is first
    await tokens.close()


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (TransportError("down"), ErrorKind.UPSTREAM_UNREACHABLE),
        (RefreshError("busy", retryable=True), ErrorKind.UPSTREAM_UNREACHABLE),
        (RefreshError("invalid_grant: shh"), ErrorKind.UPSTREAM_CREDENTIAL),
        (ValueError("shh"), ErrorKind.UPSTREAM_CREDENTIAL),
    ],
)
async def test_an_outage_without_a_token_is_named_and_asked_again(failure, kind, caplog):
    credentials = Slow()
    credentials.failure = failure
    tokens = of(credentials)
    for _ in range(2):
        with pytest.raises(GatewayError) as caught:
            await tokens.get()
        assert caught.value.kind is kind
        assert "shh" not in caught.value.message + caplog.text
    credentials.failure = None
    assert (await tokens.get()).text == "token-1"
    await tokens.close()


@pytest.mark.parametrize(("outage", "status", "said"), [(503, 502, "does not work"), (400, 502, "refuses")])
async def test_an_outage_of_the_token_endpoint_reaches_the_client_as_the_providers(
    google, serve, messages_client, monkeypatch, outage, status, said
):
    monkeypatch.setattr("time.sleep", lambda _: None)  # google-auth tries thrice, with pauses
    client = messages_client(await serve())
    google.outage = outage
    with pytest.raises(anthropic.APIStatusError, match=said) as caught:
        await client.messages.create(**ASK)
    assert caught.value.status_code == status
    assert google.seen == []


async def test_a_key_that_google_does_not_know_is_refused(google, serve, messages_client, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    other = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "other.json"
    path.write_text(json.dumps(google.account(private_key=other.decode())))
    client = messages_client(await serve({"credentials_file": str(path)}))
    with pytest.raises(anthropic.APIStatusError, match="Google refuses the gateway") as caught:
        await client.messages.create(**ASK)
    assert caught.value.status_code == 502


async def test_a_token_that_vertex_refuses_is_replaced_for_the_next_request(
    google, serve, messages_client, monkeypatch
):
    monkeypatch.setattr("aigw_vertex.tokens.GAP_S", 0.0)
    google.answer(
        {"type": "message", "id": "m", "role": "assistant", "model": "c", "content": [], "usage": {}}
    )
    client = messages_client(await serve())
    await client.messages.create(**ASK)
    google.issued.clear()
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(**ASK)
    assert caught.value.status_code == 502
    await client.messages.create(**ASK)
    assert google.asked == 2


async def test_application_default_credentials_are_found(
    google, serve, messages_client, account_file, monkeypatch
):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account_file))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "another-project")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-east5")
    google.answer(
        {"type": "message", "id": "m", "role": "assistant", "model": "c", "content": [], "usage": {}}
    )
    client = messages_client(await serve({}))
    await client.messages.create(**ASK)
    assert google.seen[0].path.startswith("/v1/projects/another-project/locations/us-east5/")


async def test_without_any_credentials_the_operator_is_told(serve, messages_client):
    client = messages_client(await serve({"project": "p"}))
    with pytest.raises(anthropic.InternalServerError, match="no Google credentials"):
        await client.messages.create(**ASK)


async def test_the_quota_project_goes_along_with_the_token():
    token = await of(Slow()).get()
    assert (token.project, token.quota_project) == ("p", "billed")


async def test_a_function_of_ones_own_may_be_either_kind():
    async def later():
        return "later"

    assert (await GivenTokens(later).get()).text == "later"
    assert (await GivenTokens(lambda: "now").get()).text == "now"
    assert (await GivenTokens(lambda: "now").get()).left_s() == float("inf")


async def test_closing_stops_what_waits():
    credentials = Slow()
    credentials.gate.clear()
    tokens = of(credentials)
    waiting = asyncio.create_task(tokens.get())
    await asyncio.sleep(0.02)
    await tokens.close()
    credentials.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_no_secret_is_logged(google, serve, messages_client, caplog):
    import logging

    caplog.set_level(logging.DEBUG)
    google.answer(
        {"type": "message", "id": "m", "role": "assistant", "model": "c", "content": [], "usage": {}}
    )
    client = messages_client(await serve())
    await client.messages.create(**ASK)
    assert google.seen[0].token not in caplog.text
    assert "PRIVATE KEY" not in caplog.text


@pytest.fixture
def until():
    async def wait(condition):
        for _ in range(300):
            if condition():
                return
            await asyncio.sleep(0.01)
        pytest.fail("it never came true")

    return wait

import asyncio
import datetime as dt
import threading

import pytest
from aigw_bedrock.keys import ChainKeys
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import ClientError, ConnectTimeoutError, CredentialRetrievalError
from botocore.session import Session

from aigw.errors import ErrorKind, GatewayError


class Chain:
    """Stands for botocore's session: its credentials end, and new ones are slow, or do not come.

    botocore renews keys that end soon as they are first looked at, so such keys are fetched twice.
    """

    def __init__(self, life_s=3600.0):
        self.life_s = life_s
        self.gate = threading.Event()
        self.gate.set()
        self.fetched = 0
        self.failure = None
        self.threads = set()

    def get_credentials(self):
        metadata = self.fetch()
        return RefreshableCredentials.create_from_metadata(metadata, self.fetch, "test")

    def fetch(self):
        self.threads.add(threading.current_thread())
        assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        self.fetched += 1
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.life_s)
        return {
            "access_key": f"key-{self.fetched}",
            "secret_key": "secret",
            "token": f"token-{self.fetched}",
            "expiry_time": ends.isoformat(),
        }


async def test_keys_of_the_default_chain_sign(bedrock, serve, messages_client, wire, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", wire.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", wire.secret)
    monkeypatch.setenv("AWS_SESSION_TOKEN", wire.token)
    monkeypatch.setenv("AWS_REGION", wire.region)
    bedrock.answer(wire.whole)
    client = messages_client(await serve({"region": wire.region}))
    await client.messages.create(model="claude", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    assert bedrock.seen[0].headers["X-Amz-Security-Token"] == wire.token


async def test_keys_of_a_profile_sign(bedrock, serve, messages_client, wire, tmp_path):
    text = f"[work]\naws_access_key_id = {wire.access_key}\naws_secret_access_key = {wire.secret}\n"
    (tmp_path / "credentials").write_text(text)
    bedrock.answer(wire.whole)
    client = messages_client(await serve({"region": wire.region, "profile": "work"}))
    await client.messages.create(model="claude", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    assert len(bedrock.seen) == 1


async def test_without_any_keys_the_operator_is_told(serve, messages_client, wire):
    import anthropic

    client = messages_client(await serve({"region": wire.region}))
    with pytest.raises(anthropic.InternalServerError, match="no AWS credentials"):
        await client.messages.create(
            model="claude", max_tokens=9, messages=[{"role": "user", "content": "x"}]
        )


async def test_many_who_wait_ask_once_and_the_loop_does_not_wait():
    chain = Chain()
    chain.gate.clear()
    keys = ChainKeys(chain, "aws")
    waiting = [asyncio.create_task(keys.get()) for _ in range(20)]
    await asyncio.sleep(0.02)
    assert not any(task.done() for task in waiting)
    chain.gate.set()
    got = await asyncio.gather(*waiting)
    assert {each.access_key for each in got} == {"key-1"}
    assert chain.fetched == 1
    assert threading.main_thread() not in chain.threads
    await keys.close()


async def test_keys_are_renewed_ahead_of_their_end_while_the_old_ones_serve(monkeypatch, eventually_true):
    monkeypatch.setattr("aigw_bedrock.keys.GAP_S", 0.0)
    chain = Chain(life_s=300)  # less than AWS's advice, more than the last moment
    keys = ChainKeys(chain, "aws")
    assert (await keys.get()).access_key == "key-2"
    chain.life_s = 3600
    chain.gate.clear()
    assert (await keys.get()).access_key == "key-2"
    chain.gate.set()
    await eventually_true(lambda: keys._asking is None)
    assert (await keys.get()).access_key == "key-3"
    assert (await keys.get()).token == "token-3"
    assert chain.fetched == 3


async def test_keys_that_are_about_to_end_are_waited_for():
    chain = Chain(life_s=10)
    keys = ChainKeys(chain, "aws")
    assert (await keys.get()).access_key == "key-2"
    chain.life_s = 3600
    assert (await keys.get()).access_key == "key-3"


async def test_an_outage_lets_the_old_keys_serve_to_their_end(monkeypatch, eventually_true, caplog):
    monkeypatch.setattr("aigw_bedrock.keys.GAP_S", 0.0)
    chain = Chain(life_s=300)
    keys = ChainKeys(chain, "aws")
    await keys.get()
    chain.failure = ConnectTimeoutError(endpoint_url="http://169.254.169.254/")
    assert (await keys.get()).access_key == "key-2"
    await eventually_true(lambda: keys._asking is None)
    assert (await keys.get()).access_key == "key-2"
    await eventually_true(lambda: "AWS keys could not be had" in caplog.text)
    await keys.close()


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ConnectTimeoutError(endpoint_url="http://169.254.169.254/"), ErrorKind.UPSTREAM_UNREACHABLE),
        (CredentialRetrievalError(provider="sso", error_msg="expired"), ErrorKind.UPSTREAM_CREDENTIAL),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole"), ErrorKind.UPSTREAM_CREDENTIAL),
    ],
)
async def test_an_outage_without_keys_is_named_and_asked_again(failure, kind):
    chain = Chain()
    chain.failure = failure
    keys = ChainKeys(chain, "aws")
    for _ in range(2):
        with pytest.raises(GatewayError) as caught:
            await keys.get()
        assert caught.value.kind is kind
        assert "169.254" not in caught.value.message
    chain.failure = None
    assert (await keys.get()).access_key == "key-1"


async def test_closing_stops_what_waits():
    chain = Chain()
    chain.gate.clear()
    keys = ChainKeys(chain, "aws")
    waiting = asyncio.create_task(keys.get())
    await asyncio.sleep(0.02)
    await keys.close()
    chain.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_keys_without_an_end_are_looked_for_once():
    session = Session()
    asked = []
    session.get_credentials = lambda: asked.append(1) or Credentials("a", "b")
    keys = ChainKeys(session, "aws")
    assert [(await keys.get()).access_key for _ in range(3)] == ["a"] * 3
    assert asked == [1]


@pytest.fixture
def eventually_true():
    async def wait(condition):
        for _ in range(300):
            if condition():
                return
            await asyncio.sleep(0.01)
        pytest.fail("it never came true")

    return wait

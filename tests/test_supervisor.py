"""Several workers: they share a port, are replaced when they die, and stop together."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import threading
import time
import urllib.request

import aiohttp
import pytest
import trustme
from support.served import PATIENCE_S, Gate, ask, is_refused, serving, status

from aigw import supervisor
from aigw.crew import Plan
from aigw.listeners import Listener

CONFIG = """
[server]
workers = %(workers)d
drain_timeout_s = 20
[state]
kind = "%(state)s"
[providers.gate]
base_url = "%(gate)s"
[models]
%(name)s = "demo/x"
gate = "gate/x"
[models.x]
targets = ["demo/x"]
[[models.one.targets]]
provider = "demo"
model = "x"
max_in_flight = 1
"""


@pytest.fixture(scope="module")
def gate():
    made = Gate()
    yield made
    made.close()


@pytest.fixture
def serve(tmp_path):
    with serving(tmp_path) as start:
        yield start


class Fleet:
    """A supervisor and its two workers that most tests share, each of which leaves it serving.

    `Served.mark` is where the log of the test begins.
    """

    def __init__(self, start, folder, gate):
        self.folder, self.gate, self.config = folder, gate, ""
        self.write()
        self.served = start("--port", "0", XDG_STATE_HOME=str(folder))
        self.url, other = self.served.urls(2)
        assert self.url == other

    def write(self, **changes):
        """Write a configuration, nothing more; tell whether it is another one than before."""
        before = self.config
        options = {"workers": 2, "state": "sqlite", "name": "m", "gate": self.gate.url, **changes}
        self.config = CONFIG % options
        (self.folder / "aigw.toml").write_text(self.config)
        return self.config != before

    def renew(self, **changes):
        """Have the workers replaced by those of another configuration."""
        ending = len(self.served.children())
        self.write(**changes)
        self.served.send(signal.SIGHUP)
        self.served.wait_for("has ended", ending)


@pytest.fixture(scope="module")
def shared(tmp_path_factory, gate):
    folder = tmp_path_factory.mktemp("fleet")
    with serving(folder) as start:
        fleet = Fleet(start, folder, gate)
        yield fleet
        assert fleet.served.end() == 0


@pytest.fixture
def fleet(shared, gate):
    gate.may_end.clear()
    if len(shared.served.children()) != 2:
        shared.renew()
    shared.served.mark = len(shared.served.log)
    return shared


def counted(url, name="aigw_requests_total"):
    """Scrape on a new connection, so at any worker; return the sum of a metric's samples."""
    with urllib.request.urlopen(url + "/metrics", timeout=PATIENCE_S) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


def test_one_that_dies_is_replaced_and_each_worker_tells_what_all_have_counted(fleet):
    served, url, before = fleet.served, fleet.url, counted(fleet.url)
    for _ in range(10):
        ask(url).close()
    assert [counted(url) - before for _ in range(6)] == [10] * 6
    victim = served.children()[0]
    os.kill(victim, signal.SIGKILL)
    assert counted(url) - before == 10
    served.wait_for(f"worker {victim} ended with code -9")
    assert served.urls() == [url]
    assert counted(url) - before == 10
    ask(url).close()
    assert [counted(url) - before for _ in range(4)] == [11] * 4
    assert victim not in served.children()
    assert len(served.children()) == 2


@pytest.mark.parametrize("state", ["sqlite", "memory"])
def test_a_target_s_limits_hold_for_all_workers_together(fleet, state):
    if fleet.write(state=state):
        fleet.renew(state=state)
    url = fleet.url

    def codes():
        return {status(url + "/v1/chat/completions", HELLO) for _ in range(12)}

    with ask(url, "[[demo pace=100ms chunks=200]]", model="one", stream=True) as response:
        response.readline()
        wait_until(lambda: codes() == {429})
    wait_until(lambda: codes() == {200})


HELLO = json.dumps({"model": "one", "messages": [{"role": "user", "content": "hi"}]}).encode()


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


class Crowd:
    """Clients that ask without a pause, on connections they keep and on new ones, and note what fails."""

    def __init__(self, url):
        self.url = url
        self.answered = 0
        self.failures = []
        self.is_over = False

    async def ask(self, session, model="x", stream=False):
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        try:
            async with session.post(self.url + "/v1/chat/completions", json=body) as response:
                content = await response.read()
        except aiohttp.ClientError as error:
            self.failures.append(repr(error))
            return
        self.answered += 1
        if response.status != 200 or (stream and b"[DONE]" not in content):
            self.failures.append(content[-300:])

    async def go_on(self, **options):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(**options)) as session:
            while not self.is_over:
                await self.ask(session)
                await asyncio.sleep(0.002)

    async def run(self, during):
        """Ask until `during` is over; return what it does."""
        connector = aiohttp.TCPConnector(force_close=True)
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession(connector=connector) as session:
            for _ in range(4):
                group.create_task(self.go_on())
                group.create_task(self.go_on(force_close=True))
                group.create_task(self.ask(session, "gate", stream=True))
            try:
                return await during
            finally:
                self.is_over = True


async def test_a_new_configuration_is_taken_up_and_no_client_notices(fleet, gate, eventually):
    served, url = fleet.served, fleet.url
    before, old, crowd = counted(url), served.children(), Crowd(url)

    async def renew():
        await eventually(lambda: crowd.answered > 20)
        fleet.write(name="after")
        served.send(signal.SIGHUP)
        await asyncio.to_thread(served.wait_for, "the new workers serve")
        await asyncio.to_thread(served.wait_for, r"another worker has taken over, waiting for [1-9]")
        seen = crowd.answered
        await eventually(lambda: crowd.answered > seen + 20)
        gate.may_end.set()
        await asyncio.to_thread(served.wait_for, "has ended", 2)

    await crowd.run(renew())
    assert crowd.failures == []
    assert not {*old} & {*served.children()}
    assert len(served.children()) == 2
    assert counted(url) - before == crowd.answered
    assert status(url + "/v1/models/after") == 200
    assert status(url + "/v1/models/m") == 404


async def test_connections_that_nobody_has_accepted_yet_are_not_lost(fleet):
    served = fleet.served
    old = served.children()
    for child in old:
        os.kill(child, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        # Nobody accepts these before the workers go on, and then they are asked to end at the same time.
        asking = [stack.enter_context(raw_request(fleet.url)) for _ in range(300)]
        served.send(signal.SIGHUP)
        await asyncio.to_thread(served.wait_for, "the new workers serve")
        for child in old:
            os.kill(child, signal.SIGCONT)
        answers = [await asyncio.to_thread(each.recv, 100) for each in asking]
    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    served.wait_for("has ended", 2)


def raw_request(url):
    """Open a connection and send a request; return the socket."""
    host, _, port = url.rpartition("/")[2].partition(":")
    opened = socket.create_connection((host, int(port)), PATIENCE_S)
    opened.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return opened


def test_workers_go_on_where_a_new_configuration_is_of_no_use(fleet):
    served, before, config = fleet.served, fleet.served.children(), fleet.folder / "aigw.toml"
    config.write_text("[models]\nm = 3\n")
    served.send(signal.SIGHUP)
    served.wait_for(r"the workers go on as they were: .*models.m: ")
    # This one can be read, but a worker cannot be made of it.
    config.write_text(fleet.config + '[providers.x]\nkind = "made-up"\n')
    served.send(signal.SIGHUP)
    served.wait_for("the workers go on as they were: new ones do not start")
    served.wait_for("has ended", 2)
    assert "providers.x.kind: " in served.log
    ask(fleet.url).close()
    assert before == served.children()


def test_the_number_of_workers_may_change(fleet):
    url, before = fleet.url, counted(fleet.url)
    for times, number in enumerate([3, 1], 1):
        fleet.renew(workers=number)
        assert len(fleet.served.children()) == number
        for _ in range(20):
            ask(url).close()
        assert counted(url) - before == 20 * times


# Those that end it.


def test_a_stop_while_old_workers_end_lets_the_answers_of_all_finish(serve, tmp_path, gate):
    fleet = Fleet(serve, tmp_path, gate)
    gate.may_end.clear()
    served, url = fleet.served, fleet.url
    with ask(url, model="gate", stream=True) as old:
        old.readline()
        served.send(signal.SIGHUP)
        served.wait_for("another worker has taken over, waiting for 1")
        with ask(url, model="gate", stream=True) as new:
            new.readline()
            served.send(signal.SIGTERM)
            served.wait_for("stopping: not ready any more, waiting for 1")
            gate.may_end.set()
            for response in (old, new):
                assert b"[DONE]" in response.read()
    assert served.ended() == 0
    assert is_refused(url)


def test_ctrl_c_in_a_terminal_which_workers_get_too_drains_them(serve, tmp_path, gate):
    fleet = Fleet(serve, tmp_path, gate)
    gate.may_end.clear()
    with ask(fleet.url, model="gate", stream=True) as response:
        response.readline()
        os.killpg(fleet.served.process.pid, signal.SIGINT)
        fleet.served.wait_for("stopping: not ready any more, waiting for 1")
        gate.may_end.set()
        assert b"[DONE]" in response.read()
    assert fleet.served.ended() == 0


def test_workers_do_not_outlive_their_supervisor(serve, tmp_path):
    served = serve("--port", "0", "--workers", "2", TMPDIR=str(tmp_path))
    url = served.urls(2)[0]
    assert list(tmp_path.glob("aigw-*/*.sock"))
    served.process.kill()
    served.ended()  # the pipe of the log ends when the last of them has
    assert not list(tmp_path.glob("aigw-*"))
    assert "the supervisor is gone" in served.log
    assert is_refused(url)


def test_new_certificates_are_taken_up(serve, tmp_path):
    def certified():
        """Put a certificate of a new authority in place; return a context that trusts that one alone."""
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        issued.private_key_pem.write_to_path(tmp_path / "key.pem")
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    context = certified()
    served = serve(
        "--port",
        "0",
        "--workers",
        "2",
        config='[server]\ntls_cert_file = "cert.pem"\ntls_key_file = "key.pem"\n',
    )
    url = served.urls(2)[0]
    ask(url, context=context).close()
    context = certified()
    served.send(signal.SIGHUP)
    served.wait_for("has ended", 2)
    ask(url, context=context).close()
    assert served.end() == 0


@pytest.fixture
def quick(monkeypatch):
    """Make a supervisor's patience short, and give the process its own signal handlers back."""
    monkeypatch.setattr(supervisor, "RESTART_PAUSE_S", 0.05)
    monkeypatch.setattr(supervisor, "POLL_S", 0.01)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def boss_of(command, tmp_path, count=1, patience_s=1.0):
    """Return a supervisor of processes that accept from nothing."""
    plan = Plan(command, count, patience_s)
    return supervisor.Supervisor(plan, tmp_path, lambda: Listener(()), lambda: plan)


def test_a_supervisor_whose_workers_never_start_gives_up(quick, caplog, tmp_path):
    assert boss_of(["false"], tmp_path, count=2).run() == 1
    assert "giving up: the workers do not start" in caplog.text
    assert 6 <= caplog.text.count("ended with code 1") <= 7


def test_a_supervisor_starts_a_worker_that_dies_at_once_no_sooner_than_after_a_pause(quick, tmp_path):
    started_at = time.monotonic()
    boss_of(["false"], tmp_path).run()
    assert time.monotonic() - started_at > 2 * 0.05


def test_a_worker_that_does_not_stop_is_killed(quick, caplog, tmp_path):
    ready = tmp_path / "ready"
    boss = boss_of(["sh", "-c", f"trap '' TERM; touch '{ready}'; exec sleep 60"], tmp_path, patience_s=0.1)

    def stop():
        wait_until(ready.exists)
        boss._stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    assert boss.run() == 1
    stopping.join()
    assert "does not stop; killing it" in caplog.text


def test_reload_follows_the_configuration_through_a_mistake_and_back(serve, tmp_path):
    served = serve("--port", "0", "--reload")
    url = served.urls()[0]
    config = tmp_path / "aigw.toml"
    config.write_text('[models.fast]\ntargets = ["demo/x"]\n')
    assert served.urls(2)[-1] == url
    with urllib.request.urlopen(url + "/v1/models/fast", timeout=PATIENCE_S) as response:
        assert response.status == 200
    config.write_text("[models.fast]\ntargets = 3\n")
    served.wait_for("aigw.toml: models.fast.targets: ")
    served.wait_for("ended with code 1; waiting for a change")
    config.unlink()
    assert served.urls(3)[-1] == url
    assert served.end() == 0

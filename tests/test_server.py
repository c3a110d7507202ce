"""A gateway as processes: the port, the signals, the draining, several workers."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trustme

from aigw import supervisor

KEPT = ("PATH", "LANG", "HOME", "PYTHONPATH", "XDG_STATE_HOME")
CLEAN = {name: os.environ[name] for name in KEPT if name in os.environ}
PATIENCE_S = 20


class Served:
    """`python -m aigw` in a process group of its own; what it logs is collected as it comes."""

    def __init__(self, folder, *flags, **env):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "aigw", "serve", *flags],
            cwd=folder,
            env={**CLEAN, **env},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.log = ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.log += line

    def wait_for(self, pattern, count=1):
        """Wait until the log has so many lines with a pattern; return their first groups."""
        deadline = time.monotonic() + PATIENCE_S
        while len(found := re.findall(pattern, self.log)) < count:
            is_over = time.monotonic() > deadline or not self.reader.is_alive()
            assert not is_over or re.findall(pattern, self.log), f"no {pattern!r} in:\n{self.log}"
            time.sleep(0.02)
        return found

    def urls(self, count=1):
        return self.wait_for(r"listens on (\S+) ", count)

    def end(self, number=signal.SIGTERM):
        """Send a signal to the first process; return the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        code = self.process.wait(PATIENCE_S)
        self.reader.join(PATIENCE_S)
        return code

    def children(self):
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def close(self):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # the group that it alone began
        self.process.wait(PATIENCE_S)
        self.reader.join(PATIENCE_S)
        self.process.stderr.close()


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(*flags, config=None, **env):
        if config is not None:
            (tmp_path / "aigw.toml").write_text(config)
        served = Served(tmp_path, *flags, **env)
        started.append(served)
        return served

    yield start
    for served in started:
        served.close()


def ask(url, text="hi", *, stream=False, context=None):
    """Open a chat request as any HTTP client would; close what is returned."""
    body = {"model": "x", "messages": [{"role": "user", "content": text}], "stream": stream}
    request = urllib.request.Request(
        url + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return urllib.request.urlopen(request, timeout=PATIENCE_S, context=context)


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def is_refused(url):
    host, _, port = url.rpartition("/")[2].partition(":")
    with socket.socket() as attempt:
        return attempt.connect_ex((host, int(port))) != 0


def test_it_says_its_address_answers_and_stops(serve):
    served = serve("--port", "0")
    (url,) = served.urls()
    with ask(url) as response:
        assert (response.status, response.headers["x-aigw-provider"]) == (200, "demo")
    assert served.end() == 0
    assert "demo provider answers every request" in served.log
    assert "tokens=" in served.log
    assert served.log.rstrip().endswith("stopped")
    assert "Traceback" not in served.log


@pytest.mark.parametrize("more", [(), ("--workers", "2"), ("--reload",)])
def test_a_port_in_use_is_told_in_a_line(serve, more):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        served = serve("--port", str(port), *more)
        assert served.ended() == 1
    assert served.log.splitlines()[-1] == f"aigw: cannot listen on 127.0.0.1:{port}: Address already in use"
    assert "Traceback" not in served.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_a_running_stream_finish(serve, number):
    served = serve("--port", "0")
    (url,) = served.urls()
    with ask(url, "[[demo pace=100ms chunks=6]]", stream=True) as response:
        response.readline()
        served.process.send_signal(number)
        served.wait_for("not ready any more, waiting for 1")
        assert status(url + "/readyz") == 503
        assert status(url + "/livez") == 200
        assert b"[DONE]" in response.read()
    assert served.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_cuts_off_what_takes_too_long_and_tells_the_client(serve, number):
    served = serve("--port", "0", config="[server]\ndrain_timeout_s = 0.3\n")
    (url,) = served.urls()
    with ask(url, "[[demo hang=3]]", stream=True) as response:
        response.readline()
        served.process.send_signal(number)
        rest = response.read().decode()
    assert "service_unavailable" in rest
    assert "shutting down" in rest
    assert served.ended() == 0
    assert "1 answers were cut off" in served.log


@pytest.mark.parametrize("more", [(), ("--workers", "2"), ("--reload",)], ids=["one", "workers", "reload"])
@pytest.mark.parametrize(
    "stop",
    [lambda pid: os.kill(pid, signal.SIGTERM), lambda group: os.killpg(group, signal.SIGINT)],
    ids=["SIGTERM", "Ctrl-C"],
)
def test_a_second_stop_ends_the_waiting_at_once_and_tells_the_client(serve, stop, more):
    served = serve("--port", "0", *more)
    url = served.urls(2 if "--workers" in more else 1)[0]
    with ask(url, "[[demo hang=3]]", stream=True) as response:
        response.readline()
        stop(served.process.pid)
        served.wait_for("not ready any more, waiting for 1")
        time.sleep(0.3)
        assert "cut off" not in served.log
        began_at = time.monotonic()
        stop(served.process.pid)
        rest = response.read().decode()
    assert "shutting down" in rest
    assert served.ended() == 0
    assert time.monotonic() - began_at < 5
    assert "1 answers were cut off" in served.log


def test_tls_is_served(serve, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    files = '[server]\ntls_cert_file = "cert.pem"\ntls_key_file = "key.pem"\n'
    served = serve("--port", "0", config=files)
    (url,) = served.urls()
    assert url.startswith("https://")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with ask(url, context=context) as response:
        assert response.status == 200
    assert served.end() == 0


# several workers


def test_workers_share_a_port_and_one_that_dies_is_replaced(serve):
    served = serve("--port", "0", "--workers", "2")
    first, second = served.urls(2)
    assert first == second
    victim = served.children()[0]
    os.kill(victim, signal.SIGKILL)
    served.wait_for(f"worker {victim} ended with code -9")
    with ask(first) as response:
        assert response.status == 200
    assert served.urls(3)[-1] == first
    assert len(served.children()) == 2
    assert served.end() == 0
    assert is_refused(first)


@pytest.mark.parametrize(
    "stop",
    [
        lambda pid: os.kill(pid, signal.SIGTERM),
        lambda group: os.killpg(group, signal.SIGINT),  # as Ctrl-C in a terminal: workers get it too
    ],
    ids=["SIGTERM", "Ctrl-C"],
)
def test_a_stop_of_the_supervisor_drains_its_workers(serve, stop):
    served = serve("--port", "0", "--workers", "2")
    url = served.urls(2)[0]
    with ask(url, "[[demo pace=100ms chunks=6]]", stream=True) as response:
        response.readline()
        stop(served.process.pid)
        assert b"[DONE]" in response.read()
    assert served.ended() == 0


def test_workers_do_not_outlive_their_supervisor(serve):
    served = serve("--port", "0", "--workers", "2")
    url = served.urls(2)[0]
    served.process.kill()
    served.ended()  # the pipe of the log ends when the last of them has
    assert "the supervisor is gone" in served.log
    assert is_refused(url)


BROKEN = """
import aigw

class Broken(aigw.Plugin):
    async def setup(self, gateway):
        raise OSError("no database")
        yield
"""


def plugin(tmp_path, source):
    info = tmp_path / "site" / "aigw_broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aigw-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aigw.plugins]\nbroken = aigw_broken:Broken\n")
    (tmp_path / "site" / "aigw_broken.py").write_text(source)
    return str(tmp_path / "site")


def test_a_plugin_that_cannot_be_set_up_is_told_in_a_line(serve, tmp_path):
    served = serve("--port", "0", PYTHONPATH=plugin(tmp_path, BROKEN))
    assert served.ended() == 1
    assert served.log.splitlines()[-1] == "plugin \"broken\" failed in setup: OSError('no database')"
    assert "Traceback" not in served.log


@pytest.fixture
def quick(monkeypatch):
    """Make a supervisor's patience short, and give the process its own signal handlers back."""
    monkeypatch.setattr(supervisor, "RESTART_PAUSE_S", 0.05)
    monkeypatch.setattr(supervisor, "POLL_S", 0.01)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_supervisor_whose_workers_never_start_gives_up(quick, caplog):
    assert supervisor.Supervisor(["false"], count=2, patience_s=1).run() == 1
    assert "giving up: the workers do not start" in caplog.text
    assert 6 <= caplog.text.count("ended with code 1") <= 7


def test_a_supervisor_starts_a_worker_that_dies_at_once_no_sooner_than_after_a_pause(quick):
    started_at = time.monotonic()
    supervisor.Supervisor(["false"], count=1, patience_s=1).run()
    assert time.monotonic() - started_at > 2 * 0.05


def test_a_worker_that_does_not_stop_is_killed(quick, caplog):
    command = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"]
    boss = supervisor.Supervisor(command, count=1, patience_s=0.1)
    timer = threading.Timer(1.0, boss._stop)
    timer.start()
    assert boss.run() == 1
    timer.join()
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

"""A gateway as a process: the port, the signals, the draining."""

import os
import re
import signal
import socket
import ssl
import time

import pytest
import trustme
from support.served import ask, is_refused, serving, status


@pytest.fixture
def serve(tmp_path):
    with serving(tmp_path) as start:
        yield start


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


def test_one_process_alone_says_that_it_cannot_take_up_a_new_configuration(serve):
    served = serve("--port", "0")
    (url,) = served.urls()
    served.process.send_signal(signal.SIGHUP)
    served.wait_for("SIGHUP: one process alone cannot")
    ask(url).close()
    assert served.end() == 0


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["one", "workers"])
def test_a_terminal_that_is_closed_ends_what_was_started_in_it(serve, more):
    ours, theirs = os.openpty()
    served = serve("--port", "0", *more, stderr=theirs)
    os.close(theirs)
    said = b""
    while said.count(b"listens on") < 1 + len(more) // 2:
        said += os.read(ours, 1000)
    os.close(ours)
    served.process.send_signal(signal.SIGHUP)
    assert served.ended() >= 0  # by itself; Python has a code of its own for output that cannot be written
    assert is_refused(re.search(rb"listens on (\S+)", said)[1].decode())


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

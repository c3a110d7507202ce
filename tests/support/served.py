"""Gateways as processes of their own: started, read, signalled, and never left behind."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.scripted import chunk, sse

KEPT = ("PATH", "LANG", "HOME", "PYTHONPATH", "XDG_STATE_HOME")
CLEAN = {name: os.environ[name] for name in KEPT if name in os.environ}
PATIENCE_S = 20


class Served:
    """`python -m aigw` in a process group of its own; what it logs is collected as it comes.

    mark: how much of the log has been dealt with, so that nobody waits for what was said before.
    """

    def __init__(self, folder, *flags, stderr=subprocess.PIPE, **env):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "aigw", "serve", *flags],
            cwd=folder,
            env={**CLEAN, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        self.log = ""
        self.mark = 0
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr or ():
            self.log += line

    def wait_for(self, pattern, count=1):
        """Wait until the log has so many lines with a pattern since `mark`; return their first groups."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            is_over = time.monotonic() > deadline or not self.reader.is_alive()
            found = re.findall(pattern, self.log[self.mark :])
            if len(found) >= count:
                return found
            assert not is_over, f"not {count} times {pattern!r} in:\n{self.log[self.mark :]}"
            time.sleep(0.02)

    def send(self, number):
        """Send a signal to the first process; what is waited for from now on comes after it."""
        self.mark = len(self.log)
        self.process.send_signal(number)

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
        if self.process.stderr is not None:
            self.process.stderr.close()


@contextlib.contextmanager
def serving(folder):
    """Give what starts gateways in a folder; those that still run at the end are killed."""
    started = []

    def start(*flags, config=None, **env):
        if config is not None:
            (folder / "aigw.toml").write_text(config)
        served = Served(folder, *flags, **env)
        started.append(served)
        return served

    try:
        yield start
    finally:
        for served in started:
            served.close()


class Gate:
    """A provider whose streams begin at once, and end when the test lets them."""

    def __init__(self):
        self.may_end = may_end = threading.Event()

        class Streaming(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                self.wfile.write(sse(chunk("Hel"), done=False))
                may_end.wait(PATIENCE_S)
                self.wfile.write(sse(chunk("lo"), chunk(finish="stop")))

            def log_message(self, *_):
                """Say nothing: what tests print is for failures."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Streaming)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.may_end.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def ask(url, text="hi", *, model="x", stream=False, context=None):
    """Open a chat request as any HTTP client would; close what is returned."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
    request = urllib.request.Request(
        url + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return urllib.request.urlopen(request, timeout=PATIENCE_S, context=context)


def status(url, body=None):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def is_refused(url):
    host, _, port = url.rpartition("/")[2].partition(":")
    with socket.socket() as attempt:
        return attempt.connect_ex((host, int(port))) != 0

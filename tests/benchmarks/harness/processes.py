"""The processes of a measurement: which core each runs on, when it is ready, what it has used.

Owns /proc and signals. Knows nothing of gateways or scenarios. Linux alone can be measured this way;
`why_not` says so.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PROC = Path("/proc")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def why_not():
    """Return why nothing can be measured on this machine, or None."""
    if not (PROC / "self" / "stat").exists():
        return "CPU time of another process is read from /proc, which is not there"
    return None


def cores():
    """Return (core of the gateway, core of provider and load); the same one where there is but one."""
    known = sorted(os.sched_getaffinity(0))
    return known[0], known[-1]


@contextlib.contextmanager
def pinned(core):
    """Run on one core for a while: what is started meanwhile stays there. None leaves the choice."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(core, *command, log=None, cwd=None, **environment):
    """Start a command on a core, in a process group of its own; `log` takes what it says."""
    with pinned(core), Path(log or os.devnull).open("ab") as said:
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def stop(*processes, patience_s=5.0):
    """End these processes and all that they started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        deadline = time.monotonic() + patience_s
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))


@contextlib.contextmanager
def running():
    """Yield a list; whatever processes are put into it are stopped at the end, also when interrupted."""
    processes = []
    before = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield processes
    finally:
        stop(*processes)
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number, _frame):
    sys.exit(128 + number)


def wait_for(port, path, body, *, key, process=None, patience_s=20.0):
    """Ask until the answer is 200; return the seconds it took. Raises TimeoutError with the last failure."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    began, failure = time.monotonic(), None
    while time.monotonic() < began + patience_s:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return time.monotonic() - began
        except urllib.error.HTTPError as error:
            failure = f"{error.code} {error.read()[:200]!r}"
        except OSError as error:
            failure = repr(error)
        if process is not None and process.poll() is not None:
            raise ChildProcessError(f"{process.args} ended with {process.returncode} before it answered")
        time.sleep(0.01)
    raise TimeoutError(f"no 200 on {path} within {patience_s} s; the last was {failure}")


def family(pid):
    """Return a process and all its descendants."""
    parents = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents.setdefault(int(_fields(entry.name)[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, ())
    return found


def cpu_s(pid):
    """Return the CPU seconds that one process has used, user and system, all threads that still run."""
    try:
        schedules = [(task / "schedstat").read_text() for task in (PROC / str(pid) / "task").iterdir()]
        return sum(int(schedule.split()[0]) for schedule in schedules) / 1e9
    except OSError:  # a kernel without it counts in hundredths of a second
        fields = _fields(pid)
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_mb(pid):
    return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE_BYTES / 2**20


def _fields(pid):
    """Return the fields of /proc/PID/stat that come after the name, which may hold anything."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()

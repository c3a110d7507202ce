import asyncio
import importlib.util
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(name="examples")
def examples_fixture():
    """The folder with the examples."""
    return EXAMPLES


@pytest.fixture
def load_example():
    """Import an example's file as a module of its own."""

    def load(path):
        spec = importlib.util.spec_from_file_location(f"example_{Path(path).stem}", EXAMPLES / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def run_python():
    """Run Python with some arguments to its end; return the exit code and all it printed."""

    async def run(*arguments, timeout_s=60, **options):
        process = await asyncio.create_subprocess_exec(
            sys.executable, *map(str, arguments), stdout=PIPE, stderr=STDOUT, **options
        )
        try:
            async with asyncio.timeout(timeout_s):
                printed, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, printed.decode()

    return run


@pytest.fixture
def serve_python():
    """Run Python for the time of a `with` block; give what `pattern` finds in its output."""

    @asynccontextmanager
    async def serve(*arguments, pattern, timeout_s=60, **options):
        process = await asyncio.create_subprocess_exec(
            sys.executable, *map(str, arguments), stdout=PIPE, stderr=STDOUT, **options
        )
        seen = ""
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := re.search(pattern, seen)):
                    line = await process.stdout.readline()
                    assert line, f"it ended: {seen}"
                    seen += line.decode(errors="replace")
            drain = asyncio.create_task(process.stdout.read())  # or a full pipe would stop it
            yield found[1]
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
        await drain
        assert process.returncode == 0

    return serve


@pytest.fixture
def fake_env(monkeypatch):
    """Make an environment in which no provider is announced but what is given."""
    names = ("PATH", "HOME", "LANG", "PYTHONPATH", "XDG_STATE_HOME")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return lambda **more: {**kept, **more}

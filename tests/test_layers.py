"""The law of imports, and what `import aigw` must not do."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import aigw

ROOT = Path(aigw.__file__).parent

# From top to bottom: a room may import what stands below it, never what stands above. So a format can be
# read without a server in mind, and what is at the bottom can be taken away and used elsewhere.
ROOMS = [
    "__main__",
    "cli",
    "explain",
    "supervisor",
    "crew",
    "listeners",
    "server",
    "handover",
    "worker",
    "__init__",
    "assemble",
    "registration",
    "providers",
    "gateway",
    "front",
    "app",
    "builtin",
    "pages",
    "responses",
    "pipeline",
    "relay",
    "routing",
    "hooks",
    "upstream",
    "stores",
    "config",
    "dialects",
    "model",
    "wire",
    "errors",
    "version",
]
PURE = ("dialects", "model", "wire")
IMPURE = {"aiohttp", "asyncio", "time", "random", "socket", "threading", "os"}

FILES = sorted(ROOT.rglob("*.py"))


def name_of(file):
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def room_of(module):
    return module.partition(".")[0]


def runtime_imports(node):
    """Yield the names imported when a module runs: what stands under TYPE_CHECKING is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield from runtime_imports(other)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from runtime_imports(child)


def own_imports(file):
    """Yield the modules of aigw that a file imports, without their `aigw.`."""
    for name in runtime_imports(ast.parse(file.read_text(encoding="utf-8"))):
        head, _, rest = name.partition(".")
        if head != "aigw":
            continue
        module = rest
        while (
            module
            and not (path := ROOT / module.replace(".", "/")).is_dir()
            and not path.with_suffix(".py").is_file()
        ):
            module = module.rpartition(".")[0]
        yield module or "__init__"


def test_every_room_has_its_place_in_the_order():
    assert {room_of(name_of(file)) for file in FILES} == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_point_downward(file):
    room = ROOMS.index(room_of(name_of(file)))
    upward = [name for name in own_imports(file) if ROOMS.index(room_of(name)) < room]
    assert not upward


def test_no_imports_go_in_circles():
    # A package's own __init__ gathers what is inside, so inside a package the modules themselves count.
    graph = {name_of(file).removesuffix(".__init__"): set(own_imports(file)) for file in FILES}
    TopologicalSorter({name: found - {name} for name, found in graph.items()}).prepare()


def test_nobody_inside_imports_the_public_names():
    assert [name_of(file) for file in FILES if "__init__" in own_imports(file)] == []


@pytest.mark.parametrize("file", [file for file in FILES if room_of(name_of(file)) in PURE], ids=name_of)
def test_formats_know_no_io_and_no_clock(file):
    found = {name.partition(".")[0] for name in runtime_imports(ast.parse(file.read_text(encoding="utf-8")))}
    assert not found & IMPURE


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_every_module_says_what_it_owns_and_is_short(file):
    text = file.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400


def test_importing_the_library_changes_nothing_in_the_process():
    code = """
import asyncio, logging, signal, threading
before = [signal.getsignal(number) for number in signal.valid_signals()]
import aigw, sys
public = [getattr(aigw, name) for name in aigw.__all__]
assert [signal.getsignal(number) for number in signal.valid_signals()] == before
assert not logging.getLogger().handlers
loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("aigw")]
assert loggers and not any(logger.handlers or logger.level for logger in loggers)
assert threading.active_count() == 1
SLOW = {"aigw.cli", "aigw.server", "aigw.supervisor", "uvloop", "yaml", "aiohttp_cors", "mcp"}
assert not SLOW & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30)

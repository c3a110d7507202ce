"""What is told of a plugin that cannot be used, when it is registered."""

import inspect
import re
from pathlib import Path

import pytest

import aigw
from aigw.hooks.spec import HookSpec
from aigw.hooks.table import HOOK_NAMES, Hooks, check

README = Path(__file__).parents[2] / "README.md"


class Fine:
    def on_complete(self, record): ...


def plugin_with(**members):
    return type("Sample", (), members)()


async def two(self, exchange, payload): ...


async def wrong_name(self, request): ...


async def too_many(self, exchange, more): ...


async def too_few(self): ...


async def by_name_only(self, *, exchange): ...


async def anything(self, *arguments): ...


async def waits(self, record): ...


def does_not_wait(self, exchange): ...


async def no_generator(self, gateway): ...


def plain_generator(self, gateway):
    yield


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"on_completed": Fine.on_complete}, '"on_completed" is no hook; did you mean "on_complete"?'),
        ({"rewrite_requests": two}, '"rewrite_requests" is no hook; did you mean "rewrite_request"?'),
        ({"rewrite_requests": staticmethod(two)}, 'did you mean "rewrite_request"?'),
        ({"admit": wrong_name}, "admit(request) should be admit(exchange)"),
        ({"admit": too_many}, "admit(exchange, more) should be admit(exchange)"),
        ({"admit": too_few}, "admit() should be admit(exchange)"),
        ({"admit": by_name_only}, "admit(exchange) should be admit(exchange)"),
        ({"admit": anything}, "admit(*arguments) should be admit(exchange)"),
        ({"admit": does_not_wait}, "admit must be async def"),
        ({"admit": "yes"}, '"admit" must be a method'),
        ({"on_complete": waits}, "on_complete must be a plain def"),
        ({"setup": no_generator}, "setup must be an async generator: `async def setup(self, gateway)"),
        ({"setup": plain_generator}, "setup must be an async generator"),
        ({}, f"it has no hook; the hooks are {', '.join(HOOK_NAMES)}"),
        ({"helper": two}, "it has no hook"),
        ({"on_complete": Fine.on_complete, "on_failure": "opne"}, "on_failure is 'opne', must be"),
    ],
)
def test_what_is_told_names_the_plugin_the_hook_and_the_fix(members, told):
    with pytest.raises(aigw.PluginError) as caught:
        Hooks().register(plugin_with(**members), name="mine")
    assert str(caught.value).startswith('plugin "mine" (Sample): ')
    assert told in str(caught.value)


def test_every_mistake_is_told_at_once():
    with pytest.raises(aigw.PluginError) as caught:
        Hooks().register(plugin_with(admit=too_few, on_complete=waits, befor_call=two))
    for told in ("admit() should be", "on_complete must be", 'did you mean "before_call"'):
        assert told in str(caught.value)


def test_a_hook_may_have_more_parameters_if_they_have_defaults():
    def on_complete(self, record, log=print): ...

    assert [hook.point for hook in check(plugin_with(on_complete=on_complete), "mine")] == ["on_complete"]


def test_other_methods_and_attributes_are_the_plugins_own_business():
    class Busy(Fine):
        limit = 3
        Config = None

        def count(self): ...

        def _on_completed(self): ...

        @property
        def before_calls(self):
            raise RuntimeError("properties are not run")

    assert [hook.point for hook in check(Busy(), "busy")] == ["on_complete"]


def test_hooks_may_be_inherited():
    class Base(aigw.Plugin):
        async def admit(self, exchange): ...

    class Derived(Base):
        on_failure = "open"

        def on_complete(self, record): ...

    hooks = check(Derived(), "derived")
    assert [(hook.point, hook.is_open) for hook in hooks] == [("admit", True), ("on_complete", True)]


def test_a_plugin_that_answers_to_every_name_is_not_believed():
    class Anything(Fine):
        def __getattr__(self, name):
            raise AssertionError(f"{name} was asked for")

    hooks = Hooks()
    hooks.register(Anything())
    assert list(hooks.plugins) == ["Anything"]


def test_a_class_in_place_of_an_instance_is_told():
    with pytest.raises(aigw.PluginError, match=r"is a class; register an instance: Fine\(\.\.\.\)"):
        Hooks().register(Fine)


def test_a_name_can_be_registered_once():
    hooks = Hooks()
    hooks.register(Fine(), name="one")
    with pytest.raises(aigw.PluginError, match='plugin "one" is registered twice'):
        hooks.register(Fine(), name="one")


def test_a_plugin_that_is_refused_leaves_nothing_behind():
    hooks = Hooks()
    with pytest.raises(aigw.PluginError):
        hooks.register(plugin_with(on_complete=Fine.on_complete, admit=too_few), name="mine")
    assert hooks.on_complete == ()
    hooks.register(Fine(), name="mine")


def test_hooks_are_frozen_once_the_app_is_made():
    gateway = aigw.Gateway()
    gateway.make_app()
    with pytest.raises(aigw.PluginError, match='plugin "Fine": hooks are frozen once'):
        gateway.hooks.register(Fine())


def test_first_puts_a_plugin_before_the_others():
    hooks = Hooks()
    hooks.register(Fine(), name="one")
    hooks.register(Fine(), name="two", first=True)
    assert [hook.plugin for hook in hooks.on_complete] == ["two", "one"]


# the specification itself


@pytest.mark.parametrize("point", HOOK_NAMES)
def test_every_hook_states_its_law(point):
    assert "Law:" in (inspect.getdoc(getattr(HookSpec, point)) or "")


@pytest.mark.parametrize("point", HOOK_NAMES)
def test_every_hook_has_its_own_test(point):
    texts = [file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py")]
    names = re.findall(r"async def test_(\w+)", "".join(texts))
    assert [name for name in names if name.startswith(point)]


@pytest.mark.parametrize("point", HOOK_NAMES)
def test_every_hook_has_a_row_in_the_readme(point):
    text = README.read_text(encoding="utf-8")
    assert re.search(rf"^\|[^|]*`{point}\b[^|]*\|", text, re.MULTILINE), f"no table row names `{point}`"


def test_every_hook_has_its_tuple():
    assert [name for name in HOOK_NAMES if getattr(Hooks(), name) != ()] == []

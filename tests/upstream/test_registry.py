"""Where a model name leads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aigw
from aigw.upstream import registry as module
from aigw.upstream.registry import ModelRegistry, Target


class Silent(aigw.BaseProvider):
    async def call(self, call):
        raise NotImplementedError


ONE, TWO, THREE = Silent("one"), Silent("two"), Silent("three")
NAMES = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="*"), min_size=1, max_size=12
)


def models():
    registry = ModelRegistry()
    registry.register("exact", ONE)
    registry.register("renamed", ONE, rewrite="vendor/long-name", aliases=["nick", "two/nick"])
    registry.register("open/*", TWO)
    registry.register("open/small-*", ONE, rewrite="tiny-*")
    registry.register("fixed-*", ONE, rewrite="always-this")
    registry.register("*-suffix", TWO)
    registry.register("exact-*", TWO)
    registry.add_provider(THREE, families=["gpt-*", "exact*"])
    return registry


@pytest.mark.parametrize(
    ("name", "entry", "target"),
    [
        ("exact", "exact", "one/exact"),
        ("renamed", "renamed", "one/vendor/long-name"),
        ("nick", "renamed", "one/vendor/long-name"),
        ("two/nick", "renamed", "one/vendor/long-name"),
        ("open/a/b", "open/*", "two/a/b"),
        ("open/small-x", "open/small-*", "one/tiny-x"),
        ("open/", "open/*", "two/open/"),
        ("fixed-whatever", "fixed-*", "one/always-this"),
        ("my-suffix", "*-suffix", "two/my"),
        ("exact-one", "exact-*", "two/one"),
        ("two/any/thing", "two/*", "two/any/thing"),
        ("three/gpt-4", "three/*", "three/gpt-4"),
        ("gpt-4", "gpt-*", "three/gpt-4"),
        ("exactly", "exact*", "three/exactly"),
    ],
)
def test_a_name_leads_where_the_most_exact_rule_says(name, entry, target):
    route = models().resolve(name)
    assert (route.entry, str(route.targets[0])) == (entry, target)


@pytest.mark.parametrize("name", ["", "unknown", "four/model", "one/", "/x", "open", "Exact", "gpt"])
def test_a_name_nobody_knows_leads_nowhere(name):
    assert models().resolve(name) is None


def test_a_lone_star_takes_everything_and_keeps_the_name():
    registry = ModelRegistry()
    registry.register("*", ONE)
    assert str(registry.resolve("any/name").targets[0]) == "one/any/name"


@given(name=NAMES, prefix=st.sampled_from(["a/", "longer/"]))
def test_what_a_wildcard_matched_goes_to_the_provider(name, prefix):
    registry = ModelRegistry()
    registry.register(prefix + "*", ONE)
    assert registry.resolve(prefix + name).targets[0].model == name


@given(name=NAMES)
def test_an_exact_name_outranks_every_pattern(name):
    registry = ModelRegistry()
    registry.register("*", TWO)
    registry.register(name[0] + "*", TWO)
    registry.register(name, ONE)
    assert registry.resolve(name).targets[0].provider is ONE


@given(name=NAMES)
def test_asking_twice_gives_the_same_answer(name):
    registry = models()
    assert registry.resolve(name) is registry.resolve(name)


def test_names_that_clients_make_up_do_not_fill_the_memory():
    registry = models()
    for number in range(3 * module._CACHE_LIMIT):
        registry.resolve(f"made-up-{number}")
    assert len(registry._cache) <= module._CACHE_LIMIT


def test_a_name_that_was_unknown_is_found_once_it_is_registered():
    registry = models()
    assert registry.resolve("later") is None
    registry.register("later", ONE)
    assert registry.resolve("later").entry == "later"
    assert registry.resolve("four/x") is None
    registry.add_provider(Silent("four"))
    assert registry.resolve("four/x").entry == "four/*"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("exact", TWO), "registered already"),
        (("nick", TWO), "registered already"),
        (("new",), "no provider and no targets"),
        (("new", Silent("one")), "two providers"),
    ],
)
def test_a_name_is_given_once(arguments, wanted):
    with pytest.raises(ValueError, match=wanted):
        models().register(*arguments)


@pytest.mark.parametrize("aliases", [["exact"], ["nick"], ["new"], ["fine", "fine"], ["fine", "exact"]])
def test_an_alias_that_is_taken_leaves_nothing_half_done(aliases):
    registry = models()
    with pytest.raises(ValueError, match="taken already"):
        registry.register("new", ONE, aliases=aliases)
    assert registry.resolve("new") is None
    assert registry.resolve("fine") is None
    registry.register("new", ONE, aliases=["fine"])
    assert registry.resolve("fine").entry == "new"


def test_several_targets_keep_their_weights_and_wildcards():
    registry = ModelRegistry()
    registry.register("x-*", targets=[Target(ONE, "a-*", 3.0), Target(TWO, "b", 0.0)])
    targets = registry.resolve("x-y").targets
    assert [(str(target), target.weight) for target in targets] == [("one/a-y", 3.0), ("two/b", 0.0)]
    assert set(registry.providers) == {"one", "two"}


def test_names_lists_what_stands_for_one_model():
    assert models().names() == ["exact", "nick", "renamed", "two/nick"]


@pytest.mark.parametrize("pattern", ["gpt-[45]*", "gpt-?*"])
def test_nothing_but_a_star_is_a_wildcard_in_a_name(pattern):
    registry = ModelRegistry()
    registry.register(pattern, ONE)
    assert registry.resolve("gpt-4o") is None
    assert registry.resolve(pattern.replace("*", "x")).entry == pattern


def test_a_family_may_leave_names_out():
    registry = ModelRegistry()
    registry.add_provider(ONE, families=["gpt-[!o]*"])
    assert registry.resolve("gpt-4o").targets[0].provider is ONE
    assert registry.resolve("gpt-oss") is None

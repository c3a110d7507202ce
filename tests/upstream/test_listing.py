"""Which models there are to choose from."""

import asyncio

import pytest

import aigw
from aigw.errors import UpstreamError
from aigw.upstream import listing as module
from aigw.upstream.listing import Listing
from aigw.upstream.registry import ModelRegistry


class Lister(aigw.BaseProvider):
    def __init__(self, name, *names, fails=None):
        super().__init__(name)
        self.names = list(names)
        self.fails = fails
        self.asked = 0

    async def call(self, call):
        raise NotImplementedError

    async def models(self):
        self.asked += 1
        if self.fails == "hang":
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails
        return self.names


def listing_of(*providers):
    registry = ModelRegistry()
    for provider in providers:
        registry.add_provider(provider)
    return registry, Listing(registry)


async def test_registered_names_come_first_and_patterns_not_at_all():
    one = Lister("one", "a", "b")
    registry, listing = listing_of(one)
    registry.register("fast", one, rewrite="a", aliases=["quick"])
    registry.register("any/*", one)
    assert await listing.models() == {"fast": "one", "quick": "one", "one/a": "one", "one/b": "one"}


async def test_a_registered_name_is_not_taken_over_by_a_provider_that_lists_it():
    one, two = Lister("one", "a"), Lister("two")
    registry, listing = listing_of(one, two)
    registry.register("one/a", two)
    assert await listing.models() == {"one/a": "two"}


@pytest.mark.parametrize("failure", [UpstreamError("no"), ZeroDivisionError("sk"), "hang"])
async def test_a_provider_that_fails_does_not_keep_the_list_from_anybody(monkeypatch, failure):
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    _, listing = listing_of(Lister("bad", fails=failure), Lister("good", "a"))
    assert await listing.models() == {"good/a": "good"}


async def test_providers_are_asked_once_however_many_want_to_know(monkeypatch):
    one = Lister("one", "a")
    _, listing = listing_of(one)
    lists = await asyncio.gather(*(listing.models() for _ in range(20)))
    assert all(names == {"one/a": "one"} for names in lists)
    assert one.asked == 1
    monkeypatch.setattr(module, "LISTING_TTL_S", 0.0)
    _, listing = listing_of(one)
    await listing.models()
    await listing.models()
    assert one.asked == 3


async def test_a_provider_that_failed_is_asked_again_soon_and_its_old_list_kept(monkeypatch):
    monkeypatch.setattr(module, "LISTING_TTL_S", 0.0)
    one = Lister("one", "a")
    _, listing = listing_of(one)
    assert await listing.models() == {"one/a": "one"}
    one.fails = UpstreamError("down")
    assert await listing.models() == {"one/a": "one"}
    assert await listing.models() == {"one/a": "one"}
    assert one.asked == 2
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    _, listing = listing_of(one)
    assert await listing.models() == {}
    one.fails = None
    assert await listing.models() == {"one/a": "one"}


async def test_a_caller_that_leaves_does_not_hold_up_the_next(monkeypatch):
    one = Lister("one", "a", fails="hang")
    _, listing = listing_of(one)
    left = asyncio.create_task(listing.models())
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    one.fails = None
    assert await listing.models() == {"one/a": "one"}


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ({"object": "list", "data": [{"id": "a"}, {"id": "b"}, {"no": "id"}, 7]}, ["a", "b"]),
        ([{"id": "a"}], ["a"]),
        ({"data": []}, []),
    ],
)
async def test_a_providers_list_is_read_in_both_shapes(upstream, answer, names):
    upstream.answer(answer)
    provider = aigw.Provider(upstream.url, "sk-upstream", name="up")
    await provider.open()
    assert await provider.models() == names
    await provider.close()
    assert upstream.seen[0].path == "/v1/models"
    assert upstream.seen[0].headers["Authorization"] == "Bearer sk-upstream"


@pytest.mark.parametrize(
    ("body", "status"), [(b"<html>", 200), (b"{}", 200), (b'{"data": []}', 401), (b"", 500)]
)
async def test_a_provider_that_does_not_list_its_models_is_named(upstream, body, status):
    upstream.raw(body, status=status)
    provider = aigw.Provider(upstream.url, name="up")
    await provider.open()
    with pytest.raises(UpstreamError, match='"up" did not list its models'):
        await provider.models()
    await provider.close()

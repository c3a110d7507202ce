import openai
import pytest


@pytest.fixture
def module(load_example, fake_env):
    return load_example("embed/shop.py")


@pytest.fixture
async def shop(module, aiohttp_client):
    return await aiohttp_client(module.make_shop({"ada": "ada-password", "bob": "bob-password"}))


@pytest.fixture
def ask(shop, sdk):
    async def ask(key, model="assistant", **options):
        client = sdk(str(shop.make_url("/ai")), key)
        messages = [{"role": "user", "content": "Do you sell tea?"}]
        return await client.chat.completions.create(model=model, messages=messages, **options)

    return ask


async def test_the_shops_own_page_is_what_it_was(shop):
    answer = await shop.get("/")
    assert await answer.json() == {"shop": "open", "tokens_used": {}}
    assert (await shop.get("/v1/models")).status == 404


async def test_a_customer_may_ask_and_the_shop_sees_what_it_cost(shop, ask):
    answer = await ask("ada-password")
    assert "Do you sell tea?" in answer.choices[0].message.content
    used = (await (await shop.get("/")).json())["tokens_used"]
    assert used == {"ada": answer.usage.total_tokens}


async def test_a_streams_tokens_are_counted_though_nobody_asked_for_them(shop, ask, eventually):
    async with await ask("bob-password", stream=True) as stream:
        assert not any([chunk.usage async for chunk in stream])
    await eventually(lambda: shop.app[next(iter(shop.app))]["bob"] > 0)


async def test_strangers_get_a_401_in_the_clients_own_format(ask):
    with pytest.raises(openai.AuthenticationError):
        await ask("mallory-password")


async def test_customers_get_no_other_model(ask):
    with pytest.raises(openai.PermissionDeniedError):
        await ask("ada-password", model="gpt-5")


async def test_who_has_used_a_thousand_tokens_is_refused(shop, module, ask):
    shop.app[module.TOKENS_USED]["ada"] = 1000
    with pytest.raises(openai.RateLimitError, match="used up"):
        await ask("ada-password")
    assert await ask("bob-password")

"""No secret is told, wherever it stands."""

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from support.explained import BEARER, KEY, SECRETS, names

import aigw
from aigw.config import AuthConfig, KeyConfig, Secret
from aigw.explain.masking import mask_for


async def test_secrets_stay_out_wherever_they_stand(ask):
    body = {"model": "own/llama", "messages": [{"role": "user", "content": " ".join(SECRETS)}],
            "metadata": {KEY: "query-secret-6"}}  # fmt: skip
    tree = await ask(body, path=f"/v1/chat/completions?key={KEY}&other={KEY}",
                     headers=(BEARER, "x-note: sk-up-secret-3"))  # fmt: skip
    call = tree["targets"][0]["call"]
    assert "sig=***" in call["url"]
    assert call["headers"]["x-extra"] == "***"
    assert call["body"]["messages"][0]["content"].count("***") >= 8


async def test_keys_of_the_environment_stay_out(ask):
    env = {"OPENAI_API_KEY": "sk-environment-77", "SOME_TOKEN": "tok-environment-88"}
    body = {"model": "openai/gpt-x", "messages": [{"role": "user", "content": "tok-environment-88"}]}
    tree = await ask(body, env=env)
    assert names(tree) == ["openai/gpt-x"]
    assert "environment" not in json.dumps(tree)
    assert tree["targets"][0]["call"]["headers"]["Authorization"] == "Bearer ***"


PLAIN = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="*"), min_size=1)


@given(secret=PLAIN, around=st.text(), name=st.sampled_from(["x-note", "Authorization", "x-api-key"]))
def test_no_text_a_mask_lets_through_holds_a_secret(secret, around, name):
    try:
        key = KeyConfig(key=Secret(secret))
    except ValueError:  # no key of that kind can be configured
        return
    mask = mask_for(aigw.Config(auth=AuthConfig(keys=(key,))), {})
    text = f"{around}{secret}{around}"
    shown = [mask.text(text), *mask.headers([(name, text)]).values(), mask.url(f"http://h/{quote(text)}")]
    shown += walk(mask.tree({text: [text, {"a": json.dumps(text)}]}))
    assert [each for each in shown if secret in each.replace("http://h/", "").replace("***", "*")] == []


def walk(tree):
    """Yield all texts of a tree, but for the one name that is ours."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield from [name] if name != "a" else []
            yield from walk(value)
    else:
        for each in tree:
            yield from walk(each)

import asyncio
import re
from fnmatch import fnmatchcase
from itertools import combinations
from string import Formatter
from urllib.parse import urlsplit

import pytest
from multidict import CIMultiDict

from aigw.dialects.endpoints import ENDPOINTS, Api
from aigw.errors import ServerError
from aigw.upstream.catalog import CATALOG, OPENAI_APIS
from aigw.upstream.http import Provider
from aigw.upstream.kind import ProviderKind, query_for
from aigw.upstream.provider import Answer, Call

ROWS = [pytest.param(row, id=row.name) for row in CATALOG.values()]

# The addresses of vendors where every customer has one of his own, as their documentation writes them.
OWN_ADDRESSES = {
    "azure": "https://acme.openai.azure.com",
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/0123abcd/ai/v1",
    "dashscope": "https://ws-1.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1",
    "databricks": "https://acme.cloud.databricks.com",
    "snowflake": "https://acme.snowflakecomputing.com/api/v2/cortex/v1",
}

CHAT_URLS = {
    "anthropic": "https://api.anthropic.com/v1/chat/completions",
    "azure": "https://acme.openai.azure.com/openai/deployments/some-model/chat/completions",
    "baseten": "https://inference.baseten.co/v1/chat/completions",
    "cerebras": "https://api.cerebras.ai/v1/chat/completions",
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/0123abcd/ai/v1/chat/completions",
    "cohere": "https://api.cohere.ai/compatibility/v1/chat/completions",
    "crusoe": "https://api.inference.crusoecloud.com/v1/chat/completions",
    "dashscope": "https://ws-1.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1/chat/completions",
    "databricks": "https://acme.cloud.databricks.com/serving-endpoints/chat/completions",
    "deepinfra": "https://api.deepinfra.com/v1/openai/chat/completions",
    "deepseek": "https://api.deepseek.com/chat/completions",
    "fireworks": "https://api.fireworks.ai/inference/v1/chat/completions",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    "groq": "https://api.groq.com/openai/v1/chat/completions",
    "huggingface": "https://router.huggingface.co/v1/chat/completions",
    "hyperbolic": "https://api.hyperbolic.xyz/v1/chat/completions",
    "llamacpp": "http://localhost:8080/v1/chat/completions",
    "lmstudio": "http://localhost:1234/v1/chat/completions",
    "localai": "http://localhost:8080/v1/chat/completions",
    "minimax": "https://api.minimax.io/v1/chat/completions",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "moonshot": "https://api.moonshot.ai/v1/chat/completions",
    "nebius": "https://api.tokenfactory.nebius.com/v1/chat/completions",
    "novita": "https://api.novita.ai/openai/v1/chat/completions",
    "nvidia": "https://integrate.api.nvidia.com/v1/chat/completions",
    "ollama": "http://localhost:11434/v1/chat/completions",
    "openai": "https://api.openai.com/v1/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "sambanova": "https://api.sambanova.ai/v1/chat/completions",
    "sglang": "http://localhost:30000/v1/chat/completions",
    "siliconflow": "https://api.siliconflow.com/v1/chat/completions",
    "snowflake": "https://acme.snowflakecomputing.com/api/v2/cortex/v1/chat/completions",
    "together": "https://api.together.ai/v1/chat/completions",
    "vercel": "https://ai-gateway.vercel.sh/v1/chat/completions",
    "vllm": "http://localhost:8000/v1/chat/completions",
    "xai": "https://api.x.ai/v1/chat/completions",
    "zai": "https://api.z.ai/api/paas/v4/chat/completions",
}

EMBEDDINGS_URLS = {
    "azure": "https://acme.openai.azure.com/openai/deployments/some-model/embeddings",
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/0123abcd/ai/v1/embeddings",
    "cohere": "https://api.cohere.ai/compatibility/v1/embeddings",
    "dashscope": "https://ws-1.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1/embeddings",
    "databricks": "https://acme.cloud.databricks.com/serving-endpoints/embeddings",
    "deepinfra": "https://api.deepinfra.com/v1/openai/embeddings",
    "fireworks": "https://api.fireworks.ai/inference/v1/embeddings",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai/embeddings",
    "jina": "https://api.jina.ai/v1/embeddings",
    "llamacpp": "http://localhost:8080/v1/embeddings",
    "lmstudio": "http://localhost:1234/v1/embeddings",
    "localai": "http://localhost:8080/v1/embeddings",
    "mistral": "https://api.mistral.ai/v1/embeddings",
    "nebius": "https://api.tokenfactory.nebius.com/v1/embeddings",
    "novita": "https://api.novita.ai/openai/v1/embeddings",
    "nvidia": "https://integrate.api.nvidia.com/v1/embeddings",
    "ollama": "http://localhost:11434/v1/embeddings",
    "openai": "https://api.openai.com/v1/embeddings",
    "openrouter": "https://openrouter.ai/api/v1/embeddings",
    "sambanova": "https://api.sambanova.ai/v1/embeddings",
    "sglang": "http://localhost:30000/v1/embeddings",
    "siliconflow": "https://api.siliconflow.com/v1/embeddings",
    "together": "https://api.together.ai/v1/embeddings",
    "vercel": "https://ai-gateway.vercel.sh/v1/embeddings",
    "vllm": "http://localhost:8000/v1/embeddings",
    "voyage": "https://api.voyageai.com/v1/embeddings",
}

RESPONSES_URLS = {
    "azure": "https://acme.openai.azure.com/openai/v1/responses",
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/0123abcd/ai/v1/responses",
    "deepseek": "https://api.deepseek.com/responses",
    "fireworks": "https://api.fireworks.ai/inference/v1/responses",
    "groq": "https://api.groq.com/openai/v1/responses",
    "huggingface": "https://router.huggingface.co/v1/responses",
    "lmstudio": "http://localhost:1234/v1/responses",
    "minimax": "https://api.minimax.io/v1/responses",
    "ollama": "http://localhost:11434/v1/responses",
    "openai": "https://api.openai.com/v1/responses",
    "openrouter": "https://openrouter.ai/api/v1/responses",
    "perplexity": "https://api.perplexity.ai/v1/responses",
    "vllm": "http://localhost:8000/v1/responses",
    "xai": "https://api.x.ai/v1/responses",
}

NATIVE = {
    "anthropic": {
        "/v1/messages": "https://api.anthropic.com/v1/messages",
        "/v1/messages/count_tokens": "https://api.anthropic.com/v1/messages/count_tokens",
    },
    "gemini": {
        "/v1beta/models/{model}:generateContent": (
            "https://generativelanguage.googleapis.com/v1beta/models/some-model:generateContent"
        ),
        "/v1/models/{model}:streamGenerateContent": (
            "https://generativelanguage.googleapis.com/v1/models/some-model:streamGenerateContent"
        ),
    },
}
"""Those who speak an API of their own, and where."""

FAMILY_MEMBERS = {
    "gpt-4o-mini": "openai",
    "gpt-6.1-sol": "openai",
    "gpt-image-1": "openai",
    "o3-mini": "openai",
    "chatgpt-4o-latest": "openai",
    "text-embedding-3-small": "openai",
    "omni-moderation-latest": "openai",
    "claude-sonnet-4-6": "anthropic",
    "gemini-3-flash-preview": "gemini",
    "gemini-embedding-2": "gemini",
    "deepseek-v4-flash": "deepseek",
    "mistral-large-latest": "mistral",
    "codestral-latest": "mistral",
    "open-mistral-nemo": "mistral",
    "grok-4.20-reasoning": "xai",
    "command-a-03-2025": "cohere",
    "embed-v4.0": "cohere",
    "kimi-k2.6": "moonshot",
    "moonshot-v1-8k": "moonshot",
    "glm-4.7": "zai",
    "MiniMax-M2.7": "minimax",
    "qwen-plus": "dashscope",
    "text-embedding-v4": "dashscope",
    "voyage-4": "voyage",
    "jina-embeddings-v3": "jina",
    # Names that several vendors use, or that begin with a vendor, are nobody's.
    "gpt-oss-120b": None,
    "gpt-oss:20b": None,
    "whisper-large-v3": None,
    "llama-3.3-70b-versatile": None,
    "openai/gpt-4o": None,
    "gemma-4-31b": None,
    "some-model": None,
}


class Recorder:
    """A transport that keeps what it was asked and lists one model."""

    def __init__(self):
        self.asked = []

    async def open(self):
        pass

    async def close(self):
        pass

    async def send(self, method, url, headers, body):
        self.asked.append((method, url, headers))
        return Answer.json({"data": [{"id": "some-model"}]})


def provider_of(kind, **settings):
    row = CATALOG[kind] if isinstance(kind, str) else kind
    return Provider(OWN_ADDRESSES.get(row.name, ""), "k", kind=row, **settings)


def call_to(path, **facts):
    endpoint = next(endpoint for endpoint in ENDPOINTS if endpoint.path == path)
    path = endpoint.path_for("some-model")
    return Call(endpoint=endpoint, model="some-model", path=path, headers=CIMultiDict(), body=b"{}", **facts)


def address_of(kind, path):
    return provider_of(kind).url_for(call_to(path)).partition("?")[0]


def rows_with(api):
    return {row.name for row in CATALOG.values() if api in row.apis}


def test_thirty_vendors_are_known():
    assert len(CATALOG) >= 30


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_well_formed(row):
    assert CATALOG[row.name] is row
    assert re.fullmatch(r"[a-z0-9]+", row.name)
    assert row.title.strip() == row.title != ""
    assert row.docs.startswith("https://")
    assert row.apis
    assert row.apis <= OPENAI_APIS or row.name in NATIVE
    assert row.stream_usage in {"ask", "always", "never"}
    assert row.key_env
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", name) for name in (*row.key_env, *row.url_env))


@pytest.mark.parametrize("row", ROWS)
def test_an_address_is_safe_and_ends_without_a_slash(row):
    if not row.base_url:
        assert row.name in OWN_ADDRESSES
        return
    assert row.name not in OWN_ADDRESSES
    assert not row.base_url.endswith("/")
    parts = urlsplit(row.base_url)
    assert (parts.query, parts.fragment) == ("", "")
    if row.key_required:
        assert parts.scheme == "https"
    else:
        assert (parts.scheme, parts.hostname) == ("http", "localhost")


@pytest.mark.parametrize("row", ROWS)
def test_templates_use_what_can_be_filled(row):
    assert set(row.paths) | set(row.queries) <= row.apis
    for template in filter(None, (row.path, *row.paths.values())):
        names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        assert "endpoint" in names
        assert names <= {"endpoint", "model"}
        assert template.startswith("/")
    assert row.base_path is None or row.base_path.startswith("/")
    assert row.models_path == "" or row.models_path.startswith("/")


def test_no_two_vendors_read_the_same_variable():
    names = [name for row in CATALOG.values() for name in (*row.key_env, *row.url_env)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("api", "path", "urls"),
    [
        (Api.CHAT, "/v1/chat/completions", CHAT_URLS),
        (Api.EMBEDDINGS, "/v1/embeddings", EMBEDDINGS_URLS),
        (Api.RESPONSES, "/v1/responses", RESPONSES_URLS),
    ],
    ids=["chat", "embeddings", "responses"],
)
def test_every_vendor_is_called_where_its_documentation_says(api, path, urls):
    assert {name: address_of(name, path) for name in sorted(rows_with(api))} == urls


@pytest.mark.parametrize("name", NATIVE)
def test_a_vendor_with_an_api_of_its_own_is_called_where_its_documentation_says(name):
    assert {path: address_of(name, path) for path in NATIVE[name]} == NATIVE[name]


@pytest.mark.parametrize("base_url", ["https://g.test", "https://g.test/v1", "https://g.test/v1beta/"])
def test_an_address_of_ones_own_shows_googles_version_once(base_url):
    for path in ("/v1beta/models/{model}:generateContent", "/v1/models/{model}:generateContent"):
        url = Provider(base_url, "k", kind="gemini").url_for(call_to(path))
        assert re.fullmatch(r"https://g\.test/v1(?:beta)?/models/some-model:generateContent", url)


@pytest.mark.parametrize(
    ("name", "base_url", "wanted"),
    [
        ("anthropic", "https://api.anthropic.com/v1/", "https://api.anthropic.com/v1/chat/completions"),
        ("deepseek", "https://api.deepseek.com/v1", "https://api.deepseek.com/v1/chat/completions"),
        ("moonshot", "https://api.moonshot.cn/v1", "https://api.moonshot.cn/v1/chat/completions"),
        ("ollama", "http://gpu:11434/v1", "http://gpu:11434/v1/chat/completions"),
        ("ollama", "http://gpu:11434", "http://gpu:11434/v1/chat/completions"),
        ("openai", "https://eu.api.openai.com", "https://eu.api.openai.com/v1/chat/completions"),
    ],
)
def test_an_address_of_ones_own_may_show_its_version_or_not(name, base_url, wanted):
    assert Provider(base_url, "k", kind=name).url_for(call_to("/v1/chat/completions")) == wanted


@pytest.mark.parametrize(("model", "owner"), FAMILY_MEMBERS.items())
def test_a_bare_name_belongs_to_its_maker_alone(model, owner):
    owners = {
        row.name for row in CATALOG.values() if any(fnmatchcase(model, family) for family in row.families)
    }
    assert owners == ({owner} if owner else set())


def test_families_of_two_vendors_do_not_overlap():
    def stem(pattern):
        return re.split(r"[*?\[]", pattern)[0]

    for one, other in combinations(CATALOG.values(), 2):
        for mine in one.families:
            for theirs in other.families:
                assert not stem(mine).startswith(stem(theirs)), (one.name, mine, other.name, theirs)
                assert not stem(theirs).startswith(stem(mine)), (one.name, mine, other.name, theirs)


def test_every_family_has_an_example():
    for row in CATALOG.values():
        if row.families:
            assert row.name in FAMILY_MEMBERS.values()


def test_a_model_that_may_be_left_out_belongs_to_a_family():
    for endpoint in ENDPOINTS:
        if endpoint.default_model:
            assert any(fnmatchcase(endpoint.default_model, family) for family in CATALOG["openai"].families)


def test_azure_names_its_deployment_in_the_path_and_its_version_in_the_query():
    azure = CATALOG["azure"]
    assert azure.query == {"api-version": "{api_version}"}
    for api in azure.apis - {Api.RESPONSES}:
        assert query_for(azure, api) == {"api-version": "2024-10-21"}


def test_azure_gets_no_version_with_responses():
    assert query_for(CATALOG["azure"], Api.RESPONSES) == {}


@pytest.mark.parametrize(
    ("name", "path", "wanted"),
    [
        ("azure", "/v1/chat/completions", {"api-key": "k"}),
        ("azure", "/v1/responses", {"api-key": "k"}),
        ("anthropic", "/v1/chat/completions", {"Authorization": "Bearer k"}),
        ("anthropic", "/v1/messages", {"x-api-key": "k"}),
        ("gemini", "/v1/chat/completions", {"Authorization": "Bearer k"}),
        ("gemini", "/v1beta/models/{model}:generateContent", {"x-goog-api-key": "k"}),
        ("openai", "/v1/chat/completions", {"Authorization": "Bearer k"}),
    ],
)
def test_a_key_goes_where_the_vendor_looks_for_it(name, path, wanted):
    transport = Recorder()
    asyncio.run(provider_of(name, transport=transport).call(call_to(path)))
    [(_, _, headers)] = transport.asked
    assert dict(headers) == wanted


@pytest.mark.parametrize("row", ROWS)
def test_only_a_local_server_is_called_without_a_key(row):
    transport = Recorder()
    provider = Provider(OWN_ADDRESSES.get(row.name, ""), kind=row, transport=transport)
    call = call_to("/v1/chat/completions")
    if row.key_required:
        with pytest.raises(ServerError, match=row.key_env[0]):
            asyncio.run(provider.call(call))
        assert transport.asked == []
    else:
        asyncio.run(provider.call(call))
        [(_, _, headers)] = transport.asked
        assert dict(headers) == {}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("deepinfra", "https://api.deepinfra.com/v1/openai/models"),
        ("deepseek", "https://api.deepseek.com/models"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai/models"),
        ("groq", "https://api.groq.com/openai/v1/models"),
        ("ollama", "http://localhost:11434/v1/models"),
        ("openai", "https://api.openai.com/v1/models"),
    ],
)
def test_models_are_listed_beside_the_endpoints(name, wanted):
    transport = Recorder()
    assert asyncio.run(provider_of(name, transport=transport).models()) == ["some-model"]
    [(method, url, _)] = transport.asked
    assert (method, url) == ("GET", wanted)


def test_a_vendor_without_a_list_is_not_asked_for_one():
    transport = Recorder()
    assert asyncio.run(provider_of("azure", transport=transport).models()) == []
    assert transport.asked == []


def test_a_list_of_models_is_not_looked_for_below_one_model():
    row = ProviderKind("own", "Own", "https://example.test", path="/models/{model}{endpoint}")
    transport = Recorder()
    asyncio.run(provider_of(row, transport=transport).models())
    [(_, url, _)] = transport.asked
    assert url == "https://example.test/v1/models"

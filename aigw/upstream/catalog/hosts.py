"""Those who serve other people's models: clouds, inference hosts, and gateways to many of them.

No families here: what they call a model is also the name of its maker's, or begins with the maker.
"""

from __future__ import annotations

from aigw.dialects.endpoints import Api
from aigw.upstream.catalog.apis import CHAT_AND_EMBEDDINGS, OPENAI_TOOLS
from aigw.upstream.kind import ProviderKind

HOSTS = (
    ProviderKind(
        name="azure",
        title="Azure OpenAI",
        base_url="",  # https://{resource}.openai.azure.com
        apis=frozenset(
            {Api.CHAT, Api.RESPONSES, Api.COMPLETIONS, Api.EMBEDDINGS, Api.IMAGES, Api.AUDIO},
        ),
        key_env=("AZURE_OPENAI_API_KEY",),
        url_env=("AZURE_OPENAI_ENDPOINT",),
        auth=("api-key", ""),
        path="/openai/deployments/{model}{endpoint}",
        query={"api-version": "{api_version}"},
        # The last dated version that is generally available has no responses. They live below /v1,
        # which answers 400 where a dated version is named.
        paths={Api.RESPONSES: "/openai/v1{endpoint}"},
        queries={Api.RESPONSES: {}},
        api_version="2024-10-21",
        hosted_tools=OPENAI_TOOLS,
        models_path="",  # its list is of models that could be deployed, not of deployments
        docs="https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle",
    ),
    ProviderKind(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        apis=frozenset({Api.CHAT, Api.RESPONSES, Api.COMPLETIONS, Api.EMBEDDINGS}),
        key_env=("OPENROUTER_API_KEY",),
        stream_usage="always",
        docs="https://openrouter.ai/docs/api-reference/overview",
    ),
    ProviderKind(
        name="vercel",
        title="Vercel AI Gateway",
        base_url="https://ai-gateway.vercel.sh/v1",
        apis=CHAT_AND_EMBEDDINGS,
        key_env=("AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
        docs="https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions",
    ),
    ProviderKind(
        name="huggingface",
        title="Hugging Face Inference Providers",
        base_url="https://router.huggingface.co/v1",
        apis=frozenset({Api.CHAT, Api.RESPONSES}),
        key_env=("HF_TOKEN",),
        docs="https://huggingface.co/docs/inference-providers",
    ),
    ProviderKind(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        apis=frozenset({Api.CHAT, Api.RESPONSES, Api.AUDIO}),
        key_env=("GROQ_API_KEY",),
        stream_usage="always",
        docs="https://console.groq.com/docs/openai",
    ),
    ProviderKind(
        name="cerebras",
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_env=("CEREBRAS_API_KEY",),
        docs="https://inference-docs.cerebras.ai",
    ),
    ProviderKind(
        name="together",
        title="Together AI",
        base_url="https://api.together.ai/v1",
        apis=frozenset({Api.CHAT, Api.COMPLETIONS, Api.EMBEDDINGS, Api.IMAGES, Api.AUDIO}),
        key_env=("TOGETHER_API_KEY",),
        docs="https://docs.together.ai/docs/inference/openai-compatibility",
    ),
    ProviderKind(
        name="fireworks",
        title="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        apis=frozenset({Api.CHAT, Api.RESPONSES, Api.COMPLETIONS, Api.EMBEDDINGS}),
        key_env=("FIREWORKS_API_KEY",),
        docs="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
    ),
    ProviderKind(
        name="siliconflow",
        title="SiliconFlow",
        base_url="https://api.siliconflow.com/v1",
        apis=CHAT_AND_EMBEDDINGS,
        key_env=("SILICONFLOW_API_KEY",),
        docs="https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
    ),
    ProviderKind(
        name="nvidia",
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        apis=frozenset({Api.CHAT, Api.COMPLETIONS, Api.EMBEDDINGS}),
        key_env=("NVIDIA_API_KEY",),
        docs="https://docs.api.nvidia.com/nim/reference",
    ),
    ProviderKind(
        name="sambanova",
        title="SambaNova",
        base_url="https://api.sambanova.ai/v1",
        apis=frozenset({Api.CHAT, Api.EMBEDDINGS, Api.AUDIO}),
        key_env=("SAMBANOVA_API_KEY",),
        docs="https://docs.sambanova.ai/docs/en/features/openai-compatibility",
    ),
    ProviderKind(
        name="hyperbolic",
        title="Hyperbolic",
        base_url="https://api.hyperbolic.xyz/v1",
        key_env=("HYPERBOLIC_API_KEY",),
        docs="https://docs.hyperbolic.xyz",
    ),
    ProviderKind(
        name="deepinfra",
        title="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        apis=frozenset({Api.CHAT, Api.COMPLETIONS, Api.EMBEDDINGS}),
        key_env=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
        base_path="/v1",
        stream_usage="always",
        docs="https://deepinfra.com/docs/openai_api",
    ),
    ProviderKind(
        name="novita",
        title="Novita AI",
        base_url="https://api.novita.ai/openai/v1",
        apis=frozenset({Api.CHAT, Api.COMPLETIONS, Api.EMBEDDINGS}),
        key_env=("NOVITA_API_KEY",),
        docs="https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
    ),
    ProviderKind(
        name="nebius",
        title="Nebius Token Factory",
        base_url="https://api.tokenfactory.nebius.com/v1",
        apis=CHAT_AND_EMBEDDINGS,
        key_env=("NEBIUS_API_KEY",),
        docs="https://docs.tokenfactory.nebius.com/api-reference/introduction",
    ),
    ProviderKind(
        name="baseten",
        title="Baseten",
        base_url="https://inference.baseten.co/v1",
        key_env=("BASETEN_API_KEY",),
        models_path="",
        docs="https://docs.baseten.co/reference/inference-api/chat-completions",
    ),
    ProviderKind(
        name="crusoe",
        title="Crusoe",
        base_url="https://api.inference.crusoecloud.com/v1",
        key_env=("CRUSOE_API_KEY",),
        docs="https://docs.crusoecloud.com/quickstart/getting-started-with-serverless-inference",
    ),
    ProviderKind(
        name="cloudflare",
        title="Cloudflare Workers AI",
        base_url="",  # https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1
        apis=frozenset({Api.CHAT, Api.RESPONSES, Api.EMBEDDINGS}),
        key_env=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        models_path="",
        docs="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",
    ),
    ProviderKind(
        name="databricks",
        title="Databricks Model Serving",
        base_url="",  # https://{workspace}.cloud.databricks.com
        apis=frozenset({Api.CHAT, Api.COMPLETIONS, Api.EMBEDDINGS}),
        key_env=("DATABRICKS_TOKEN",),
        url_env=("DATABRICKS_HOST",),
        path="/serving-endpoints{endpoint}",
        stream_usage="always",
        models_path="",
        docs="https://docs.databricks.com/machine-learning/model-serving/score-foundation-models",
    ),
    ProviderKind(
        name="snowflake",
        title="Snowflake Cortex",
        base_url="",  # https://{account}.snowflakecomputing.com/api/v2/cortex/v1
        key_env=("SNOWFLAKE_PAT",),
        models_path="",
        docs="https://docs.snowflake.com/user-guide/snowflake-cortex/open_ai_sdk",
    ),
)

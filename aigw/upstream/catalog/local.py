"""Servers that run on one's own machine: no key needed, and HTTP on the port they listen on unasked."""

from __future__ import annotations

from aigw.dialects.endpoints import Api
from aigw.upstream.kind import ProviderKind

LOCAL = (
    ProviderKind(
        name="ollama",
        title="Ollama",
        base_url="http://localhost:11434",
        apis=frozenset({Api.CHAT, Api.RESPONSES, Api.COMPLETIONS, Api.EMBEDDINGS, Api.AUDIO}),
        key_env=("OLLAMA_API_KEY",),
        # Not OLLAMA_HOST: that is the address a server binds, often 0.0.0.0 and without a scheme.
        url_env=("OLLAMA_BASE_URL",),
        key_required=False,
        docs="https://docs.ollama.com/api/openai-compatibility",
    ),
    ProviderKind(
        name="vllm",
        title="vLLM",
        base_url="http://localhost:8000",
        apis=frozenset({Api.CHAT, Api.RESPONSES, Api.COMPLETIONS, Api.EMBEDDINGS, Api.AUDIO}),
        key_env=("VLLM_API_KEY",),
        url_env=("VLLM_BASE_URL",),
        key_required=False,
        docs="https://docs.vllm.ai/en/stable/serving/online_serving.html",
    ),
    ProviderKind(
        name="lmstudio",
        title="LM Studio",
        base_url="http://localhost:1234",
        apis=frozenset({Api.CHAT, Api.RESPONSES, Api.COMPLETIONS, Api.EMBEDDINGS}),
        key_env=("LMSTUDIO_API_KEY",),
        url_env=("LMSTUDIO_BASE_URL",),
        key_required=False,
        docs="https://lmstudio.ai/docs/developer/openai-compat",
    ),
    ProviderKind(
        name="llamacpp",
        title="llama.cpp",
        base_url="http://localhost:8080",
        apis=frozenset({Api.CHAT, Api.COMPLETIONS, Api.EMBEDDINGS}),
        key_env=("LLAMACPP_API_KEY",),
        url_env=("LLAMACPP_BASE_URL",),
        key_required=False,
        docs="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    ),
    ProviderKind(
        name="sglang",
        title="SGLang",
        base_url="http://localhost:30000",
        apis=frozenset({Api.CHAT, Api.COMPLETIONS, Api.EMBEDDINGS}),
        key_env=("SGLANG_API_KEY",),
        url_env=("SGLANG_BASE_URL",),
        key_required=False,
        docs="https://docs.sglang.io/docs/basic_usage/openai_api",
    ),
    ProviderKind(
        name="localai",
        title="LocalAI",
        base_url="http://localhost:8080",
        apis=frozenset({Api.CHAT, Api.COMPLETIONS, Api.EMBEDDINGS, Api.IMAGES, Api.AUDIO}),
        key_env=("LOCALAI_API_KEY",),
        url_env=("LOCALAI_BASE_URL",),
        key_required=False,
        docs="https://localai.io/features",
    ),
)

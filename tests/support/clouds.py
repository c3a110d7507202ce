"""What the tests of providers in a cloud share: clients of a gateway in front, and an answer of Claude's."""

import contextlib

import anthropic
import openai
from google import genai

import aigw
from aigw.assemble import assemble
from aigw.hooks.loader import Found

WHOLE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 7},
}


def chat_clients():
    """Give what makes a client of OpenAI's from a gateway's URL; close all that it has made."""
    return _closing(lambda url: openai.AsyncOpenAI(base_url=url + "/v1", api_key="sk-caller", max_retries=0))


def messages_clients():
    """Give what makes a client of Anthropic's from a gateway's URL; close all that it has made."""
    return _closing(lambda url: anthropic.AsyncAnthropic(base_url=url, api_key="sk-caller", max_retries=0))


@contextlib.asynccontextmanager
async def _closing(client):
    async with contextlib.AsyncExitStack() as stack:

        def make(url):
            made = client(url)
            stack.push_async_callback(made.close)
            return made

        yield make


def gemini_client(url):
    """Make Google's own client, the one that does not wait: it is used in a thread."""
    options = genai.types.HttpOptions(base_url=url, api_version="v1beta")
    return genai.Client(api_key="sk-caller", http_options=options)


async def start_gateway(aiohttp_server, plugin, tree):
    """Run a gateway from a configuration, with one plugin installed; return its URL."""
    config = aigw.config.loads(tree, {}, known_providers=None)
    installed = {plugin.name: Found(plugin.name, "test", lambda: plugin)}
    server = await aiohttp_server(assemble(config, {}, installed=installed).gateway.make_app())
    return url_of(server)


def url_of(server):
    return str(server.make_url("/")).rstrip("/")

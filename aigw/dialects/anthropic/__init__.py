"""Anthropic's Messages API, as spoken by Anthropic and by those who follow it.

Pure: no clock, no I/O. What a caller must know of the translation:

- The format has one answer, no seed, no penalties, no log probabilities; `Encoded.dropped` names them.
- It insists on max_tokens: `request.DEFAULT_MAX_TOKENS` where the caller set none.
- System and developer messages go to `system`, wherever they stood in the conversation.
- Thinking goes back to the provider that signed it and to no other; clients keep everybody's: `opaque`.

Source: Anthropic's API and streaming references, the types of its SDK, read 2026-11, and recorded traffic.
"""

from aigw.dialects.anthropic.errors import decode_error, encode_error
from aigw.dialects.anthropic.fields import NAME
from aigw.dialects.anthropic.grammar import GRAMMAR
from aigw.dialects.anthropic.request import decode_request, encode_request
from aigw.dialects.anthropic.response import decode_response, encode_response
from aigw.dialects.anthropic.stream_decoder import AnthropicStreamDecoder
from aigw.dialects.anthropic.stream_encoder import AnthropicStreamEncoder
from aigw.dialects.anthropic.usage import read_usage
from aigw.dialects.base import Dialect

__all__ = ["ANTHROPIC", "AnthropicStreamDecoder", "AnthropicStreamEncoder"]

ANTHROPIC = Dialect(
    name=NAME,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=AnthropicStreamDecoder,
    stream_encoder=AnthropicStreamEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    read_usage=read_usage,
    grammar=GRAMMAR,
)

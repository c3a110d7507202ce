"""Google's Gemini API: generateContent and streamGenerateContent, v1beta, as on Vertex AI too.

Pure: no clock, no I/O. The model and the wish for a stream stand in the path: `request` says how they
reach and leave a request. Source: the Gemini API reference, read 2026-11, and recorded traffic.
"""

from functools import partial

from aigw.dialects.base import Dialect
from aigw.dialects.gemini.errors import decode_error, encode_error
from aigw.dialects.gemini.fields import NAME
from aigw.dialects.gemini.grammar import GRAMMAR
from aigw.dialects.gemini.request import decode_request, encode_request
from aigw.dialects.gemini.response import decode_response, encode_response
from aigw.dialects.gemini.stream_decoder import GeminiStreamDecoder
from aigw.dialects.gemini.stream_encoder import GeminiStreamEncoder
from aigw.dialects.gemini.usage import read_usage

__all__ = ["GEMINI", "GeminiStreamDecoder", "GeminiStreamEncoder"]

GEMINI = Dialect(
    name=NAME,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=GeminiStreamDecoder,
    stream_encoder=GeminiStreamEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    read_usage=read_usage,
    grammar=GRAMMAR,
    array_stream_encoder=partial(GeminiStreamEncoder, array=True),
)

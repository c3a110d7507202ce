"""OpenAI's Responses API and the open specification made of it, Open Responses: its stateless form.

Pure: no clock, no I/O. Where the two differ, what is written satisfies both, and what is read may be
either. Kept conversations, background answers and compaction are not here: this package carries their
fields. Sources: Open Responses 2026-04-24, OpenAI's API reference and published types, recorded traffic.

How opaque values travel to a client and back: a reasoning item's `encrypted_content` holds whatever the
provider wants back of it (`opaque`); a tool call's signature stands in its `call_id` (`call_ids`),
because clients drop reasoning items, item ids and unknown fields, but never the id that pairs a call
with its output.
"""

from aigw.dialects.base import Dialect
from aigw.dialects.openai_chat.errors import decode_error, encode_error
from aigw.dialects.openresponses.fields import NAME
from aigw.dialects.openresponses.grammar import GRAMMAR
from aigw.dialects.openresponses.request import decode_request, encode_request
from aigw.dialects.openresponses.response import decode_response, encode_response
from aigw.dialects.openresponses.stream_decoder import ResponsesStreamDecoder
from aigw.dialects.openresponses.stream_encoder import ResponsesStreamEncoder
from aigw.dialects.openresponses.usage import read_usage

__all__ = ["OPENRESPONSES", "ResponsesStreamDecoder", "ResponsesStreamEncoder"]

OPENRESPONSES = Dialect(
    name=NAME,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=ResponsesStreamDecoder,
    stream_encoder=ResponsesStreamEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    read_usage=read_usage,
    grammar=GRAMMAR,
)

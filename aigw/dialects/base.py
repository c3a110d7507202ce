"""What a wire format must offer: the `Dialect` record and its stream machines.

Pure: no aiohttp, no asyncio, no clock, no I/O. A dialect is one package in this folder that ends in
one `Dialect` value; nothing outside it knows a field of its wire format. Formats are never converted
pair-wise: every dialect speaks to the canonical vocabulary of `aigw.model` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from attrs import define, frozen

from aigw.errors import GatewayError
from aigw.model import Event, Request, Response, Usage

Tree = dict[str, Any]
"""A JSON object as orjson parses it."""


@frozen
class Encoded:
    """A tree in the target's format, and the paths of what that format could not hold.

    A path names the place in the canonical `Request`, so that it reads the same whatever the two formats
    are: `items[2]` for a whole item, `items[2].parts[0]`, `items[2].signature`, `tools[1]`,
    `sampling.top_k`, `response_format.description`. What one format alone has is named by its key among
    the extras, without the scope: `anthropic:container` of the request, and
    `items[2].parts[0].anthropic:cache_control` of a part.
    """

    tree: Tree
    dropped: tuple[str, ...] = ()


@define
class Sighting:
    """What one stream frame says to somebody who only watches it go by.

    content: it carries something of the answer (a role alone, or a comment, does not).
    terminal: it is the format's own mark that the answer is whole.
    error: the provider reports a failure in it; the stream is over, and has failed.
    usage: the token counts it holds.
    usage_only: it holds nothing but token counts, so it may be hidden from a client that asked for none.
    begun: it holds the answer as it stands at its beginning; a failure may have to repeat that.
    to_be_repeated: the format tells the failure in it once more, in a terminal frame of its own.
    to_be_retold: the failure in it is not told as the format wants, so the client is told anew.
    """

    content: bool = False
    terminal: bool = False
    finished: bool = False
    error: GatewayError | None = None
    usage: Usage | None = None
    usage_only: bool = False
    begun: bool = False
    to_be_repeated: bool = False
    to_be_retold: bool = False


@frozen
class Passed:
    """What a watcher remembers of a stream that it has let through, for telling its failure.

    begun: data of the last frame that was `Sighting.begun`. last: the frames that went last, as bytes.
    told: the provider's own error frame is the last of them. end: its own terminal frame, where it has come.
    """

    begun: bytes = b""
    last: bytes = b""
    told: bool = False
    end: bytes = b""


Mend = Callable[[bytes], bytes]
"""Takes whole frames as they came, gives them as their format wants them. Raises ProtocolError."""


@frozen
class StreamGrammar:
    """How to watch a stream in passing, without decoding it.

    suspects: byte strings one of which stands in every frame worth a closer look (a terminal mark,
        token counts, an error); a frame with none of them is plain content.
    examine: (event name, data) of one frame -> Sighting. Raises ProtocolError on what is not the format.
    encode_error: the frame that tells a client of a failure, and ends its stream.
    closing: bytes that end a whole answer, for providers that are known to leave them out.
    terminal_mark: whether the format has a mark that the answer is whole at all; where it has none, a
        stream is whole when a frame was `finished` and then the bytes end.
    behind_end: what the client is to see behind the terminal frame, whether or not the provider sends it.
    encode_failure: like encode_error, for formats whose failure depends on what has gone before it.
    mender: looks at the first frames of a stream; where they are not written as the format wants, returns
        what is to be done to these and to all that follow.
    """

    suspects: tuple[bytes, ...]
    examine: Callable[[str | None, bytes], Sighting]
    encode_error: Callable[[GatewayError], bytes]
    closing: bytes = b""
    terminal_mark: bool = True
    behind_end: bytes = b""
    encode_failure: Callable[[GatewayError, Passed], bytes] | None = None
    mender: Callable[[bytes], Mend | None] | None = None


class StreamDecoder(Protocol):
    """Bytes of one upstream stream in, canonical events out. One instance a stream."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Take whatever the socket gave; return the events it completed (often none).

        Chunks may cut anywhere, even inside a UTF-8 character.
        Raises ProtocolError when a frame is not JSON, or is too long.
        """

    def close(self) -> list[Event]:
        """The upstream has ended: return what is still owed.

        The last event of a stream is Finished or Failed, exactly once; an end without the format's
        terminal mark yields Failed.
        """


class StreamEncoder(Protocol):
    """Canonical events in, bytes of one client stream out, whole frames only. One instance a stream."""

    def encode(self, event: Event) -> bytes:
        """Return the frames this event completes, possibly none (some formats must hold a tail)."""

    def close(self) -> bytes:
        """Return the frames that end a stream which finished; empty if it has already ended."""

    def fail(self, error: GatewayError) -> bytes:
        """Return the frames that end a stream which failed: the format's error, then nothing more."""


@frozen
class Dialect:
    """One wire format.

    decode_request raises ClientError with `param` on a malformed tree; decode_response and
    decode_stream raise ProtocolError. encode_* never fail on a valid canonical value: what the
    format cannot hold is listed in `Encoded.dropped`.

    lenient_stream_decoder: takes a finish reason for the end, where a provider leaves the format's mark out.
    array_stream_encoder: writes a stream as one JSON array, where the format knows that framing.
    """

    name: str
    decode_request: Callable[[Tree], Request]
    encode_request: Callable[[Request], Encoded]
    decode_response: Callable[[Tree], Response]
    encode_response: Callable[[Response, Request | None], Tree]
    stream_decoder: Callable[[], StreamDecoder]
    stream_encoder: Callable[[Request | None], StreamEncoder]
    decode_error: Callable[[int, bytes], GatewayError]
    encode_error: Callable[[GatewayError], tuple[int, Tree]]
    read_usage: Callable[[Mapping[str, Any]], Usage | None]
    grammar: StreamGrammar
    lenient_stream_decoder: Callable[[], StreamDecoder] | None = None
    array_stream_encoder: Callable[[Request | None], StreamEncoder] | None = None


def join_frames(encoder: StreamEncoder, events: Iterable[Event]) -> bytes:
    """Encode several events into one buffer, so that one upstream read makes one client write."""
    return b"".join([encoder.encode(event) for event in events])

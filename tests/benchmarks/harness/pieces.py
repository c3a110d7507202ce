"""One answer in any format, whole and as the pieces of a stream, made by that format's own encoders.

The benchmarks of codecs ask for it, those of running gateways do not.
"""

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import Choice, FinishReason, Message, Request, Response, TextDelta, TextPart, unfold

DIALECTS = (OPENAI_CHAT, OPENRESPONSES, ANTHROPIC, GEMINI)
WORD = "word "


def _said(role, text):
    return Message(role, (TextPart(text),))


def answer(text=WORD):
    """Return a whole answer in the canonical vocabulary."""
    return Response("r-1", "m", 1, (Choice((_said("assistant", text),), FinishReason.STOP),))


def question(turns=4, text=WORD * 30):
    """Return a conversation in the canonical vocabulary."""
    return Request("m", tuple(_said(("user", "assistant")[number % 2], text) for number in range(turns)))


def pieces_of(dialect):
    """Return a stream as a provider would write it: all up to the first text, one text chunk, the end."""
    encoder = dialect.stream_encoder(None)
    before, text, after = [], b"", []
    for event in unfold(answer()):
        (after if text else before).append(encoder.encode(event))
        if isinstance(event, TextDelta):  # some formats open the text together with its first chunk
            text = encoder.encode(event)
    return list(filter(None, before)), text, list(filter(None, [*after, encoder.close()]))

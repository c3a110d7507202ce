"""What one text chunk costs from each format into each: CPU microseconds of decoding and encoding it."""

import time

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import Choice, FinishReason, Message, Response, TextDelta, TextPart, unfold

DIALECTS = (OPENAI_CHAT, OPENRESPONSES, ANTHROPIC, GEMINI)
CHUNKS = 10_000
WORD = "word "


def stream_of(dialect):
    """Return a stream of CHUNKS text chunks in a format, one piece a chunk, as a provider would write it."""
    message = Message("assistant", (TextPart(WORD),))
    answer = Response("r-1", "m", 1, (Choice((message,), FinishReason.STOP),))
    encoder = dialect.stream_encoder(None)
    pieces = []
    for event in unfold(answer):
        times = CHUNKS if isinstance(event, TextDelta) else 1
        pieces += [encoder.encode(event) for _ in range(times)]
    return [*pieces, encoder.close()]


def cost_us(pieces, provider, client):
    decoder, encoder = provider.stream_decoder(), client.stream_encoder(None)
    began = time.process_time()
    for piece in pieces:
        for event in decoder.feed(piece):
            encoder.encode(event)
    return (time.process_time() - began) / CHUNKS * 1e6


def main():
    print("| from \\ to | " + " | ".join(dialect.name for dialect in DIALECTS) + " |")
    print("|---|" + "--:|" * len(DIALECTS))
    for provider in DIALECTS:
        pieces = stream_of(provider)
        costs = [min(cost_us(pieces, provider, client) for _ in range(5)) for client in DIALECTS]
        print(f"| {provider.name} | " + " | ".join(f"{cost:.1f}" for cost in costs) + " |")


if __name__ == "__main__":
    main()

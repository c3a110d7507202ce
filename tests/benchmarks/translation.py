"""What one text chunk costs from each format into each: CPU microseconds of decoding and encoding it."""

import time

from harness.pieces import DIALECTS, pieces_of

CHUNKS = 10_000


def stream_of(dialect):
    """Return a stream of CHUNKS text chunks in a format, one piece a chunk."""
    before, text, after = pieces_of(dialect)
    return [*before, *[text] * CHUNKS, *after]


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

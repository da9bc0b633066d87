"""
A provider for measurements: whole answers at once, and streams of events at their pace, each stamped.

A stream has as many events of content as tokens were asked for.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

GAP_S = 0.05
WHOLE = json.dumps({
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "x" * 1000}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 250},
}).encode()  # fmt: skip
_WHOLE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(WHOLE)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_TOKENS = re.compile(rb'"max_tokens": *(\d+)')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def event(kind: str, **fields: object) -> bytes:
    """Return an event of a stream, framed as a chunk."""
    data = f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


_START = event("message_start", message={"usage": {"input_tokens": 10, "output_tokens": 1}})
_END = event("message_delta", delta={}, usage={"output_tokens": 100}) + event("message_stop") + b"0\r\n\r\n"


def delta() -> bytes:
    """Return an event of content that tells when it was made."""
    return event(
        "content_block_delta", index=0, delta={"type": "text_delta", "text": f"@{time.time():.6f}@ words"}
    )


async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whoever asks, one request after the other."""
    try:
        while True:
            length = _LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
            asked = await reader.readexactly(int(length[1])) if length else b""
            if b'"stream":true' not in asked[:500].replace(b" ", b""):
                writer.write(_WHOLE_HEAD + WHOLE)
                continue
            writer.write(_STREAM_HEAD + _START)
            tokens = _TOKENS.search(asked)
            for _ in range(int(tokens[1]) if tokens else 0):
                await asyncio.sleep(GAP_S)
                writer.write(delta())
            writer.write(_END)
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


async def serve(port: int) -> asyncio.Server:
    """Listen on a loopback port; 0 for any."""
    return await asyncio.start_server(provide, "127.0.0.1", port, backlog=4096, limit=2**26)


async def _forever(port: int) -> None:
    await (await serve(port)).serve_forever()


if __name__ == "__main__":
    asyncio.run(_forever(int(sys.argv[1])))

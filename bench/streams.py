"""Many streams at once: how late their events come, and when their first byte does."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path

_STAMP = re.compile(rb"@(\d+\.\d+)@")
_BODY = (
    b'{"model":"claude-sonnet-4-5","max_tokens":%d,"stream":true,'
    b'"messages":[{"role":"user","content":"' + b"x" * 200 + b'"}]}'
)


def asking(port: int, tokens: int) -> bytes:
    """Return a request for a stream of so many events of content."""
    body = _BODY % tokens
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"anthropic-version: 2023-06-01\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Stream(asyncio.Protocol):
    """One connection that asks for one stream."""

    def __init__(self, port: int, tokens: int, delays: list[float], first: list[float]) -> None:
        self._asking = asking(port, tokens)
        self._delays, self._first = delays, first
        self._tail = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = transport
        self._asked = time.perf_counter()
        transport.write(self._asking)  # type: ignore[attr-defined]
        self._begun = False

    def data_received(self, data: bytes) -> None:
        """Note when each event came."""
        now = time.time()
        if not self._begun:
            self._begun = True
            self._first.append(time.perf_counter() - self._asked)
        data, at = self._tail + data, 0
        for found in _STAMP.finditer(data):
            self._delays.append(now - float(found[1]))
            at = found.end()
        self._tail = data[max(at, len(data) - 300) :]
        if b"0\r\n\r\n" in data[-5:] and b"message_stop" in self._tail and not self.done.done():
            self.done.set_result(True)
            self._transport.close()

    def connection_lost(self, _reason: Exception | None) -> None:
        """End, if it has not."""
        if not self.done.done():
            self.done.set_result(False)


def resident(pids: list[int]) -> int:
    """Return the KB that processes have in memory."""
    found = 0
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text()
        found += int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]
    return found


async def load(port: int, number: int, tokens: int, pids: list[int]) -> dict[str, float]:
    """Ask for so many streams of so many tokens at once, and return what came of them."""
    delays: list[float] = []
    first: list[float] = []
    loop = asyncio.get_running_loop()
    made, before = [], resident(pids)
    for count in range(number):
        _, protocol = await loop.create_connection(
            lambda: Stream(port, tokens, delays, first), "127.0.0.1", port
        )
        made.append(protocol.done)
        if count % 50 == 0:
            await asyncio.sleep(0.01)
    peak = before
    while pending := [each for each in made if not each.done()]:
        peak = max(peak, resident(pids))
        await asyncio.wait(pending, timeout=0.3)
    whole = sum(bool(each.result()) for each in made)
    delays.sort()
    first.sort()
    return {
        "streams": number, "whole": whole, "events": len(delays),
        "delay_p50_ms": delays[len(delays) // 2] * 1000,
        "delay_p99_ms": delays[len(delays) * 99 // 100] * 1000,
        "first_ms": first[len(first) // 2] * 1000, "kb": (peak - before) / number, "base_kb": before,
    }  # fmt: skip


if __name__ == "__main__":
    asked_port, asked_number, asked_tokens, *of = map(int, sys.argv[1:])
    print(json.dumps(asyncio.run(load(asked_port, asked_number, asked_tokens, of))))

"""Clients that keep their connections and ask for short streams again and again: when first bytes come."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

from bench.streams import asking

_CLIENTS, _SECONDS, _PAUSE_S = 16, 3, 0.05


async def _client(port: int, until: float, first: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request, chance = asking(port, tokens=2), random.Random()
    while time.monotonic() < until:
        asked = time.perf_counter()
        writer.write(request)
        data = await reader.read(65536)
        first.append(time.perf_counter() - asked)
        while data and not data.endswith(b"0\r\n\r\n"):
            data = await reader.read(65536)
        if not data:
            msg = "a stream broke off"
            raise ConnectionError(msg)
        await asyncio.sleep(chance.random() * _PAUSE_S)
    writer.close()


async def load(port: int) -> dict[str, float]:
    """Return what came of it."""
    first: list[float] = []
    until = time.monotonic() + _SECONDS
    await asyncio.gather(*(_client(port, until, first) for _ in range(_CLIENTS)))
    first.sort()
    return {"first_ms": first[len(first) // 2] * 1000}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(int(sys.argv[1])))))

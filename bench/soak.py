"""A soak: the relay at 60 % of its load for half an hour, its memory and its descriptors watched."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

from bench.rig import Relay, free_port, verdict

SHARE, CLIENTS, STREAMS, EVENTS, GAP_S = 0.6, 64, 50, 100, 0.05
KB_AN_HOUR, WARM_UP, FEW = 2048.0, 0.2, 25
IDLE_S = 55.0  # longer than connections to providers are kept
CONFIG = """
server: {{listen: "127.0.0.1:{{port}}"}}
metrics: {{listen: "127.0.0.1:{metrics}"}}
health: {{health_check: {{enabled: false}}}}
logging: {{format: json, output: /dev/null}}
providers:
- {{name: one, type: anthropic, base_url: "{url}", keys: [{{key: sk-test-0123456789, rpm_limit: 10000000}}]}}
"""
WHOLE = json.dumps({
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "x" * 1000}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 250},
}).encode()  # fmt: skip
LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["anthropic-version"] = "2023-06-01"
local n = 0
request = function()
  n = n + 1
  wrk.headers["x-claude-code-session-id"] = "session-" .. (n %% 5000)
  return wrk.format(nil, "/v1/messages", nil, '{"model":"claude-sonnet-4-5","max_tokens":64,"messages":[]}')
end
delay = function() return %d end
"""


def chunk(data: bytes) -> bytes:
    """Return bytes framed as a chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(kind: str, **fields: object) -> bytes:
    """Return an event of a stream, framed."""
    return chunk(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode())


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
START = event("message_start", message={"usage": {"input_tokens": 10, "output_tokens": 1}})
DELTA = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "some words"})
END = event("message_delta", delta={}, usage={"output_tokens": EVENTS}) + event("message_stop") + b"0\r\n\r\n"


async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whoever asks: at once, or with a stream of events at their pace."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head.lower())
            asked = await reader.readexactly(int(length[1])) if length else b""
            if b'"stream":true' not in asked:
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                    % (len(WHOLE), WHOLE)
                )
                continue
            writer.write(STREAM_HEAD + START)
            for _ in range(EVENTS):
                await asyncio.sleep(GAP_S)
                writer.write(DELTA)
            writer.write(END)
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


async def stream(port: int, until: float, counts: dict[str, int]) -> None:
    """Ask for one stream after the other; some are left in the middle, as clients do."""
    body = b'{"model":"claude-sonnet-4-5","max_tokens":64,"stream":true,"messages":[]}'
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"anthropic-version: 2023-06-01\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    number = 0
    while time.monotonic() < until:
        number += 1
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        if number % 7 == 0:
            await reader.readuntil(b"content_block_delta")
            counts["left"] += 1
        else:
            answer = await reader.readuntil(b"0\r\n\r\n")
            counts["whole" if b"message_stop" in answer else "broken"] += 1
        writer.close()


def wrk(port: int, seconds: int, clients: int, delay: int, folder: Path) -> subprocess.Popen[str]:
    """Start the load; C{delay} is in milliseconds, between two requests of a client."""
    script = folder / f"load-{delay}.lua"
    script.write_text(LUA % delay)
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", "-s", str(script), f"http://127.0.0.1:{port}"]
    return subprocess.Popen(pinned(1, command), stdout=subprocess.PIPE, text=True)


def pinned(core: int, command: list[str]) -> list[str]:
    """Return a command that runs on one core."""
    return ["taskset", "-c", str(core), *command]


def per_second(output: str) -> float:
    """Return the requests a second that wrk has counted; nothing may have failed."""
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"requests failed:\n{output}")
    found = re.search(r"Requests/sec: +([\d.]+)", output)
    return float(found[1]) if found else sys.exit(f"no load:\n{output}")


def resident(pid: int) -> int:
    """Return the KB that a process has in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def slope(samples: list[tuple[float, int]]) -> float:
    """Return by how many KB an hour memory grows: the line of least squares."""
    at, size = fmean(t for t, _ in samples), fmean(s for _, s in samples)
    spread = sum((t - at) ** 2 for t, _ in samples)
    return sum((t - at) * (s - size) for t, s in samples) / spread * 3600


async def soak(minutes: float) -> bool:
    """Measure the most that the relay can do, then let it do 60 % of that, and streams."""
    folder = Path(tempfile.mkdtemp(prefix="ccrelay-soak-"))
    server = await asyncio.start_server(provide, "127.0.0.1", free_port(), backlog=4096)
    port = server.sockets[0].getsockname()[1]
    relay = Relay(CONFIG.format(metrics=free_port(), url=f"http://127.0.0.1:{port}"))
    pid = relay.process.pid
    os.sched_setaffinity(pid, {0})
    os.sched_setaffinity(0, {1})
    try:
        load = wrk(relay.port, 5, 16, 0, folder)
        peak = per_second((await asyncio.to_thread(load.communicate))[0])
        delay = max(round(CLIENTS / (SHARE * peak) * 1000), 1)
        print(
            f"peak {peak:.0f} requests a second; {CLIENTS} clients wait {delay} ms each for {minutes:g} min"
        )
        seconds = round(minutes * 60)
        until = time.monotonic() + seconds
        load = wrk(relay.port, seconds, CLIENTS, delay, folder)
        counts = {"whole": 0, "left": 0, "broken": 0}
        streams = [asyncio.ensure_future(stream(relay.port, until, counts)) for _ in range(STREAMS)]
        samples: list[tuple[float, int]] = []
        open_files: list[int] = []
        while time.monotonic() < until - 1:
            await asyncio.sleep(min(10, seconds / 30))
            samples.append((time.monotonic(), resident(pid)))
            open_files.append(descriptors(pid))
            if len(samples) % 15 == 0:
                print(f"  {samples[-1][1]} KB, {open_files[-1]} descriptors, {counts}", flush=True)
        done = per_second((await asyncio.to_thread(load.communicate))[0])
        await asyncio.gather(*streams)
        await asyncio.sleep(IDLE_S)
        left = descriptors(pid)
    finally:
        relay.stop()
        server.close()
    warm = samples[int(len(samples) * WARM_UP) :]
    growth = slope(warm)
    print(f"{done:.0f} requests a second, {counts} streams, memory {warm[0][1]} -> {warm[-1][1]} KB")
    return all((
        verdict("memory grows, KB an hour", f"{growth:.0f}", f"< {KB_AN_HOUR:.0f}", met=growth < KB_AN_HOUR),
        verdict("most descriptors at once", str(max(open_files)), "bounded", met=max(open_files) < 400),
        verdict("descriptors afterwards", str(left), f"<= {FEW}", met=left <= FEW),
        verdict("streams cut short", str(counts["broken"]), "0", met=counts["broken"] == 0),
    ))  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    sys.exit(0 if asyncio.run(soak(parser.parse_args().minutes)) else 1)

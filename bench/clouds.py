"""What the clouds cost: signing, frames, fitting a request, and starting with and without their SDKs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from http.client import HTTPConnection
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

from bench.rig import HEADERS, ROOT, Relay, body, verdict
from ccrelay.credentials.sigv4 import AwsKeys, signed
from ccrelay.providers.bedrock import BETAS
from ccrelay.providers.bedrock_stream import BedrockStream
from ccrelay.wire.eventstream import EventStreamReader
from ccrelay.wire.http import UpstreamRequest
from ccrelay.wire.request import MessagesRequest
from ccrelay.wire.secret import Secret
from tests.wire.frames import message

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = AwsKeys("AKIATESTCCRELAY00000", Secret("test-secret-0123456789"))
URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke"
KB = 1024
TEXT = "word " * (200 * KB // 5)

ANTHROPIC = "type: anthropic, base_url: 'http://127.0.0.1:1', keys: [{key: sk-test-0123456789}]"
BEDROCK = (
    "type: bedrock, base_url: 'http://127.0.0.1:1', aws_region: us-east-1, "
    "aws_access_key_id: AKIATESTCCRELAY00000, aws_secret_access_key: test-secret-0123456789"
)
CONFIG = (
    "server: {{listen: '127.0.0.1:{{port}}'}}\nlogging: {{output: '{{log}}'}}\nproviders: [{{name: a, {}}}]\n"
)


def least(what: Callable[[], object], times: int) -> float:
    """Return the seconds of CPU that something takes, the least of five runs."""
    what()
    runs = []
    for _ in range(5):
        begun = process_time()
        for _ in range(times):
            what()
        runs.append((process_time() - begun) / times)
    return min(runs)


def frame(text_bytes: int) -> bytes:
    """Return a frame with an event that carries so much text."""
    event = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "x" * text_bytes},
    }
    payload = json.dumps({"bytes": b64encode(json.dumps(event).encode()).decode(), "p": "abcdefg"}).encode()
    return message(payload, event_type="chunk", content_type="application/json", message_type="event")


def frames(text_bytes: int) -> tuple[float, float, float]:
    """Return MB/s and microseconds a frame of the decoder, and microseconds an event of the translator."""
    count = max(20_000_000 // (text_bytes + 300) // 20, 10)
    data = frame(text_bytes) * count
    pieces = [data[start : start + 64 * KB] for start in range(0, len(data), 64 * KB)]

    def decode() -> None:
        reader = EventStreamReader()
        for piece in pieces:
            for _ in reader.feed(piece):
                pass

    def translate() -> None:
        translator = BedrockStream()
        for piece in pieces:
            translator.feed(piece)

    decoded = least(decode, 2)
    return len(data) / decoded / 1e6, decoded / count * 1e6, least(translate, 2) / count * 1e6


def started(provider: str) -> tuple[float, float]:
    """Return the seconds until a relay serves, and its MiB after a request."""
    begun = time.monotonic()
    relay = Relay(CONFIG.format(provider))
    took = time.monotonic() - begun
    connection = HTTPConnection("127.0.0.1", relay.port, timeout=30)
    connection.request("POST", "/v1/messages", body(), HEADERS)
    connection.getresponse().read()  # of an error: nobody is there; what had to be loaded is
    connection.close()
    status = Path(f"/proc/{relay.process.pid}/status").read_text(encoding="ascii")
    relay.stop()
    memory = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return took, int(memory.split()[1]) / KB


def imported() -> tuple[str, ...]:
    """Return what of the SDKs a relay for Anthropic alone has loaded, asked of a process of its own."""
    code = (
        "import sys, ccrelay.cli.main, ccrelay.service.root, ccrelay.service.clouds\n"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'boto3', 'botocore', 'google', 'azure'})"
    )
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": tempfile.gettempdir()}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True
    )
    return tuple(done.stdout.split())


def main() -> int:
    """Measure."""
    content = json.dumps({"model": "m", "messages": [{"role": "user", "content": TEXT}]}).encode()
    asked = UpstreamRequest("POST", URL, ((b"content-type", b"application/json"),), content)
    now = time.time()
    signing = least(lambda: signed(asked, KEYS, "us-east-1", now), 100) * 1e3
    met = verdict("signing 200 KB", f"{signing:.2f} ms", "<= 0.5 ms", met=signing <= 0.5)
    for size in (20, 2 * KB, 20 * KB, 200 * KB):
        rate, each, event = frames(size)
        fine = rate >= 100 or each <= 10
        name = f"frames with {size} bytes of text"
        met &= verdict(name, f"{rate:.0f} MB/s", ">= 100 MB/s, or 10 us", met=fine)
        print(f"    {each:.1f} us a frame to decode, {event:.1f} us an event of the client's")
    request = MessagesRequest(content, "us.anthropic.claude-opus-4-8", stream=False, session="")
    flags = ((b"anthropic-beta", b"context-management-2025-06-27,effort-2025-11-24,fast-mode-2026-02-01"),)
    print(f"fitting a request of 200 KB: {least(lambda: BETAS.fitted(request, flags), 100) * 1e3:.2f} ms")
    loaded = imported()
    met &= verdict("SDKs loaded without a cloud", ", ".join(loaded) or "none", "none", met=not loaded)
    for name, provider in (("Anthropic alone", ANTHROPIC), ("Bedrock with written keys", BEDROCK)):
        runs = [started(provider) for _ in range(3)]
        print(f"{name}: serves after {min(s for s, _ in runs):.2f} s, {min(m for _, m in runs):.1f} MiB")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

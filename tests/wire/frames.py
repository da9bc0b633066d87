"""Messages of Amazon's event stream, made by its documentation and by nothing of ours."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from typing import Any
from zlib import crc32

_NUMBERS = {2: "!b", 3: "!h", 4: "!i", 5: "!q", 8: "!q"}


def header(name: str, value: Any, kind: int = 7) -> bytes:
    """Return one header; type 7 is a string."""
    label = name.encode()
    head = bytes([len(label)]) + label + bytes([kind])
    if kind in _NUMBERS:
        return head + struct.pack(_NUMBERS[kind], value)
    if kind in (6, 7):
        text = value.encode() if kind == 7 else value
        return head + struct.pack("!H", len(text)) + text
    return head + (value if kind == 9 else b"")


def framed(headers: bytes, payload: bytes) -> bytes:
    """Return one message with both of its checksums."""
    lengths = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + struct.pack("!I", crc32(lengths)) + headers + payload
    return message + struct.pack("!I", crc32(message))


def message(payload: bytes, **headers: str) -> bytes:
    """Return a message with string headers: C{message_type="event"} is C{:message-type}."""
    spelled = (header(":" + name.replace("_", "-"), value) for name, value in headers.items())
    return framed(b"".join(spelled), payload)


def chunk(event: bytes, **more: Any) -> bytes:
    """Return the message that carries one event of the Messages API, as Bedrock sends it."""
    payload = json.dumps({"bytes": b64encode(event).decode(), "p": "abcdefg", **more}).encode()
    return message(payload, event_type="chunk", content_type="application/json", message_type="event")


def exception(name: str, **said: Any) -> bytes:
    """Return the message by which Bedrock says that something failed."""
    return message(
        json.dumps(said).encode(),
        exception_type=name, content_type="application/json", message_type="exception",
    )  # fmt: skip

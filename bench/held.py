"""How long large requests hold up everybody else."""

from __future__ import annotations

import json
import socket
import sys
import time
from threading import Event, Thread

_ASK = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"


def held(port: int, size: int) -> float:
    """Return the longest that a small question took while requests of so many bytes came, in milliseconds."""
    words = "some words of a text "
    text = words * (size // len(words))
    body = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}
    )
    head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    payload = head.encode() + body.encode()
    over = Event()

    def send() -> None:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.sendall(payload)
                if b" 200 " not in line.recv(4096):
                    sys.exit("a large request failed")
            time.sleep(0.1)
        over.set()

    sender = Thread(target=send)
    longest = 0.0
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(_ASK)
        line.recv(4096)
        sender.start()
        while not over.is_set():
            began = time.perf_counter()
            line.sendall(_ASK)
            line.recv(4096)
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.001)
    sender.join()
    return longest * 1000

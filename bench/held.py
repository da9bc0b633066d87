"""How long large requests hold up everybody else."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import time

_ASK = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
_REQUESTS = 5


def held(port: int, size: int) -> float:
    """Return the longest that a small question took while requests of so many bytes came, in milliseconds."""
    # The sender is a process of its own: a thread would have the question wait for Python's lock.
    sender = multiprocessing.get_context("spawn").Process(target=_send, args=(port, size))
    longest = 0.0
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {1})  # the relay's is 0; what is started from here stays here
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(_ASK)
        line.recv(4096)
        sender.start()
        while sender.is_alive():
            began = time.perf_counter()
            line.sendall(_ASK)
            line.recv(4096)
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.001)
    os.sched_setaffinity(0, cores)
    if sender.exitcode:
        sys.exit("a large request failed")
    return longest * 1000


def _send(port: int, size: int) -> None:
    words = "some words of a text "
    text = words * (size // len(words))
    body = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}
    )
    head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    payload = head.encode() + body.encode()
    for _ in range(_REQUESTS):
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(payload)
            if b" 200 " not in line.recv(4096):
                sys.exit(1)
        time.sleep(0.1)

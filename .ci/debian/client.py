"""
Clients of a relay inside a tree, with nothing but Python's standard library.

C{client.py load STOP}: ask over new connections and over kept ones until the file STOP is there; print
how many answers there were, and what failed.  C{client.py stream}: take one stream, and print its last
event and how many there were.  C{client.py message}: ask once, and print the answer's text.
C{client.py take STOP}: have the relay's port until STOP is there.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from pathlib import Path

PORT = 8787
HEADERS = {"content-type": "application/json", "anthropic-version": "2023-06-01"}


def asked(*, stream: bool, model: str = "claude-sonnet-4-5") -> bytes:
    """Return a request's body."""
    said = {"role": "user", "content": "Tell me something " + "long " * 40}
    return json.dumps({"model": model, "max_tokens": 500, "stream": stream, "messages": [said]}).encode()


def ask(connection: http.client.HTTPConnection) -> bool:
    """Ask once; return whether the connection may go on."""
    connection.request("POST", "/v1/messages", asked(stream=False), HEADERS)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    if answer.status != http.client.OK or told["type"] != "message":
        raise ValueError(answer.status, told)
    return answer.getheader("connection", "").lower() != "close"


class Load:
    """Asks until it is told to stop; counts."""

    def __init__(self, stop: Path) -> None:
        self.stop = stop
        self.done = 0
        self.slowest = 0.0
        self.failed: list[str] = []

    def run(self, *, kept: bool) -> None:
        """Ask over one connection as long as it lasts, or over a new one each time."""
        connection = None
        while not self.stop.exists():
            began = time.monotonic()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
                lasts = ask(connection)
                self.done += 1
            except Exception as problem:  # noqa: BLE001  whatever it is, it is counted
                self.failed.append(f"{'kept' if kept else 'new'}: {problem!r}")
                lasts = False
            self.slowest = max(self.slowest, time.monotonic() - began)
            if not (kept and lasts) and connection is not None:
                connection.close()
                connection = None
            time.sleep(0.02)


def load(stop: Path) -> None:
    """See above."""
    counts = Load(stop)
    threads = [threading.Thread(target=counts.run, kwargs={"kept": kept}) for kept in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"done": counts.done, "failed": counts.failed, "slowest": round(counts.slowest, 3)}))


def stream() -> None:
    """See above."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    connection.request("POST", "/v1/messages", asked(stream=True, model="slow-1"), HEADERS)
    answer = connection.getresponse()
    names = [line[7:].strip().decode() for line in answer if line.startswith(b"event: ")]
    print(json.dumps({"last": names[-1], "events": len(names)}))


def message() -> None:
    """See above."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    connection.request("POST", "/v1/messages", asked(stream=False), HEADERS)
    print(json.loads(connection.getresponse().read())["content"][0]["text"])


def take(stop: Path) -> None:
    """See above."""
    with socket.create_server(("127.0.0.1", PORT)):
        while not stop.exists():
            time.sleep(0.1)


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    {
        "load": lambda: load(Path(rest[0])),
        "take": lambda: take(Path(rest[0])),
        "stream": stream,
        "message": message,
    }[what]()

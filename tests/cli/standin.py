"""Something that answers where a relay would: over TCP or a unix socket, whatever a test wants."""

import json
import socketserver
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

NOW = 1_800_000_000.0
KEY = {
    "name": "main", "changed": False, "standing": "ready", "until": None, "in_flight": 0, "priority": 1,
    "weight": 1, "usage": [{"kind": "requests", "limit": 50, "used": 20}], "waits": [], "learned": [],
}  # fmt: skip
PROVIDER = {
    "name": "far", "type": "anthropic", "base_url": "https://api.example", "standing": "ready",
    "enabled": True, "draining": False, "changed": [], "models": [], "attempts": 1234, "failed": 5,
    "ttfb_ms": [800.0, 900.0, 1200.0], "cache_read_share": 0.83, "cost_usd": 12.5,
    "tokens": {"input": 1, "output": 2, "cache_read": 3, "cache_write": 4}, "priority": 2, "weight": 1,
    "circuit": {"state": "closed", "due": None, "failures": 0, "degraded": False}, "models_out": [],
    "probe": None, "in_flight": 3, "first_byte_ms": 912.0, "conversations": 4, "credential": None,
    "keys": [KEY],
}  # fmt: skip
REQUEST = {
    "id": "req_ccrelay_1", "at": NOW - 5, "client": "ann", "session": "s", "method": "POST",
    "path": "/v1/messages", "model": "claude-sonnet-4-5", "stream": True, "status": 200, "ended": "complete",
    "bytes": 1000, "ttfb_ms": 812.0, "duration_ms": 9100.0, "input_tokens": 10, "output_tokens": 20,
    "cache_read_tokens": 30, "cache_write_tokens": 40, "cost_usd": 0.0123, "answered": 0,
    "attempts": [
        {
            "provider": "far", "key": "main", "model": "claude-sonnet-4-5", "verdict": "ok", "status": 200,
            "reason": "", "repeat": False, "first_byte_ms": 800.0, "duration_ms": 9000.0, "dropped": [],
            "mended": [],
        }
    ],
}  # fmt: skip


def status(**other: Any) -> dict[str, Any]:
    """Return a status, with what a test wants in it."""
    usual = {
        "version": 1, "ccrelay": "1.2.3", "now": NOW, "started": NOW - 7200,
        "source": "/etc/ccrelay/config.yaml", "loaded": NOW - 7200, "ready": None,
        "draining": False, "admin": "token",
        "strategy": {"name": "failover", "changed": False, "choices": ["failover", "round_robin"]},
        "in_flight": {"now": 3, "limit": 0}, "retry_budget": 3, "lag_ms": {"last": 0.1, "worst": 2.0},
        "changes": [],
        "affinity": {"conversations": 4, "limit": 10, "moves": {"key": 0, "provider": 1, "return": 0}},
        "totals": {
            "requests": 1234, "failed": 5, "input_tokens": 100_000, "output_tokens": 200_000,
            "cache_read_tokens": 3_000_000, "cache_write_tokens": 1_000_000, "cost_usd": 12.5, "unpriced": 0,
        },
        "ttfb_ms": [800.0, 900.0, 1200.0], "providers": [PROVIDER], "models": [], "clients": [],
        "sessions": [], "recent": [REQUEST],
    }  # fmt: skip
    return usual | other


class _UnixServer(HTTPServer):
    address_family = socketserver.UnixStreamServer.address_family

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 0


class Standin:
    """
    Answers with what it is given, and keeps what it was asked.

    @ivar answers: by path: a status and a body.
    @ivar asked: method, path, headers and JSON of each request.
    """

    def __init__(self, test: SynchronousTestCase, path: Path | None = None) -> None:
        """@param path: of a unix socket, rather than a port."""
        self.answers: dict[str, tuple[int, Any]] = {"/status": (200, status())}
        self.otherwise: Callable[[str], tuple[int, Any]] = lambda _path: (200, {"done": "it is done"})
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def address_string(self) -> str:
                return "-"

            def log_message(self, *_words: object) -> None:
                """Say nothing."""

            def _answer(self, asked: Any) -> None:
                outer.asked.append((self.command, self.path, dict(self.headers), asked))
                code, told = outer.answers.get(self.path) or outer.otherwise(self.path)
                content = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server: HTTPServer
        if path is None:
            self._server = HTTPServer(("127.0.0.1", 0), Handler)
        else:
            self._server = _UnixServer(str(path), Handler)  # type: ignore[arg-type]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        test.addCleanup(self._end)
        if path is not None:
            test.addCleanup(path.unlink)

    def _end(self) -> None:
        self._server.shutdown()
        self._server.server_close()

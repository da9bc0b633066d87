"""The operator's side: metrics, the status as a page and as JSON, and what may be done to a running relay."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec
from klein import Klein

from ccrelay.errors import NotFound
from ccrelay.observe.metrics import CONTENT_TYPE
from ccrelay.web.admin import Asked
from ccrelay.web.answering import answer, exchange_of, readiness, say_errors
from ccrelay.web.explaining import explained
from ccrelay.web.response import ClientResponse, dress, ids
from ccrelay.web.viewers import Viewers

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from ccrelay.observe.metrics import Exposition
    from ccrelay.observe.status import Status
    from ccrelay.web.admin import Admin
    from ccrelay.web.door import Door
    from ccrelay.web.request import RelayRequest

_HTML: Final = b"text/html; charset=utf-8"
_PAGE: Final = {"status.css": b"text/css; charset=utf-8", "status.js": b"text/javascript; charset=utf-8"}
_PLAIN: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
_POLICY: Final = (
    b"content-security-policy",
    b"; ".join(
        (
            b"default-src 'none'", b"script-src 'self'", b"style-src 'self'", b"connect-src 'self'",
            b"img-src 'self' data:", b"base-uri 'none'", b"form-action 'none'", b"frame-ancestors 'none'",
        )
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What there is to be seen.

    @ivar door: what clients ask.
    @ivar disabled: returns the names of providers that are configured and not used.
    """

    status: Status
    exposition: Exposition
    door: Door
    disabled: Callable[[], tuple[str, ...]]


class Operations:
    """
    Routes the requests of operators and of Prometheus.

    @ivar metrics_path: where Prometheus reads.
    """

    app = Klein()

    def __init__(self, seen: Seen, admin: Admin, clock: IReactorTime, wall: Callable[[], float]) -> None:
        """@param wall: returns seconds since the epoch."""
        self.seen = seen
        self.admin = admin
        self.metrics_path = "/metrics"
        self._wall = wall
        self.viewers = Viewers(seen.status.drawn_up, clock)

    @app.route("/", methods=["GET"])
    def page(self, request: RelayRequest) -> bytes:
        """Return the status page."""
        return _asset(request, "index.html", _HTML, _POLICY)

    @app.route("/page/<name>", methods=["GET"])
    def asset(self, request: RelayRequest, name: str) -> bytes:
        """Return what the page is made of."""
        if name not in _PAGE:
            msg = f"There is nothing at /page/{name}."
            raise NotFound(msg)
        return _asset(request, name, _PAGE[name])

    @app.route("/status", methods=["GET"])
    def status(self, request: RelayRequest) -> bytes:
        """Return the status as JSON."""
        body = msgspec.json.encode(self.seen.status.drawn_up())
        return answer(request, body, headers=(*_PLAIN, (b"cache-control", b"no-store")))

    @app.route("/status/events", methods=["GET"])
    async def events(self, request: RelayRequest) -> None:
        """Send the status every second, as server-sent events."""
        await self.viewers.show(ClientResponse(request, exchange_of(request)))

    @app.route("/admin/explain", methods=["POST"])
    async def explain(self, request: RelayRequest) -> bytes:
        """Tell where a request would go, and why."""
        serving = self.seen.door.serving
        asked = await self.admin.asked(request, "explain", Asked, serving.max_body)
        told = explained(asked, serving, self.seen.disabled(), self._wall())
        return answer(request, msgspec.json.encode(told), headers=_PLAIN)

    @app.route("/admin/<action>", methods=["POST"])
    async def act(self, request: RelayRequest, action: str) -> bytes:
        """Do something to the relay."""
        done = await self.admin.act(request, action)
        return answer(request, msgspec.json.encode({"done": done}), headers=_PLAIN)

    @app.route("/health", methods=["GET"])
    def health(self, request: RelayRequest) -> bytes:
        """Answer while the process serves."""
        return answer(request, b'{"status":"ok"}')

    @app.route("/ready", methods=["GET"])
    def ready(self, request: RelayRequest) -> bytes:
        """Answer 200 while a request could be served, else 503 and why."""
        return readiness(request, self.seen.door.why_not_ready())

    @app.route("/<path:asked>", methods=["GET"])
    def metrics(self, request: RelayRequest, asked: str) -> bytes:
        """Return what Prometheus reads."""
        if f"/{asked}" != self.metrics_path:
            msg = f"There is nothing at /{asked}; metrics are at {self.metrics_path}, the status at /status."
            raise NotFound(msg)
        text = self.seen.exposition.text()
        dress(
            request, 200,
            (
                (b"content-type", CONTENT_TYPE), (b"content-length", b"%d" % len(text)), *_PLAIN,
                *ids(exchange_of(request)),
            ),
        )  # fmt: skip
        return text


def _asset(request: RelayRequest, name: str, kind: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    content = _read(name)
    fields = (*_PLAIN, *headers, (b"cache-control", b"no-cache"), *ids(exchange_of(request)))
    dress(request, 200, ((b"content-type", kind), (b"content-length", b"%d" % len(content)), *fields))
    return content


@cache
def _read(name: str) -> bytes:
    return (files("ccrelay.web") / "page" / name).read_bytes()


say_errors(Operations.app, "the status is at /status")

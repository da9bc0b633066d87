"""The door: every path that clients may ask for, and what answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from ccrelay.web import models
from ccrelay.web.answering import answer, exchange_of, failed, readiness, require_json, say_errors
from ccrelay.web.direct import Direct
from ccrelay.web.response import ClientResponse
from ccrelay.wire.http import first
from ccrelay.wire.request import MessagesRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from twisted.internet.interfaces import IReactorTime

    from ccrelay.relay.exchange import Exchange
    from ccrelay.relay.in_flight import InFlight
    from ccrelay.relay.relay import Relay
    from ccrelay.relay.resource import ResourceRelay
    from ccrelay.web.client_auth import ClientAuth
    from ccrelay.web.models import ModelList
    from ccrelay.web.request import RelayRequest

_Route = TypeVar("_Route", bound="Callable[..., Any]")

_LONG: Final = 8 * 1024 * 1024
"""Bytes of a request of which each look takes milliseconds."""
_ANY: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_RESOURCES: Final = (
    "/v1/messages/batches", "/v1/files", "/v1/skills", "/v1/agents", "/v1/sessions",
    "/v1/environments", "/v1/memory_stores", "/v1/user_profiles",
)  # fmt: skip
"""Where account-bound resources live (docs/wire.md, Endpoints)."""


def _everywhere_under(app: Klein, paths: Sequence[str]) -> Callable[[_Route], _Route]:
    """Route each path, and all below it, to one method."""

    def route(method: _Route) -> _Route:
        for path in paths:
            app.route(path, branch=True, methods=_ANY, endpoint=path)(method)
        return method

    return route


@dataclass(frozen=True, slots=True)
class Serving:
    """
    What requests are served with; a new configuration is a new one of these.

    @ivar max_body: bytes of a request for a message.
    @ivar debug: whether answers tell how they came about.
    """

    auth: ClientAuth
    relay: Relay
    resources: ResourceRelay
    models: ModelList
    max_body: int
    debug: bool


class Door:
    """Routes requests by their path alone, and turns every error into Anthropic's JSON."""

    app = Klein()

    def __init__(
        self, serving: Serving, in_flight: InFlight, clock: IReactorTime, wall: Callable[[], float]
    ) -> None:
        """@param wall: returns seconds since the epoch."""
        self.serving = serving
        self._in_flight = in_flight
        self._clock = clock
        self._wall = wall
        self.direct = Direct(self.app, self, failed)

    @app.route("/v1/messages", methods=["POST"])
    def messages(self, request: RelayRequest) -> Coroutine[Any, Any, None]:
        """Relay a request for a message, streamed or not."""
        return self._message(request, counting=False)

    @app.route("/v1/messages/count_tokens", methods=["POST"])
    def count_tokens(self, request: RelayRequest) -> Coroutine[Any, Any, None]:
        """Relay a request for a count of tokens, or estimate it."""
        return self._message(request, counting=True)

    @app.route("/v1/models", methods=["GET"])
    async def list_models(self, request: RelayRequest) -> bytes:
        """Return a page of the models that the client may ask for."""
        self._admit(request)
        query = dict(parse_qsl(request.query.decode("ascii")))
        listed = await self.serving.models.for_client(exchange_of(request).client)
        return answer(request, models.page(listed, query))

    @app.route("/v1/models/<path:wanted>", methods=["GET"])
    async def one_model(self, request: RelayRequest, wanted: str) -> bytes:
        """Return one model."""
        self._admit(request)
        listed = await self.serving.models.for_client(exchange_of(request).client)
        return answer(request, models.one(listed, wanted))

    @_everywhere_under(app, _RESOURCES)
    async def resource(self, request: RelayRequest) -> None:
        """Relay a request for a batch, a file and the like, unread and as it comes."""
        exchange = self._admit(request)
        response = ClientResponse(request, exchange, debug=self.serving.debug)
        body = None if request.body is None or request.body.length == 0 else request.body
        with self._in_flight.holding(exchange):
            relaying = self.serving.resources.answer(exchange, request.query, request.pairs, body, response)
            await exchange.working(Deferred.fromCoroutine(relaying))

    @app.route("/", methods=["GET"])
    @app.route("/api/hello", methods=["GET"])
    def hello(self, request: RelayRequest) -> bytes:
        """Answer the connection checks of clients; it says nothing private."""
        exchange_of(request).quiet = True
        return answer(request, b'{"service":"ccrelay"}')

    @app.route("/api/event_logging/batch", methods=["POST"])
    async def event_logging(self, request: RelayRequest) -> bytes:
        """Take the telemetry of clients and drop it."""
        exchange_of(request).quiet = True
        if request.body is not None:
            await request.body.gather(self.serving.max_body, keep=False)
        return answer(request, b"{}")

    @app.route("/health", methods=["GET"])
    def health(self, request: RelayRequest) -> bytes:
        """Answer while the process serves."""
        exchange_of(request).quiet = True
        return answer(request, b'{"status":"ok"}')

    @app.route("/ready", methods=["GET"])
    def ready(self, request: RelayRequest) -> bytes:
        """Answer 200 while a request could be served, else 503 and why."""
        return readiness(request, self.why_not_ready())

    def why_not_ready(self) -> str | None:
        """Return why no request could be served now, or None if one could."""
        if self._in_flight.draining:
            return "draining"
        return self.serving.relay.upstreams.why_not_ready(self._wall())

    def _admit(self, request: RelayRequest, *, charged: bool = False) -> Exchange:
        exchange = exchange_of(request)
        exchange.client = self.serving.auth.admit(request.pairs, self._clock.seconds(), charged=charged)
        return exchange

    async def _message(self, request: RelayRequest, *, counting: bool) -> None:
        serving = self.serving
        exchange = self._admit(request, charged=not counting)
        require_json(request)
        with self._in_flight.holding(exchange):
            body = request.body.taken(serving.max_body)
            if body is None:
                body = await request.body.gather(serving.max_body)
            exchange.received = self._clock.seconds() - exchange.started
            asked = MessagesRequest.parse(body) if len(body) < _LONG else await self._read_slowly(body)
            exchange.model, exchange.stream = asked.model, asked.stream and not counting
            session = first(request.pairs, b"x-claude-code-session-id")
            exchange.session = session.decode("ascii", "replace") if session else asked.session
            response = ClientResponse(request, exchange, debug=serving.debug)
            await serving.relay.answer(
                exchange, asked, request.pairs, request.query, response, counting=counting
            )

    async def _read_slowly(self, body: bytes) -> MessagesRequest:
        steps = MessagesRequest.reading(body)
        while True:
            await deferLater(self._clock, 0)  # others go on in between
            try:
                next(steps)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]


say_errors(Door.app, "messages are at /v1/messages")

"""The door: every path that clients may ask for, and what answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod

from ccrelay.errors import Draining, MethodNotAllowed, NotFound, RelayError, WrongType
from ccrelay.web import models
from ccrelay.web.errors import error_answer
from ccrelay.web.response import ClientResponse, dress, ids
from ccrelay.wire.http import first, media_type
from ccrelay.wire.request import MessagesRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from ccrelay.relay.exchange import Exchange
    from ccrelay.relay.in_flight import InFlight
    from ccrelay.relay.relay import Relay
    from ccrelay.relay.resource import ResourceRelay
    from ccrelay.web.client_auth import ClientAuth
    from ccrelay.web.models import ModelList
    from ccrelay.web.request import RelayRequest

_Route = TypeVar("_Route", bound="Callable[..., Any]")

_JSON: Final = ((b"content-type", b"application/json"),)
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
    log = Logger()

    def __init__(
        self, serving: Serving, in_flight: InFlight, clock: IReactorTime, wall: Callable[[], float]
    ) -> None:
        """@param wall: returns seconds since the epoch."""
        self.serving = serving
        self._in_flight = in_flight
        self._clock = clock
        self._wall = wall

    @app.route("/v1/messages", methods=["POST"])
    async def messages(self, request: RelayRequest) -> None:
        """Relay a request for a message, streamed or not."""
        await self._message(request, counting=False)

    @app.route("/v1/messages/count_tokens", methods=["POST"])
    async def count_tokens(self, request: RelayRequest) -> None:
        """Relay a request for a count of tokens, or estimate it."""
        await self._message(request, counting=True)

    @app.route("/v1/models", methods=["GET"])
    async def list_models(self, request: RelayRequest) -> bytes:
        """Return a page of the models that the client may ask for."""
        self._admit(request)
        query = dict(parse_qsl(request.query.decode("ascii")))
        listed = await self.serving.models.for_client(_exchange(request).client)
        return _answer(request, models.page(listed, query))

    @app.route("/v1/models/<path:wanted>", methods=["GET"])
    async def one_model(self, request: RelayRequest, wanted: str) -> bytes:
        """Return one model."""
        self._admit(request)
        listed = await self.serving.models.for_client(_exchange(request).client)
        return _answer(request, models.one(listed, wanted))

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
        _exchange(request).quiet = True
        return _answer(request, b'{"service":"ccrelay"}')

    @app.route("/api/event_logging/batch", methods=["POST"])
    async def event_logging(self, request: RelayRequest) -> bytes:
        """Take the telemetry of clients and drop it."""
        _exchange(request).quiet = True
        if request.body is not None:
            await request.body.gather(self.serving.max_body, keep=False)
        return _answer(request, b"{}")

    @app.route("/health", methods=["GET"])
    def health(self, request: RelayRequest) -> bytes:
        """Answer while the process serves."""
        _exchange(request).quiet = True
        return _answer(request, b'{"status":"ok"}')

    @app.route("/ready", methods=["GET"])
    def ready(self, request: RelayRequest) -> bytes:
        """Answer 200 while a request could be served, else 503 and why."""
        _exchange(request).quiet = True
        reason = "draining" if self._in_flight.draining else None
        reason = reason or self.serving.relay.upstreams.why_not_ready(self._wall())
        if reason is None:
            return _answer(request, b'{"status":"ready"}')
        body = msgspec.json.encode({"status": "not ready", "reason": reason})
        return _answer(request, body, 503, ((b"retry-after", b"5"),))

    @app.handle_errors(RelayError)
    def say(self, request: Any, failure: Failure) -> bytes:  # noqa: ANN401  Klein's signature
        """Answer with an error of our own."""
        return error_answer(request, cast("RelayError", failure.value))

    @app.handle_errors(HTTPException)
    def say_routing(self, request: Any, failure: Failure) -> bytes:  # noqa: ANN401
        """Answer where Klein found no route."""
        path, problem = request.path.decode("ascii", "replace"), failure.value
        if isinstance(problem, NoSuchMethod):
            allowed = tuple(sorted(problem.valid_methods or ()))
            method = request.method.decode("ascii", "replace")
            words = f"{method} is not a method of {path}; it has: {', '.join(allowed)}."
            return error_answer(request, MethodNotAllowed(words, allowed))
        return error_answer(request, NotFound(f"There is nothing at {path}; messages are at /v1/messages."))

    @app.handle_errors(CancelledError)
    def say_cut_short(self, request: Any, failure: Failure) -> bytes:  # noqa: ANN401, ARG002
        """Answer where the work was cancelled and the client is still there."""
        return error_answer(request, Draining("ccrelay ended this request; send it again."))

    @app.handle_errors(Exception)
    def say_fault(self, request: Any, failure: Failure) -> bytes | None:  # noqa: ANN401
        """Answer where ccrelay itself is at fault; the log has the traceback."""
        exchange = _exchange(request)
        self.log.failure("fault in ccrelay while serving {id}", failure, id=exchange.id)
        exchange.because(f"fault in ccrelay: {type(failure.value).__name__}")
        if request.startedWriting:
            request.channel.transport.abortConnection()
            return None
        error = RelayError(f"ccrelay itself failed; its log tells why under the id {exchange.id}.")
        return error_answer(request, error)

    def _admit(self, request: RelayRequest, *, charged: bool = False) -> Exchange:
        exchange = _exchange(request)
        exchange.client = self.serving.auth.admit(request.pairs, self._clock.seconds(), charged=charged)
        return exchange

    async def _message(self, request: RelayRequest, *, counting: bool) -> None:
        exchange = self._admit(request, charged=not counting)
        _require_json(request)
        with self._in_flight.holding(exchange):
            await exchange.working(
                Deferred.fromCoroutine(self._relayed(request, exchange, counting=counting))
            )

    async def _relayed(self, request: RelayRequest, exchange: Exchange, *, counting: bool) -> None:
        serving = self.serving
        body = await request.body.gather(serving.max_body) if request.body is not None else b""
        asked = MessagesRequest.parse(body)
        exchange.model, exchange.stream = asked.model, asked.stream and not counting
        session = first(request.pairs, b"x-claude-code-session-id")
        exchange.session = session.decode("ascii", "replace") if session else asked.session
        response = ClientResponse(request, exchange, debug=serving.debug)
        await serving.relay.answer(exchange, asked, request.pairs, request.query, response, counting=counting)


def _exchange(request: RelayRequest) -> Exchange:
    exchange = request.exchange
    if exchange is None:
        msg = "a request reached the door without an account"
        raise AssertionError(msg)
    return exchange


def _answer(request: RelayRequest, body: bytes, status: int = 200, headers: Any = ()) -> bytes:  # noqa: ANN401
    length = (b"content-length", b"%d" % len(body))
    dress(request, status, (*_JSON, *headers, *ids(_exchange(request)), length))
    return body


def _require_json(request: RelayRequest) -> None:
    """
    Refuse what is not JSON: a web page can post a form anywhere without being asked first.

    @raise WrongType: for another media type, or a compressed body.
    """
    if media_type(request.pairs) != b"application/json":
        msg = "Send the request with content-type: application/json."
        raise WrongType(msg)
    encoding = first(request.pairs, b"content-encoding") or b"identity"
    if encoding.strip().lower() != b"identity":
        msg = f"Content-Encoding {encoding.decode('latin-1')} is not supported here; send the body as it is."
        raise WrongType(msg)

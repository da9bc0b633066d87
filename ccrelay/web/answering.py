"""What every Klein application here has in common: errors in Anthropic's JSON, and small answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod

from ccrelay.errors import Draining, MethodNotAllowed, NotFound, RelayError, WrongType
from ccrelay.web.errors import error_answer
from ccrelay.web.response import dress, ids
from ccrelay.wire.http import first, media_type

if TYPE_CHECKING:
    from klein import Klein
    from twisted.python.failure import Failure

    from ccrelay.relay.exchange import Exchange
    from ccrelay.web.request import Accounted, RelayRequest
    from ccrelay.wire.http import Pairs

_JSON: Final = ((b"content-type", b"application/json"),)

log = Logger()


def say_errors(app: Klein, hint: str) -> None:
    """
    Turn whatever is raised by the routes of an application into Anthropic's JSON.

    @param hint: where the application's own things are, for those who ask elsewhere.
    """

    @app.handle_errors(HTTPException)
    def say_routing(self: Any, request: Any, failure: Failure) -> bytes:  # noqa: ANN401, ARG001  Klein's
        """Answer where Klein found no route."""
        path, problem = request.path.decode("ascii", "replace"), failure.value
        if isinstance(problem, NoSuchMethod):
            allowed = tuple(sorted(problem.valid_methods or ()))
            method = request.method.decode("ascii", "replace")
            words = f"{method} is not a method of {path}; it has: {', '.join(allowed)}."
            return error_answer(request, MethodNotAllowed(words, allowed))
        return error_answer(request, NotFound(f"There is nothing at {path}; {hint}."))

    @app.handle_errors(Exception)
    def say_other(self: Any, request: Any, failure: Failure) -> bytes | None:  # noqa: ANN401, ARG001
        """Answer whatever else a route has raised."""
        return failed(request, failure)


def failed(request: RelayRequest, failure: Failure) -> bytes | None:
    """Return the answer for what a route has raised; None where one had begun, which is cut then."""
    error = failure.value
    if isinstance(error, CancelledError):
        # The work was cancelled, and the client is still there.
        error = Draining("ccrelay ended this request; send it again.")
    if isinstance(error, RelayError):
        return error_answer(request, error)
    exchange = exchange_of(request)
    log.failure("fault in ccrelay while serving {id}", failure, id=exchange.id)
    exchange.because(f"fault in ccrelay: {type(error).__name__}")
    if request.startedWriting:
        request.channel.transport.abortConnection()
        return None
    fault = RelayError(f"ccrelay itself failed; its log tells why under the id {exchange.id}.")
    return error_answer(request, fault)


def exchange_of(request: Accounted) -> Exchange:
    """Return the account of a request, which the site has opened."""
    exchange = request.exchange
    if exchange is None:
        msg = "a request reached the door without an account"
        raise AssertionError(msg)
    return exchange


def answer(request: RelayRequest, body: bytes, status: int = 200, headers: Pairs = ()) -> bytes:
    """Put status and header fields on an answer in JSON, and return its body."""
    length = (b"content-length", b"%d" % len(body))
    dress(request, status, (*_JSON, *headers, *ids(exchange_of(request)), length))
    return body


def readiness(request: RelayRequest, reason: str | None) -> bytes:
    """
    Answer 200 while a request could be served, else 503 and why.

    @param reason: why none could; None where one could.
    """
    exchange_of(request).quiet = True
    if reason is None:
        return answer(request, b'{"status":"ready"}')
    body = msgspec.json.encode({"status": "not ready", "reason": reason})
    return answer(request, body, 503, ((b"retry-after", b"5"),))


def require_json(request: RelayRequest) -> None:
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

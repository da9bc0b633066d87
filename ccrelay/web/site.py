"""The site: what every request meets first, whatever it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet.address import UNIXAddress
from twisted.web.server import Site

from ccrelay.errors import Malformed, RelayError
from ccrelay.relay.exchange import Exchange
from ccrelay.web.channel import RelayChannel
from ccrelay.web.errors import error_answer
from ccrelay.web.request import RelayRequest
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IAddress, IReactorTime
    from twisted.web.resource import IResource

    from ccrelay.relay.events import IObserver
    from ccrelay.web.gate import Gate

_CORS = (
    (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
    (b"access-control-max-age", b"600"),
)


class RelaySite(Site):
    """
    Opens the account of each request, judges C{Host} and C{Origin}, and hands it to Klein.

    It keeps no access log of its own: the account tells more.
    """

    noisy = False
    protocol: Any = RelayChannel

    def __init__(
        self,
        root: IResource,
        gate: Gate,
        clock: IReactorTime,
        new_id: Callable[[], str],
        observers: Sequence[IObserver],
    ) -> None:
        """@param new_id: returns a fresh id for a request."""
        super().__init__(root, requestFactory=RelayRequest, reactor=clock)
        self.timeOut = RelayChannel.timeOut
        self.root = root
        self.gate = gate
        self.clock = clock
        self.channels: set[RelayChannel] = set()
        self._new_id = new_id
        self._observers = observers

    def startFactory(self) -> None:
        """Twisted would start a clock here for an access log that is not kept."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: object) -> None:
        """Keep no access log."""

    def close(self) -> None:
        """Close the connections that clients still keep."""
        for channel in tuple(self.channels):
            channel.transport.abortConnection()

    def account(self, method: str, path: str) -> Exchange:
        """Open the account of a request."""
        return Exchange(self._new_id(), method, path, self.clock.seconds(), self._observers)

    def refused(self, status: int, why: str) -> str:
        """Account for something that was not a request; return the id its answer carries."""
        exchange = self.account("-", "-")
        exchange.status = status
        exchange.because(why)
        exchange.end(self.clock.seconds())
        return exchange.id

    def handle(self, request: RelayRequest) -> None:
        """Answer a request whose head has come."""
        exchange = self.account(
            request.method.decode("ascii", "replace"), request.path.decode("ascii", "replace")
        )
        request.exchange = exchange
        try:
            self._admit(request)
        except RelayError as error:
            request.write(error_answer(request, error))
            request.finish()
            return
        if request.method == b"OPTIONS" and request.requestHeaders.hasHeader(
            b"access-control-request-method"
        ):
            exchange.quiet = True
            request.setResponseCode(204)
            request.finish()
            return
        request.prepath = []
        request.postpath = [unquote_to_bytes(part) for part in request.path[1:].split(b"/")]
        request.render(self.root)

    def _admit(self, request: RelayRequest) -> None:
        try:
            request.uri.decode("ascii")
        except UnicodeDecodeError:
            msg = "The request target must be percent-encoded ASCII."
            raise Malformed(msg) from None
        origin = self.gate.judge(
            request.pairs, http11=request.clientproto == b"HTTP/1.1", local=is_local(request.getHost())
        )
        if origin is not None:
            fields = request.responseHeaders
            fields.setRawHeaders(b"access-control-allow-origin", [origin.encode("latin-1")])
            fields.setRawHeaders(b"vary", [b"Origin"])
            wanted = first(request.pairs, b"access-control-request-headers")
            if wanted is not None:
                fields.setRawHeaders(b"access-control-allow-headers", [wanted])
                for name, value in _CORS:
                    fields.setRawHeaders(name, [value])


def is_local(address: IAddress) -> bool:
    """Return whether a connection came in where only this machine's programs reach."""
    return isinstance(address, UNIXAddress)

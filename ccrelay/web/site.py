"""The site: what every request meets first, whatever it asks for."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, succeed
from twisted.web.server import Site

from ccrelay.errors import Malformed, RelayError
from ccrelay.http1.outbox import Outbox
from ccrelay.relay.exchange import Exchange
from ccrelay.web.channel import RelayChannel, TwistedChannel
from ccrelay.web.errors import error_answer
from ccrelay.web.habits import IDLE_S
from ccrelay.web.response import dress, ids
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.resource import IResource

    from ccrelay.relay.events import IObserver
    from ccrelay.web.direct import Direct
    from ccrelay.web.gate import Gate
    from ccrelay.web.request import RelayRequest

_PREFLIGHT: Final = b"access-control-request-method"
_DOTS = frozenset({".", ".."})
_CORS = (
    (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
    (b"access-control-max-age", b"600"),
)
_CHANNELS: Final[dict[str, Any]] = {"llhttp": RelayChannel, "twisted": TwistedChannel}
_IDLE_S: Final = 2.0
"""Seconds that an idle connection is kept when the relay retires: its client may be about to ask."""
_CLOSING_S: Final = 2.0
"""Seconds that a client has to read what was written to it before its connection is closed."""


class RelaySite(Site):
    """
    Opens the account of each request, judges C{Host} and C{Origin}, and hands it to Klein.

    It keeps no access log of its own: the account tells more.

    @ivar observers: who is told of what ends, from the next request on.
    """

    noisy = False

    def __init__(
        self,
        root: IResource,
        gate: Gate,
        clock: IReactorTime,
        new_id: Callable[[], str],
        observers: Sequence[IObserver],
        http: str = "llhttp",
        direct: Direct | None = None,
    ) -> None:
        """
        @param new_id: returns a fresh id for a request.
        @param http: what speaks HTTP, C{llhttp} or C{twisted}.
        @param direct: answers some paths before Klein is asked.
        """
        self._direct = direct
        self.protocol: Any = _CHANNELS[http]
        super().__init__(root, requestFactory=self.protocol.requestFactory, reactor=clock)
        self.timeOut = IDLE_S
        self.root = root
        self.gate = gate
        self.clock = clock
        self.outbox = Outbox()
        self.channels: set[Any] = set()
        self.retiring = False
        self._closed: Deferred[None] | None = None
        self._empty: Deferred[None] | None = None
        self._new_id = new_id
        self.observers = observers

    def speak(self, http: str) -> None:
        """Let another parser speak HTTP with those who connect from now on."""
        self.protocol = _CHANNELS[http]
        self.requestFactory = self.protocol.requestFactory

    def startFactory(self) -> None:
        """Twisted would start a clock here for an access log that is not kept."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: object) -> None:
        """Keep no access log."""

    def retire(self) -> Deferred[None]:
        """
        Let each connection end with the next answer whose head is written, which says so; or when it is idle.

        @return: a Deferred that fires when all are closed.
        """
        self.retiring = True
        if not self.channels:
            return succeed(None)
        for request in chain.from_iterable(channel.requests for channel in self.channels):
            if not request.startedWriting:
                request.is_last()
        self._empty = empty = Deferred[None]()
        self._sweep(frozenset())
        return empty.addCallback(lambda _: self._sweeping.cancel())

    def _sweep(self, before: frozenset[Any]) -> None:
        """Close what is idle and was so the last time; C{before}: what was."""
        idle = frozenset(channel for channel in self.channels if channel.is_idle)
        self._sweeping = self.clock.callLater(_IDLE_S, self._sweep, idle)
        for channel in idle & before:
            channel.loseConnection()

    def close(self) -> Deferred[None]:
        """
        Close the connections that clients still keep, once what was written to them has gone out.

        @return: a Deferred that fires when they are closed; a client that does not read is cut off after 2 s.
        """
        if not self.channels:
            return succeed(None)
        self._closed = Deferred()
        closed = self._closed.addTimeout(_CLOSING_S, self.clock, self._cut_off)
        for channel in tuple(self.channels):
            channel.loseConnection()
        return closed

    def left(self, channel: object) -> None:
        """Note that a connection is closed."""
        self.channels.discard(channel)
        if not self.channels:
            waiting, self._closed, self._empty = (self._closed, self._empty), None, None
            for each in waiting:
                if each is not None:
                    each.callback(None)

    def _cut_off(self, _result: object, _seconds: float) -> None:
        self._closed = None
        for channel in tuple(self.channels):
            channel.transport.abortConnection()

    def account(self, method: str, path: str) -> Exchange:
        """Open the account of a request."""
        return Exchange(self._new_id(), method, path, self.clock.seconds(), self.observers)

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
        if self.retiring:
            request.is_last()
        try:
            self._admit(request)
        except RelayError as error:
            request.write(error_answer(request, error))
            request.finish()
            return
        if request.method == b"OPTIONS" and first(request.pairs, _PREFLIGHT) is not None:
            exchange.quiet = True
            dress(request, 204, ids(exchange))
            request.finish()
            return
        if self._direct is not None and self._direct.answers(request):
            return
        request.prepath = []
        request.postpath = [unquote_to_bytes(part) for part in request.path[1:].split(b"/")]
        request.render(self.root)

    def _admit(self, request: RelayRequest) -> None:
        direct = self._direct
        if direct is None or request.path not in direct.paths or not request.uri.isascii():
            _judge_path(request)
        origin = self.gate.judge(
            request.pairs, http11=request.clientproto == b"HTTP/1.1", local=request.local
        )
        if origin is not None:
            fields = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
            if first(request.pairs, _PREFLIGHT) is not None:
                wanted = first(request.pairs, b"access-control-request-headers") or b""
                fields += (*_CORS, (b"access-control-allow-headers", wanted))
            for name, value in fields:
                request.setHeader(name, value)


def _judge_path(request: RelayRequest) -> None:
    try:
        request.uri.decode("ascii")
        path = unquote_to_bytes(request.path).decode("utf-8")
    except UnicodeDecodeError:
        msg = "The request target must be percent-encoded UTF-8."
        raise Malformed(msg) from None
    if not _DOTS.isdisjoint(path.split("/")):
        # A provider may resolve them, and so be asked for what no route here leads to.
        msg = "The path of a request must have no . or .. in it."
        raise Malformed(msg)

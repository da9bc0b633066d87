"""The kept connections to servers; the one used last goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IProtocolFactory
from zope.interface import implementer

from ccrelay.http1.connection import Connection
from ccrelay.http1.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Hashable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
    from twisted.web.iweb import IBodyProducer

    from ccrelay.http1.response import Response


class _Place:
    """A server, and the connections to it that wait for a request; the latest used is last."""

    def __init__(self, pool: Pool, endpoint: IStreamClientEndpoint) -> None:
        self.endpoint = endpoint
        self.outbox = pool.outbox
        self.idle: dict[Connection, float] = {}
        self._pool = pool

    def kept(self, connection: Connection) -> None:
        self._pool.keep(self, connection)

    def lost(self, connection: Connection) -> None:
        self._pool.forget(self, connection)


@implementer(IProtocolFactory)
class _Factory:
    def __init__(self, place: _Place) -> None:
        self._place = place

    def doStart(self) -> None:
        """Part of Twisted's interface; nothing to do."""

    def doStop(self) -> None:
        """Part of Twisted's interface; nothing to do."""

    def buildProtocol(self, _address: object) -> Any:  # noqa: ANN401  Twisted's IProtocol
        return Connection(self._place.kept, self._place.lost, self._place.outbox)


class Pool:
    """
    Connections by server.

    How many there may be at once is for the caller to limit: one is opened
    whenever none is idle.
    """

    def __init__(self, clock: IReactorTime, connect_timeout: float, kept: float) -> None:
        """
        @param connect_timeout: seconds until a connection is ready, TLS included.
        @param kept: seconds that an idle one is kept.
        """
        self._clock = clock
        self.outbox = Outbox()
        self._connect_timeout = connect_timeout
        self._kept = kept
        self._places: dict[Hashable, _Place] = {}
        self._retired = False
        self._timer: IDelayedCall | None = None
        self._closing: Deferred[None] | None = None

    def place(self, key: Hashable, endpoint: IStreamClientEndpoint) -> _Place:
        """Return the server with this key; C{endpoint} connects to it."""
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place(self, endpoint)
        return place

    def ask(
        self, place: _Place, method: bytes, head: bytes, body: bytes | IBodyProducer | None
    ) -> Deferred[Response]:
        """
        Send a request on a kept connection, or a new one.

        A kept one may be dead, which shows only when it is used: if it ends
        before one byte of an answer, the request goes once more, on a new
        connection, unless its body is gone.  The server has not begun with
        it, or cannot tell.
        """
        while place.idle:
            connection, _since = place.idle.popitem()
            if connection.alive:
                if body is not None and not isinstance(body, bytes):
                    return connection.ask(method, head, body)
                return connection.ask(method, head, body, lambda: self._anew(place, method, head, body))
        return self._anew(place, method, head, body)

    def _anew(
        self, place: _Place, method: bytes, head: bytes, body: bytes | IBodyProducer | None
    ) -> Deferred[Response]:
        def too_slow(_result: object, seconds: float) -> NoReturn:
            raise ConnectTimeout(string=f"no connection within {seconds:g} s")

        connecting: Deferred[Any] = place.endpoint.connect(_Factory(place))
        connecting.addCallback(Connection.secured)
        connecting.addTimeout(self._connect_timeout, self._clock, too_slow)
        return connecting.addCallback(Connection.ask, method, head, body)

    def keep(self, place: _Place, connection: Connection) -> None:
        """A connection's answer is complete: it may serve again."""
        if self._retired:
            connection.abort()
            return
        place.idle[connection] = self._clock.seconds()
        if self._timer is None:
            self._timer = self._clock.callLater(self._kept, self._reap)

    def forget(self, place: _Place, connection: Connection) -> None:
        """A connection is closed."""
        place.idle.pop(connection, None)
        self._all_closed()

    def _reap(self) -> None:
        """Close what was idle for long; one timer serves all connections."""
        self._timer = None
        now = self._clock.seconds()
        due = []
        for place in self._places.values():
            for connection, since in tuple(place.idle.items()):
                if since + self._kept <= now:
                    del place.idle[connection]
                    connection.abort()
                else:
                    due.append(since + self._kept - now)
        if due:
            self._timer = self._clock.callLater(min(due), self._reap)

    def retire(self) -> None:
        """Close what is idle, and keep nothing from now on."""
        self._retired = True
        self.closeCachedConnections()

    def closeCachedConnections(self) -> Deferred[None]:
        """Close what is idle; the Deferred fires when it is."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        closing = [connection for place in self._places.values() for connection in place.idle]
        for connection in closing:
            connection.abort()
        if not closing:
            return succeed(None)
        if self._closing is None:
            self._closing = Deferred()
        closed: Deferred[None] = Deferred()
        self._closing.addBoth(lambda _: closed.callback(None))
        self._all_closed()
        return closed

    def _all_closed(self) -> None:
        if self._closing is not None and not any(place.idle for place in self._places.values()):
            closing, self._closing = self._closing, None
            closing.callback(None)

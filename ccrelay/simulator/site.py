"""The simulator's HTTP: no access log, nothing on disk, one event a write, an answer ahead of the body."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, succeed
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure
    from twisted.web.http_headers import Headers
    from twisted.web.resource import IResource

_HEADS: Final = 64 * 1024  # bytes of a request's head; long anthropic-beta lists count


class SimulatorRequest(Request):
    """
    A request that can be answered before its body has come.

    @ivar rest: fires with the whole body when it has come; None unless the answer began before.
    """

    rest: Deferred[bytes] | None = None
    content: BytesIO

    def begin(self, command: bytes, target: bytes, version: bytes) -> None:
        """Process the request at the end of its head."""
        self.rest = Deferred()
        self.method, self.uri, self.clientproto = command, target, version
        self.path = target.partition(b"?")[0]
        self.args: dict[bytes, list[bytes]] = {}
        self.process()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Process the request at its end, unless it has begun by then."""
        if self.rest is None:
            super().requestReceived(command, path, version)
            return
        rest, self.rest = self.rest, None
        rest.callback(self.content.getvalue())


class SimulatorChannel(HTTPChannel):
    """
    A connection that its site knows of, and on which each write waits for the one before.

    Twisted pauses a producer when 64 KiB lie in the transport; here each write pauses it until all has gone
    to the kernel.  So a RST overtakes no event, and a slow reader holds up the very next one.
    """

    site: SimulatorSite
    transport: Any  # TCP, TLS or unix: each with abortConnection, which ITransport lacks
    totalHeadersSize = _HEADS
    _strict = False

    def connectionMade(self) -> None:
        """Have the transport say whenever its buffer is empty, as it does to pull producers."""
        super().connectionMade()
        # TLS polls pull producers, so there its own rhythm must do.
        if isinstance(self.transport, FileDescriptor):
            self._strict = True
            self.transport.unregisterProducer()
            self.transport.registerProducer(self, streaming=False)
        self.site.channels.add(self)

    def write(self, data: bytes) -> None:
        """Write, and be paused."""
        self.writeSequence((data,))

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Write, and be paused."""
        super().writeSequence(iovec)
        if self._strict and self.transport.connected:
            self.pauseProducing()

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Write the head, and be paused."""
        super().writeHeaders(version, code, reason, headers)
        if self._strict and self.transport.connected:
            self.pauseProducing()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Take leave of the site."""
        super().connectionLost(reason)
        self.site.left(self)

    def allHeadersReceived(self) -> None:
        """Answer at once where the site wants it so."""
        super().allHeadersReceived()
        if self.site.early(self._path.partition(b"?")[0].decode("latin-1")):
            self.requests[-1].begin(self._command, self._path, self._version)

    def drop(self) -> None:
        """Close the connection, at once where an exchange is going on."""
        if self.requests:
            self.transport.abortConnection()
        else:
            self.loseConnection()


class SimulatorSite(Site):
    """
    What accepts connections for a simulator.

    @ivar channels: the connections that are open.
    @ivar early: whether the next request for a path is to be answered ahead of its body.
    """

    noisy = False
    protocol = SimulatorChannel  # type: ignore[assignment]
    requestFactory = SimulatorRequest

    def __init__(self, resource: IResource, clock: IReactorTime, early: Callable[[str], bool]) -> None:
        # Without a timeout: how long to wait is the peer's to decide.
        super().__init__(resource, reactor=clock, timeout=None, parsePOSTFormSubmission=False)
        self.channels: set[SimulatorChannel] = set()
        self.early = early
        self._empty: list[Deferred[None]] = []

    def startFactory(self) -> None:
        """Start no clock for an access log."""

    def stopFactory(self) -> None:
        """Stop nothing."""

    def log(self, request: object) -> None:
        """Write no access log."""

    def getContentFile(self, length: int | None) -> BytesIO:  # noqa: ARG002  Twisted calls it so
        """Keep bodies in memory, however long."""
        return BytesIO()

    def left(self, channel: SimulatorChannel) -> None:
        """Note that a connection is closed."""
        self.channels.discard(channel)
        if not self.channels:
            empty, self._empty = self._empty, []
            for deferred in empty:
                deferred.callback(None)

    def disconnect(self) -> Deferred[None]:
        """Close every connection; the Deferred fires when they are closed."""
        if not self.channels:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._empty.append(closed)
        for channel in [*self.channels]:
            channel.drop()
        return closed

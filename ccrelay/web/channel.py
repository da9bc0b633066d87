"""A client's connection over llhttp, and over Twisted's own parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.address import UNIXAddress
from twisted.internet.protocol import connectionDone
from twisted.web.http import HTTPChannel

from ccrelay.http1.channel import Channel
from ccrelay.web.habits import IDLE_S, LONGEST_HEAD, Habits
from ccrelay.web.request import RelayRequest, TwistedRequest

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure


class RelayChannel(Habits, Channel):
    """
    HTTP/1.1 from a client, over llhttp.

    @ivar local: whether only this machine's programs can have made it.
    """

    requestFactory = RelayRequest
    _idle_timer: IDelayedCall | None = None
    _moved = 0.0
    local = False

    def connectionMade(self) -> None:
        """A client has connected."""
        self.outbox = self.site.outbox
        super().connectionMade()
        self.local = isinstance(self.transport.getHost(), UNIXAddress)
        self.site.channels.add(self)
        self._moved = self.site.clock.seconds()
        self._idle_timer = self.callLater(IDLE_S, self._watch)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; the time for a head runs from its first one."""
        self._moved = self.site.clock.seconds()
        if self.lingering:
            self.drop(len(data))
            return
        super().dataReceived(data)
        if self._in_head and not self.lingering:
            self.head_began()
        elif self._head_timer is not None:
            self.head_done()

    def tell(self, data: bytes) -> None:
        """Send what is no answer to a request."""
        self.send(data)

    def malformed(self) -> None:
        """Answer what is no request, and close."""
        self.refuse_head()

    def broken(self, request: RelayRequest) -> None:
        """Let a request answer for its body, which is none."""
        self.refuse_body(request)

    def requestDone(self, request: Any) -> None:  # noqa: ANN401  ours
        """Go on to the next request, or drop the rest of the body of one answered early."""
        self._moved = self.site.clock.seconds()
        if request.body.over:
            super().requestDone(request)
            return
        self.requests.clear()
        self._filling = None
        self._closing = True
        self.linger()
        self.transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the requests, and let go of the timers."""
        if self._idle_timer is not None and self._idle_timer.active():
            self._idle_timer.cancel()
        self.gone()
        super().connectionLost(reason)

    def _watch(self) -> None:
        """
        Look whether the connection is idle.

        One timer that runs out and looks is cheaper than one that is set anew
        with each request: that is 3 % of a small one.
        """
        left = self._moved + IDLE_S - self.site.clock.seconds()
        served = bool(self.requests) and self.requests[0].body.over
        if left > 0 or served or self.lingering:
            self._idle_timer = self.callLater(left if left > 0 else IDLE_S, self._watch)
        else:
            self._idle_timer = None
            self.idle()


class TwistedChannel(Habits, HTTPChannel):
    """
    HTTP/1.1 from a client, over Twisted's parser.

    Twisted's own channel hands a request over when its body is complete; here
    its C{headReceived} is called when the head is, so that what must not come
    in is refused before a byte of the body is kept.
    """

    timeOut = int(IDLE_S)
    totalHeadersSize = MAX_LENGTH = LONGEST_HEAD
    requestFactory: Any = TwistedRequest

    def connectionMade(self) -> None:
        """A client has connected."""
        super().connectionMade()
        self.site.channels.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; the time for a head runs from its first one."""
        if self.lingering:
            self.drop(len(data))
            return
        if not self.requests:
            self.head_began()
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Take a line of a head; a folded one (RFC 9112, 5.2) is read differently by others."""
        if line[:1] in (b" ", b"\t"):
            self._respondToBadRequestAndDisconnect()
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002, N802  Twisted's
        """Refuse a line that is longer than a head may be."""
        self._respondToBadRequestAndDisconnect()

    def rawDataReceived(self, data: bytes) -> None:
        """Take bytes of a body, or of what follows an early answer."""
        if self.lingering:
            self.drop(len(data))
        else:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        """Hand a request with a body over; one without is handed over as Twisted does."""
        self.head_done()
        request = self.requests[-1]
        self.persistent = self.checkPersistence(request, self._version)
        request.gotLength(self.length)
        if self.length == 0:
            return
        expected = request.requestHeaders.getRawHeaders(b"Expect")
        if expected and expected[0].lower() == b"100-continue" and self._version == b"HTTP/1.1":
            request.body.on_wanted = self._send100Continue
        request.headReceived(self._command, self._path, self._version)

    def allContentReceived(self) -> None:
        """Tell a request that its body is complete, unless it was answered in the middle of it."""
        if not self.lingering:
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:  # noqa: ANN401  Twisted's Request, ours below
        """Go on to the next request, or drop the rest of the body of one answered early."""
        if request.body is None or request.body.over:
            super().requestDone(request)
            return
        self.requests.remove(request)
        self.setTimeout(None)
        self.linger()
        self.transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the request, and let go of the timers."""
        self.gone()
        super().connectionLost(reason)

    def timeoutConnection(self) -> None:
        """Close a connection that was idle for too long; give up a body that has stopped moving."""
        self.idle()

    def tell(self, data: bytes) -> None:
        """Send what is no answer to a request."""
        self.transport.write(data)

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.head_done()
        if self.requests and self.requests[0].exchange is not None:
            self.refuse_body(self.requests[0])
            return
        self.refuse_head()

    def linger(self) -> None:
        """Drop what comes for a while, then close."""
        super().linger()
        self.requests.clear()
        self.setRawMode()  # nothing that follows is a line of a head

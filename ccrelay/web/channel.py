"""One client connection: which of its habits are borne, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.protocol import connectionDone
from twisted.web.http import HTTPChannel

from ccrelay.errors import Malformed, Stalled
from ccrelay.web.incoming import too_slow
from ccrelay.wire.error_json import envelope

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

_HEAD_S: Final = 20.0
"""Seconds for the head of a request to arrive, however its bytes are spread."""
_LINGER_S: Final = 2.0
_LINGER_BYTES: Final = 8 * 1024 * 1024
"""How much more is read and dropped after an early answer, so that the client reads it, not a reset."""


class RelayChannel(HTTPChannel):
    """
    HTTP/1.1 from a client, where a request is answered from its head on.

    Twisted's own channel hands a request over when its body is complete; here
    its C{headReceived} is called when the head is, so that what must not come
    in is refused before a byte of the body is kept.
    """

    timeOut = 120
    abortTimeout = 15
    totalHeadersSize = MAX_LENGTH = 64 * 1024  # lists of betas and conversation headers grow

    site: Any
    transport: Any
    requests: list[Any]

    _head_timer: IDelayedCall | None = None
    _linger_timer: IDelayedCall | None = None
    _lingering = False
    _dropped = 0

    def connectionMade(self) -> None:
        """A client has connected."""
        super().connectionMade()
        self.site.channels.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; the time for a head runs from its first one."""
        if self._lingering:
            self._drop(len(data))
            return
        if self._head_timer is None and not self.requests:
            self._head_timer = self.callLater(_HEAD_S, self._slow_head)
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
        if self._lingering:
            self._drop(len(data))
        else:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        """Hand a request with a body over; one without is handed over as Twisted does."""
        self._head_done()
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
        if not self._lingering:
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:  # noqa: ANN401  Twisted's Request, ours below
        """Go on to the next request, or drop the rest of the body of one answered early."""
        if request.body is None or request.body.over:
            super().requestDone(request)
            return
        self.requests.remove(request)
        self.setTimeout(None)
        self._lingering = True
        self._linger_timer = self.callLater(_LINGER_S, self._lingered)
        self.transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the request, and let go of the timers."""
        self.site.left(self)
        self._head_done()
        timer, self._linger_timer = self._linger_timer, None
        if timer is not None and timer.active():
            timer.cancel()
        super().connectionLost(reason)

    def timeoutConnection(self) -> None:
        """Close a connection that was idle for too long; give up a body that has stopped moving."""
        body = self.requests[0].body if self.requests else None
        if body is not None and not body.over:
            stuck = Stalled(f"it took nothing of the body for {self.timeOut} s")
            body.broken(stuck if body.paused else too_slow())
            return
        self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        self.loseConnection()

    def forceAbortClient(self) -> None:
        """Cut a connection that did not close when asked to."""
        self._abortingCall = None
        self.transport.abortConnection()

    def _slow_head(self) -> None:
        self._head_timer = None
        self._refuse(408, b"Request Timeout", "timeout_error", "The request's head arrives too slowly.")

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._refuse(
            400, b"Bad Request", "invalid_request_error",
            "This is not a valid HTTP/1.1 request: check its request line, header fields and body framing.",
        )  # fmt: skip

    def _refuse(self, status: int, reason: bytes, kind: str, message: str) -> None:
        """Answer what is no request, and close; a request already handed over answers for itself."""
        self._head_done()
        if self.requests and self.requests[0].exchange is not None:
            self.requests[0].body.broken(Malformed(message))
            return
        request_id = self.site.refused(status, message)
        body = envelope(kind, message, request_id)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"x-ccrelay-request-id: %b\r\nrequest-id: %b\r\nconnection: close\r\n\r\n%b"
            % (status, reason, len(body), request_id.encode(), request_id.encode(), body)
        )
        self.requests.clear()
        self.setRawMode()  # nothing that follows is a line of a head
        self._lingering = True
        self._linger_timer = self.callLater(_LINGER_S, self._lingered)

    def _head_done(self) -> None:
        timer, self._head_timer = self._head_timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > _LINGER_BYTES and self._linger_timer is not None:
            self._linger_timer.cancel()
            self._lingered()

    def _lingered(self) -> None:
        self._linger_timer = None
        self.loseConnection()

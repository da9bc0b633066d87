"""Which habits of a client's connection are borne, and how it ends; the same over either parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ccrelay.errors import Malformed, Stalled
from ccrelay.web.incoming import too_slow
from ccrelay.wire.error_json import envelope

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall

HEAD_S: Final = 20.0
"""Seconds for the head of a request to arrive, however its bytes are spread."""
IDLE_S: Final = 120.0
"""Seconds that a connection may be silent, between requests or within one."""
LONGEST_HEAD: Final = 64 * 1024
"""Bytes; lists of betas and conversation headers grow."""
_ABORT_S: Final = 15.0
_LINGER_S: Final = 2.0
_LINGER_BYTES: Final = 8 * 1024 * 1024
"""How much more is read and dropped after an early answer, so that the client reads it, not a reset."""
_NOT_HTTP: Final = (
    "This is not a valid HTTP/1.1 request: check its request line, header fields and body framing."
)


class Habits:
    """What a client's connection has beside its parser: limits of time, refusals, and a decent end."""

    site: Any
    transport: Any
    requests: list[Any]
    callLater: Callable[..., IDelayedCall]
    loseConnection: Callable[[], None]
    tell: Callable[[bytes], None]

    lingering = False
    _head_timer: IDelayedCall | None = None
    _linger_timer: IDelayedCall | None = None
    _abort_timer: IDelayedCall | None = None
    _dropped = 0

    def head_began(self) -> None:
        """The first byte of a head has come, and its end has not."""
        if self._head_timer is None:
            self._head_timer = self.callLater(HEAD_S, self._slow_head)

    @property
    def is_idle(self) -> bool:
        """Whether no request is there, nor the beginning of one."""
        return not self.requests and self._head_timer is None

    def head_done(self) -> None:
        """The head is complete."""
        timer, self._head_timer = self._head_timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def refuse_head(self) -> None:
        """Answer what is no request, and close."""
        self._refuse(400, b"Bad Request", "invalid_request_error", _NOT_HTTP)

    def refuse_body(self, request: Any) -> None:  # noqa: ANN401  either request
        """Let a request that was handed over answer for its body, which is none."""
        request.body.broken(Malformed(_NOT_HTTP))

    def linger(self) -> None:
        """Drop what comes for a while, then close: who is still sending would not read an answer."""
        self.lingering = True
        self._linger_timer = self.callLater(_LINGER_S, self._lingered)

    def drop(self, size: int) -> None:
        """Bytes have come that nobody wants."""
        self._dropped += size
        if self._dropped > _LINGER_BYTES and self._linger_timer is not None:
            self._linger_timer.cancel()
            self._lingered()

    def idle(self) -> None:
        """Nothing has moved for long: give up a body that has stopped, or close."""
        body = self.requests[0].body if self.requests else None
        if body is not None and not body.over:
            stuck = Stalled(f"it took nothing of the body for {IDLE_S:g} s")
            body.broken(stuck if body.paused else too_slow())
            return
        self._abort_timer = self.callLater(_ABORT_S, self._cut)
        self.loseConnection()

    def gone(self) -> None:
        """The connection is lost."""
        self.site.left(self)
        for timer in (self._head_timer, self._linger_timer, self._abort_timer):
            if timer is not None and timer.active():
                timer.cancel()

    def _cut(self) -> None:
        """Cut a connection that did not close when asked to."""
        self._abort_timer = None
        self.transport.abortConnection()

    def _slow_head(self) -> None:
        self._head_timer = None
        self._refuse(408, b"Request Timeout", "timeout_error", "The request's head arrives too slowly.")

    def _refuse(self, status: int, reason: bytes, kind: str, message: str) -> None:
        self.head_done()
        request_id = self.site.refused(status, message)
        body = envelope(kind, message, request_id)
        self.tell(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"x-ccrelay-request-id: %b\r\nrequest-id: %b\r\nconnection: close\r\n\r\n%b"
            % (status, reason, len(body), request_id.encode(), request_id.encode(), body)
        )
        self.linger()

    def _lingered(self) -> None:
        self._linger_timer = None
        self.loseConnection()

"""An answer whose head has come, and whose body comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocol

    from ccrelay.wire.http import Pairs


WHOLE: Final = Failure(ResponseDone())
"""The end of a body that came as its framing promised."""
_TAKEN: Final = object()


class IHeld(Protocol):
    """The connection that an answer comes on."""

    transport: Any

    def abort(self) -> None:
        """Close it now."""


@implementer(IResponse, IPushProducer)
class Response:
    """
    An answer whose head has come.

    It is the transport of the protocol that its body is delivered to: what
    pauses, resumes and aborts it.

    @ivar fields: names in lower case, without those of the connection itself.
    @ivar length: bytes of the body, or C{UNKNOWN_LENGTH}.
    """

    previousResponse: Any = None  # noqa: N815  Twisted's
    request: Any = None
    version = (b"HTTP", 1, 1)
    disconnecting = False

    def __init__(self, connection: IHeld, code: int, fields: Pairs, length: int | None) -> None:
        self.code = code
        self.fields = fields
        self.length: Any = UNKNOWN_LENGTH if length is None else length
        self._connection: IHeld | None = connection
        self._receiver: Any = None
        self._early: list[bytes] = []
        self._end: Failure | None = None
        self._held = False

    @property
    def phrase(self) -> bytes:
        """The reason phrase, which nobody needs (RFC 9112, 4)."""
        return b""

    @property
    def headers(self) -> Headers:
        """The fields as Twisted has them, made anew with each access."""
        made = Headers()
        for name, value in self.fields:
            made.addRawHeader(name, value)
        return made

    def setPreviousResponse(self, previous: IResponse) -> None:  # noqa: N802  Twisted's
        """Part of Twisted's interface, for those who follow redirects."""
        self.previousResponse = previous

    def deliverBody(self, protocol: IProtocol) -> None:  # noqa: N802  Twisted's
        """Hand the body over, what has come of it and what comes."""
        if self._receiver is not None:
            msg = "the body of an answer is delivered once"
            raise RuntimeError(msg)
        self._receiver = protocol
        protocol.makeConnection(self)  # type: ignore[arg-type]
        early, self._early = self._early, []
        for data in early:
            protocol.dataReceived(data)
        if self._end is not None:
            protocol.connectionLost(self._end)
        elif self._held:
            self.resumeProducing()

    def taken(self) -> bytes | None:
        """
        Return the body if all of it has come as was promised and nobody has it yet, else None.

        Who takes it so needs no protocol and no Deferred: 5 % of a small request.
        """
        if self._end is not WHOLE or self._receiver is not None:
            return None
        early, self._early = self._early, []
        self._receiver = _TAKEN
        return early[0] if len(early) == 1 else b"".join(early)

    def hold(self) -> None:
        """Read no more until the body is delivered: nobody takes it yet."""
        self._held = True
        if self._connection is not None:
            self._connection.transport.pauseProducing()

    def take(self, data: bytes) -> None:
        """The next bytes of the body have come."""
        if self._receiver is not None:
            self._receiver.dataReceived(data)
        else:
            self._early.append(data)

    def end(self, reason: Failure) -> None:
        """The body is over, for this reason; the connection is no longer this answer's."""
        self._connection = None
        self._end = reason
        if self._receiver is not None:
            self._receiver.connectionLost(reason)

    @property
    def wanted(self) -> bool:
        """Whether somebody takes the body."""
        return self._receiver is not None

    def pauseProducing(self) -> None:
        """Read no more of it for now."""
        self._held = False
        if self._connection is not None:
            self._connection.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self._held = False
        if self._connection is not None:
            self._connection.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Hang up."""
        self.abortConnection()

    def loseConnection(self) -> None:
        """Hang up: there is nothing left to be sent."""
        self.abortConnection()

    def abortConnection(self) -> None:
        """Hang up at once."""
        if self._connection is not None:
            self._connection.abort()

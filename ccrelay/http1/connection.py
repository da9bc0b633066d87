"""One connection to a server: a request goes out on it, and llhttp parses what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web._newclient import ParseError, RequestTransmissionFailed
from twisted.web.client import ResponseFailed, ResponseNeverReceived
from twisted.web.http import NO_BODY_CODES, PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH
from zope.interface import implementer

from ccrelay.http1.heads import tokens
from ccrelay.http1.outbox import Sender
from ccrelay.http1.outgoing import Large, Outgoing
from ccrelay.http1.response import WHOLE, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.iweb import IBodyProducer

    from ccrelay.http1.outbox import Outbox

_LONGEST_HEAD: Final = 256 * 1024
_CUT_OFF: Final = Failure(PotentialDataLoss())
_LARGE: Final = 4 * 1024 * 1024
_INFORMATIONAL: Final = range(100, 200)
_OF_THE_CONNECTION: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
        b"transfer-encoding", b"upgrade", b"proxy-connection",
    }
)  # fmt: skip


@implementer(IHandshakeListener)
class Connection(Sender, Protocol):
    """
    A connection that carries one request at a time.

    llhttp's callbacks only note what they find; it is acted on once the
    bytes of one turn of the reactor are parsed, so the chunks that came
    together are handed on together.

    @ivar alive: whether it may be used for another request.
    """

    transport: Any

    def __init__(
        self, idle: Callable[[Connection], None], lost: Callable[[Connection], None], outbox: Outbox
    ) -> None:
        """
        @param idle: called when an answer is complete and the connection may be kept.
        @param lost: called when it is closed.
        """
        super().__init__()
        self.outbox = outbox
        self._on_idle = idle
        self._on_lost = lost
        self.alive = True
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._fields: list[tuple[bytes, bytes]] = []
        self._parser: Any = HttpResponseParser(self)
        self._handshake: Deferred[Any] | None = None
        self._waiting: Deferred[Response] | None = None
        self._again: Callable[[], Deferred[Response]] | None = None
        self._second: Deferred[Any] | None = None
        self._sending: Deferred[None] | None = None
        self._response: Response | None = None
        self._method = b""
        self._head_size = 0
        self._bounded = self._complete = self._persistent = False

    def connectionMade(self) -> None:
        """Send what is written at once, however little it is."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def secured(self) -> Deferred[Any]:
        """Return a Deferred of this connection, once it is fit for a request."""
        if not ISSLTransport.providedBy(self.transport):
            return succeed(self)
        self._handshake = Deferred(lambda _: self.transport.abortConnection())
        return self._handshake

    def handshakeCompleted(self) -> None:
        """Twisted calls this when the peer has proved who it is."""
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.callback(self)

    def ask(
        self,
        method: bytes,
        head: bytes,
        body: bytes | IBodyProducer | None,
        again: Callable[[], Deferred[Response]] | None = None,
    ) -> Deferred[Response]:
        """
        Send a request.

        @param head: all of it; C{body}: bytes, or what produces them.
        @param again: asks once more, if the server has left before one byte of its answer.
        @return: the answer, once its head has come; cancelling hangs up.
        """
        self._method = method
        self._again = again
        waiting = self._waiting = Deferred(self._given_up)
        if body is None:
            self.send(head)
        elif not isinstance(body, bytes):
            self.send(head)
            self.flush()
            self._produce(body)
        elif len(body) < _LARGE:
            self.send(head, body)
        else:
            self.send(head)
            self.flush()
            self._sending = Large(self.transport, body).begin()
            self._sending.addCallbacks(self._sent, lambda _: None)
        return waiting

    def _sent(self, _result: None) -> None:
        self._sending = None

    def _produce(self, body: IBodyProducer) -> None:
        length = None if body.length is UNKNOWN_LENGTH else body.length
        outgoing = Outgoing(self.transport, length)
        self.transport.registerProducer(body, True)  # noqa: FBT003  Twisted's
        self._sending = body.startProducing(outgoing)

        def sent(_result: object) -> None:
            self._sending = None
            self.transport.unregisterProducer()
            outgoing.finish()

        def broke_off(failure: Failure) -> None:
            self._sending = None
            self.transport.unregisterProducer()
            self.abort()
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                waiting.errback(RequestTransmissionFailed([failure]))

        self._sending.addCallback(sent).addErrback(broke_off)

    def dataReceived(self, data: bytes) -> None:  # noqa: PLR0912  each thing that may have come, in its order
        """Parse what came, then act on it."""
        if self._waiting is None and self._response is None:
            self.abort()  # nobody has asked for it
            return
        self._again = None
        problem: Exception | None = None
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            problem = ParseError("the server changes the protocol", data[:100])
        except HttpParserError as error:
            problem = ParseError(str(error), data[:100])
        response = self._response
        if response is None:
            self._head_size += len(data)
            if self._head_size > _LONGEST_HEAD:
                problem = ParseError("the head of the answer is too long", data[:100])
            if problem is not None:
                self._fail(Failure(problem))
            return
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not self._complete:
            waiting.callback(response)
            waiting = None
        if self._pieces:
            pieces = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            try:
                response.take(pieces)
            except Exception as error:  # noqa: BLE001  such as gzip that is none
                problem, self._complete = error, False
        if self._complete:
            self._finish(response)
            if waiting is not None:
                waiting.callback(response)  # which finds all of it there
        elif problem is not None:
            self._fail(Failure(problem))
        elif not response.wanted:
            response.hold()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what llhttp has found: a field of a head, or of a trailer."""
        if self._response is None:
            self._fields.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Note what llhttp has found: the end of a head."""
        code = self._parser.get_status_code()
        fields, self._fields = self._fields, []
        if code in _INFORMATIONAL:
            return
        self._head_size = 0
        length = None
        kept = []
        for pair in fields:
            name = pair[0]
            if name == b"content-length":
                length = int(pair[1])
            elif name not in _OF_THE_CONNECTION:
                kept.append(pair)
        self._persistent = self._parser.should_keep_alive()
        chunked = tokens(fields, b"transfer-encoding")[-1:] == [b"chunked"]
        bodiless = self._method == b"HEAD" or code in NO_BODY_CODES
        self._bounded = chunked or bodiless or length is not None
        if bodiless and (chunked or length):
            # llhttp waits for a body that never comes, where HEAD was asked.
            self._persistent, self._complete = False, True
        self._response = Response(self, code, tuple(kept), None if chunked else length)

    def on_message_complete(self) -> None:
        """Note what llhttp has found: the end of an answer; of one that only informs another follows."""
        if self._response is not None:
            self._complete = True

    def _finish(self, response: Response) -> None:
        """The answer is whole: let go of it, and keep the connection if both sides want to."""
        self._response = None
        self._complete = False
        if self._persistent and self._sending is None and self.alive:
            response.resumeProducing()
            self._on_idle(self)
        else:
            self.abort()
        response.end(WHOLE)

    def abort(self) -> None:
        """Close the connection now; what has not been sent is not wanted."""
        self.alive = False
        self.forget()
        if self.transport is not None:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell whoever waits."""
        self.alive = False
        self._on_lost(self)
        self._parser = None
        handshake, self._handshake = self._handshake, None
        if handshake is not None and not handshake.called:
            handshake.errback(reason)
        self._fail(reason)

    def _fail(self, reason: Failure) -> None:
        """Whatever was going on has come to a bad end."""
        again, self._again = self._again, None
        waiting, self._waiting = self._waiting, None
        response, self._response = self._response, None
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
        if waiting is not None:
            if again is not None and reason.check(ConnectionDone, ConnectionLost):
                self._second = again().addCallbacks(waiting.callback, waiting.errback)
            elif self._head_size or reason.check(ParseError):
                waiting.errback(ResponseFailed([reason]))
            else:
                waiting.errback(ResponseNeverReceived([reason]))
        if response is not None:
            response.end(_CUT_OFF if not self._bounded and reason.check(ConnectionDone) else reason)
        self.abort()

    def _given_up(self, _waiting: Deferred[Response]) -> None:
        self._waiting = self._again = None
        self.abort()
        if self._second is not None:
            self._second.cancel()

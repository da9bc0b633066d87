"""A network without sockets: Twisted's own TCP transports, joined in memory and moved by a L{Clock}."""

from __future__ import annotations

import errno
import json
import re
from collections import deque
from dataclasses import dataclass, field, replace
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any, Final

from twisted.internet import error, tcp
from twisted.internet.address import IPv4Address
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python import log
from twisted.python.failure import Failure
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IProtocolFactory
    from twisted.internet.task import Clock
    from twisted.web.client import URI

KERNEL: Final = 128 * 1024  # bytes that one direction holds between send() and recv()
RESTLESS: Final = 100_000  # calls at one instant after which nothing is going to settle
GRACE: Final = 1e-9  # seconds: ten times 0.1 is not 1.0, and a timer of 1 s is due all the same


class Socket:
    """
    One end of a stream, as a kernel keeps it: only what L{tcp.Connection} asks of a C{socket.socket}.

    What travels is C{bytes}: an empty piece is a FIN, and None a RST.  As on Linux, what had arrived before
    either can still be read, and whoever writes to an end that is closed gets a RST.

    @ivar other: the other end.
    @ivar held: the bytes that were sent to this end and are not read yet.
    """

    other: Socket

    def __init__(self, network: Network) -> None:
        self.held = 0
        self._network = network
        self._coming: deque[bytes | None] = deque()
        self._inbox = bytearray()
        self._options: dict[tuple[int, int], Any] = {}
        self._ended = self._broken = self._shut = self._closed = False

    @property
    def readable(self) -> bool:
        """Whether L{recv} has something to say: bytes, the end, or an error."""
        return bool(self._inbox) or self._ended or self._broken

    @property
    def writable(self) -> bool:
        """Whether L{send} has something to do: to take bytes, or to raise an error."""
        return self._broken or self.other.held < KERNEL

    def send(self, data: bytes | memoryview) -> int:
        if self._broken or self._shut:
            raise OSError(errno.EPIPE, "nobody reads this any more")
        piece = bytes(data[: max(0, KERNEL - self.other.held)])
        if piece:
            self._post(piece)
        elif data:
            raise OSError(errno.EWOULDBLOCK, "no room")
        return len(piece)

    def sendmsg(self, pieces: Iterable[bytes]) -> int:
        return self.send(b"".join(pieces))

    def recv(self, size: int) -> bytes:
        if not self._inbox and not self._ended:
            raise OSError(errno.ECONNRESET if self._broken else errno.EWOULDBLOCK, "nothing to read")
        data = bytes(self._inbox[:size])
        del self._inbox[:size]
        self.held -= len(data)
        return data

    def shutdown(self, _how: int) -> None:
        """Send a FIN; L{tcp.Connection} never shuts the reading half alone, and a second one says no more."""
        self._shut = True
        self._post(b"")

    def close(self) -> None:
        """Send what ends the stream: a RST if bytes are lost by it or if it lingers not, else a FIN."""
        self._closed = True
        if (SOL_SOCKET, SO_LINGER) in self._options:
            self._post(None)
            return
        self.shutdown(2)
        if self._inbox:
            self._post(None)

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int) -> Any:
        return self._options.get((level, option), 0)

    def setblocking(self, _flag: bool) -> None:
        """Do nothing: memory never blocks."""

    def fileno(self) -> int:
        return -1  # as every closed file; only a reactor that has files would ask

    def _post(self, piece: bytes | None) -> None:
        self.other.held += len(piece or b"")
        self.other._coming.append(piece)
        self._network.clock.callLater(self._network.latency, self.other._land)

    def _land(self) -> None:
        piece = self._coming.popleft()
        if piece is None:
            self._broken = True
        elif not piece:
            self._ended = True
        elif self._closed:
            self._post(None)
        else:
            self._inbox += piece
        self._network.poll.wake()


class Transport(tcp.Connection):
    """
    Twisted's TCP transport on a L{Socket}.

    @ivar end: its end of the stream, also when the connection is gone.
    @ivar peak: the most bytes that ever were L{waiting}.
    """

    def __init__(self, network: Network, protocol: IProtocol, host: IAddress, peer: IAddress) -> None:
        self.end = Socket(network)
        super().__init__(self.end, protocol, network.poll)  # type: ignore[arg-type]
        self._addresses = host, peer
        self.peak = 0
        self.connected = 1
        self.startReading()

    @property
    def waiting(self) -> int:
        """How many bytes were written and are not with the kernel yet."""
        return 0 if self.disconnected else len(self.dataBuffer) - self.offset + self._tempDataLen

    def write(self, data: bytes) -> None:
        super().write(data)
        self.peak = max(self.peak, self.waiting)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        super().writeSequence(iovec)
        self.peak = max(self.peak, self.waiting)

    def getHost(self) -> Any:
        return self._addresses[0]

    def getPeer(self) -> Any:
        return self._addresses[1]


class Poll:
    """
    What a reactor does for its descriptors: remembers who wants to read or to write, and calls whoever can.

    It does what C{twisted.internet.epollreactor} does, so a transport that neither reads nor writes notices
    nothing, not even that its peer has gone.
    """

    def __init__(self, clock: Clock) -> None:
        self.callLater = clock.callLater
        self._readers: dict[Transport, None] = {}
        self._writers: dict[Transport, None] = {}
        self._woken = False

    def addReader(self, reader: Transport) -> None:
        self._readers[reader] = None
        self.wake()

    def addWriter(self, writer: Transport) -> None:
        self._writers[writer] = None
        self.wake()

    def removeReader(self, reader: Transport) -> None:
        self._readers.pop(reader, None)

    def removeWriter(self, writer: Transport) -> None:
        self._writers.pop(writer, None)

    def wake(self) -> None:
        """Look round, once, as soon as the clock runs on."""
        if not self._woken:
            self._woken = True
            self.callLater(0, self._look)

    def _look(self) -> None:
        self._woken = False
        for transport in {**self._readers, **self._writers}:
            if transport in self._readers and transport.end.readable:
                self._serve(transport, transport.doRead, reading=True)
            if transport in self._writers and transport.end.writable:
                self._serve(transport, transport.doWrite, reading=False)

    def _serve(self, transport: Transport, turn: Callable[[], Any], *, reading: bool) -> None:
        self.wake()
        try:
            why = turn()
        except Exception as problem:  # noqa: BLE001 - a reactor outlives the mistakes of its protocols
            log.err()
            why = problem
        if why is None:
            return
        self.removeReader(transport)
        if reading and isinstance(why, error.ConnectionDone):
            transport.readConnectionLost(Failure(why))
        else:
            transport.connectionLost(Failure(why))


@dataclass(frozen=True, slots=True)
class Connection:
    """A pair of transports, and the name of the listener that it was made to."""

    name: str
    client: Transport
    server: Transport

    @property
    def live(self) -> bool:
        """Whether an end of it is still open."""
        return not (self.client.disconnected and self.server.disconnected)


@implementer(IListeningPort)
@dataclass(frozen=True, slots=True)
class Port:
    """A listener: the connections to its name get their protocols from its factory."""

    network: Network
    name: str
    factory: IProtocolFactory
    address: IAddress

    def startListening(self) -> None:
        self.network.ports[self.name] = self
        self.factory.doStart()

    def stopListening(self) -> Deferred[None]:
        """Refuse new connections, and leave those that are there."""
        if self.network.ports.pop(self.name, None) is not None:
            self.factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        return self.address


@implementer(IStreamClientEndpoint)
@dataclass(frozen=True, slots=True)
class Endpoint:
    """A way to a name on the network, from the address C{source}."""

    network: Network
    name: str
    source: IAddress

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See L{IStreamClientEndpoint.connect}: it takes the network's latency, once."""

        def give_up(waiting: Deferred[IProtocol]) -> None:
            if call.active():
                call.cancel()
            waiting.errback(error.ConnectingCancelledError(IPv4Address("TCP", self.name, 0)))

        waiting: Deferred[IProtocol] = Deferred(give_up)
        call: IDelayedCall = self.network.clock.callLater(
            self.network.latency, self.network.join, self, protocolFactory, waiting
        )
        return waiting


@implementer(IAgentEndpointFactory)
class Network:
    """
    Listeners by name, and the connections to them.

    It is an C{IAgentEndpointFactory} too: C{Agent.usingEndpointFactory(clock, network)} reaches the listener
    that has the name of a URL's host, without TLS whatever its scheme is.

    @ivar latency: the seconds that a piece, or the making of a connection, takes to get across.
    @ivar ports: the listeners by their names.
    """

    def __init__(self, clock: Clock, latency: float = 0.0) -> None:
        self.clock = clock
        self.latency = latency
        self.poll = Poll(clock)
        self.ports: dict[str, Port] = {}
        self._obstacles: dict[str, type[Exception] | None] = {}
        self._made: list[Connection] = []
        self._callers = 0

    def listen(self, name: str, factory: IProtocolFactory, address: IAddress | None = None) -> Port:
        """
        Let C{factory} answer for C{name}, at C{address} (a TCP address unless it is given).

        As on a real port, the factory is started; a C{Site} has a timer from then to C{stopListening}.
        """
        port = Port(self, name, factory, address or IPv4Address("TCP", "127.0.0.1", 8000 + len(self.ports)))
        port.startListening()
        return port

    def refuse(self, name: str) -> None:
        """From now on fail every attempt to connect to C{name} with C{ConnectionRefusedError}."""
        self._obstacles[name] = error.ConnectionRefusedError

    def unresolvable(self, name: str) -> None:
        """From now on fail every attempt to connect to C{name} with C{DNSLookupError}."""
        self._obstacles[name] = error.DNSLookupError

    def blackhole(self, name: str) -> None:
        """From now on let every attempt to connect to C{name} hang until it is cancelled."""
        self._obstacles[name] = None

    def restore(self, name: str) -> None:
        """Take back L{refuse}, L{unresolvable} and L{blackhole}."""
        self._obstacles.pop(name, None)

    def endpoint(self, name: str, source: IAddress | None = None) -> Endpoint:
        """Return a way to C{name}; each has a TCP address of its own unless C{source} is given."""
        self._callers += 1
        return Endpoint(self, name, source or IPv4Address("TCP", "127.0.0.1", 49151 + self._callers))

    def endpointForURI(self, uri: URI) -> Endpoint:
        return self.endpoint(uri.host.decode("ascii"))

    def connect(self, name: str, source: IAddress | None = None) -> Peer:
        """Return a raw client of C{name}: connected once the clock has run on, or closed if that failed."""
        peer = Peer(self.clock)
        self.endpoint(name, source).connect(Factory.forProtocol(lambda: peer)).addErrback(peer.connectionLost)
        return peer

    @property
    def connections(self) -> list[Connection]:
        """The connections of which at least one end is open."""
        self._made = [made for made in self._made if made.live]
        return list(self._made)

    def join(self, way: Endpoint, factory: IProtocolFactory, waiting: Deferred[IProtocol]) -> None:
        """Answer one attempt to connect: C{waiting} gets the client's protocol, a failure, or nothing."""
        if way.name in self._obstacles:
            obstacle = self._obstacles[way.name]
            if obstacle is not None:
                waiting.errback(Failure(obstacle()))
            return
        port = self.ports.get(way.name)
        if port is None:
            waiting.errback(Failure(error.ConnectionRefusedError()))
            return
        outside = factory.buildProtocol(port.address)
        if outside is None:
            waiting.errback(Failure(error.NoProtocol()))
            return
        inside = port.factory.buildProtocol(way.source)
        server = Transport(self, inside or Protocol(), port.address, way.source)
        client = Transport(self, outside, way.source, port.address)
        server.end.other, client.end.other = client.end, server.end
        self._made.append(Connection(way.name, client, server))
        if inside is None:
            server.loseConnection()
        else:
            inside.makeConnection(server)
        outside.makeConnection(client)
        waiting.callback(outside)

    def go(self, seconds: float = 0.0) -> None:
        """
        Let C{seconds} pass: run each call that is or comes due, at its own time, until none is left.

        @raise AssertionError: there is no end of calls at one instant.
        """
        clock = self.clock
        now = clock.seconds()
        until = now + seconds
        count = 0
        while clock.calls:
            call = min(clock.calls, key=DelayedCall.getTime)
            if call.getTime() > until + GRACE:
                break
            clock.rightNow = max(now, call.getTime())
            count = count + 1 if clock.seconds() == now else 1
            now = clock.seconds()
            if count > RESTLESS:
                msg = f"{RESTLESS} calls at {now} s and no end of them; the next one is {call}"
                raise AssertionError(msg)
            clock.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)
        clock.rightNow = max(now, until)


class Peer(Protocol):
    """
    A client that is made of bytes: it says what a test has it say, and remembers what it heard, and when.

    @ivar arrivals: every piece that arrived, with the clock's time.
    @ivar reason: why the connection is gone, or was never made; None while it is there.
    """

    transport: Transport

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._early: list[bytes] = []
        self.arrivals: list[tuple[float, bytes]] = []
        self.reason: Failure | None = None

    @property
    def received(self) -> bytes:
        """Everything that has arrived."""
        return b"".join(piece for _, piece in self.arrivals)

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, or could not be made."""
        return self.reason is not None

    def send(self, data: bytes) -> None:
        """Write C{data}, as soon as there is a connection."""
        if self.connected:
            self.transport.write(data)
        else:
            self._early.append(data)

    def pause(self) -> None:
        """Stop reading; what the server goes on sending piles up on its side."""
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        self.transport.resumeProducing()

    def hang_up(self) -> None:
        """Close the connection when all is sent: the server sees a FIN."""
        self.transport.loseConnection()

    def reset(self) -> None:
        """Abort the connection: the server sees a RST."""
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        self.transport.writeSequence(self._early)

    def dataReceived(self, data: bytes) -> None:
        self.arrivals.append((self._clock.seconds(), data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason


def http_request(method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    """Return an HTTP/1.1 request; it has C{Host} and, if there is a body, its length unless C{headers} do."""
    pairs = list(headers)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("Host", "relay.test"))
    if body and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


@dataclass(frozen=True, slots=True)
class Answer:
    """
    As much of an HTTP/1.1 response as there is.

    @ivar status: its status; 0 while its head is not complete.
    @ivar headers: its headers by their lower-case names; those of one name are joined by C{", "}.
    @ivar pairs: its headers as they came.
    @ivar body: the bytes of its body that are there, without the framing of chunks.
    @ivar complete: whether that is all of it.
    @ivar chunks: its complete chunks, if it has that framing.
    @ivar rest: what follows it: the next response of the connection.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pairs: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    complete: bool = False
    chunks: tuple[bytes, ...] = ()
    rest: bytes = b""


def parse(received: bytes, *, closed: bool = False, head: bool = False) -> Answer:
    """
    Read the first response in C{received}, interim ones (1xx) left out, as far as it goes (RFC 9112, 6.3).

    @param closed: whether the connection has ended, which is the end of a body of no declared length.
    @param head: whether HEAD was asked, so that there is no body whatever the headers say.
    @raise ValueError: that is no HTTP.
    """
    top, found, rest = received.partition(b"\r\n\r\n")
    if not found:
        return Answer()
    first, *lines = top.decode("latin-1").split("\r\n")
    status = int(first.removeprefix("HTTP/1.1 ")[:3])
    if status < 200:
        return parse(rest, closed=closed, head=head)
    pairs = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    answer = Answer(status, headers, pairs)
    if head or status in {204, 304}:
        return replace(answer, complete=True, rest=rest)
    if "chunked" in headers.get("transfer-encoding", ""):
        return _dechunked(answer, rest)
    if "content-length" not in headers:
        return replace(answer, body=rest, complete=closed)
    length = int(headers["content-length"])
    return replace(answer, body=rest[:length], complete=len(rest) >= length, rest=rest[length:])


def _dechunked(answer: Answer, framed: bytes) -> Answer:
    chunks: list[bytes] = []
    at = 0
    while (end := framed.find(b"\r\n", at)) >= 0:
        size = int(framed[at:end].partition(b";")[0], 16)
        if size == 0:
            last = framed.find(b"\r\n\r\n", end)
            done = last >= 0
            return replace(
                answer,
                body=b"".join(chunks),
                complete=done,
                chunks=tuple(chunks),
                rest=framed[last + 4 :] if done else b"",
            )
        at = end + 2 + size + 2
        piece, mark = framed[end + 2 : at - 2], framed[at - 2 : at]
        if not b"\r\n".startswith(mark):
            msg = f"no line ends the chunk {piece[:40]!r}"
            raise ValueError(msg)
        if len(mark) < 2:
            return replace(answer, body=b"".join([*chunks, piece]), chunks=tuple(chunks))
        chunks.append(piece)
    return replace(answer, body=b"".join(chunks), chunks=tuple(chunks))


def sse(body: bytes) -> list[tuple[str, Any]]:
    """
    Return the complete server-sent events in C{body}: each one's name and its data, which must be JSON.

    The lines are those of https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6: an event
    ends with an empty line, one without a name is a C{"message"}, one without data is none.

    @raise ValueError: some data is no JSON.
    """
    events: list[tuple[str, Any]] = []
    name, data = "", []
    for line in re.split(rb"\r\n|\n|\r", body)[:-1]:
        key, _, value = line.decode("utf-8").partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "data":
            data.append(value)
        elif not line:
            if data:
                events.append((name or "message", json.loads("\n".join(data))))
            name, data = "", []
    return events

"""The way from an L{UpstreamClient} to a provider that is played by a script, all of it in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Act, Plays
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from ccrelay.simulator.steps import Chunk, End, Head
from ccrelay.upstream.agent import client_over
from ccrelay.upstream.client import UpstreamResponse
from ccrelay.wire.http import UpstreamRequest
from tests import HTTP
from tests.network import Network, Transport

CONNECT_S = 10.0
FIRST_BYTE_S = 120.0
ASK = UpstreamRequest("POST", "http://upstream/v1/messages?beta=true", (), b'{"model":"m"}')


def answers(*pieces: bytes, status: int = 200, headers: Any = (), length: int | None = None) -> Act:
    """Return an answer of these pieces."""
    return Plays((Head(status, headers, length), *map(Chunk, pieces), End()))


class Host(Protocol):
    """A server's end of a connection, which says only what a test has it say."""

    transport: Transport

    def __init__(self, *, deaf: bool = False) -> None:
        """@param deaf: whether it reads nothing until it is told to."""
        self.heard = b""
        self.lost: Failure | None = None
        self.deaf = deaf

    def connectionMade(self) -> None:
        if self.deaf:
            self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class Told:
    """A receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ends: list[Any] = []

    def received(self, data: bytes) -> None:
        self.pieces.append(data)

    def ended(self, error: Any) -> None:
        self.ends.append(error)


class Lane:
    """
    A client, and the network to its provider.

    At the end of the test everything the test has not ended itself is cancelled, and then nothing may be
    left: no slot taken, no connection, no timer.
    """

    def __init__(self, test: SynchronousTestCase, *acts: Act, limit: int = 4, patience: float = 10.0) -> None:
        """@param acts: of the simulator that listens as C{upstream}."""
        self.test = test
        self.clock = Clock()
        self.clock.advance(1000)
        self.network = Network(self.clock)
        self.simulator = Simulator(self.clock, script=Script(acts))
        self.network.listen("upstream", self.simulator.site)
        self.client = client_over(HTTP, self.clock, self.network, limit, CONNECT_S, patience)
        self.sent: list[Deferred[UpstreamResponse]] = []
        test.addCleanup(self._end)

    def hosts(self, name: str, *, deaf: bool = False) -> list[Host]:
        """Listen by another name; return the connections made to it, as they will come."""
        made: list[Host] = []

        def build() -> Host:
            made.append(Host(deaf=deaf))
            return made[-1]

        self.network.listen(name, Factory.forProtocol(build))
        return made

    def send(
        self, request: UpstreamRequest = ASK, within: float = FIRST_BYTE_S, body: Any = None
    ) -> Deferred[UpstreamResponse]:
        """Send a request, and let what is due at once happen."""
        sending = Deferred.fromCoroutine(self.client.send(request, within, body))
        self.sent.append(sending)
        self.network.go()
        return sending

    def answer(self, request: UpstreamRequest = ASK, **how: Any) -> UpstreamResponse:
        """Return the answer to a request, whose head must have come."""
        return self.test.successResultOf(self.send(request, **how))

    def ask(self, request: UpstreamRequest = ASK) -> bytes:
        """Return the whole body of the answer to a request."""
        reading = self.answer(request).whole()
        self.network.go()
        return self.test.successResultOf(reading)

    def failure(self, sending: Deferred[Any], *kinds: type[Exception]) -> Any:
        """Return the error that a request has failed with, whose slot must be free again."""
        return self.test.failureResultOf(sending, *kinds).value

    def go(self, seconds: float = 0) -> None:
        """Let time pass."""
        self.network.go(seconds)

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return self.client.limit - self.client.free

    @property
    def live(self) -> int:
        """How many connections there are."""
        return len(self.network.connections)

    def _end(self) -> None:
        for sending in self.sent:
            sending.addErrback(lambda _: None)
            sending.cancel()
        self.go()
        self.test.assertEqual(self.taken, 0, "slots are still taken")
        closing = self.client.close()
        self.go()
        self.test.assertTrue(closing.called)
        for port in list(self.network.ports.values()):
            port.stopListening()
        self.go(3)
        self.test.assertEqual(self.network.connections, [])
        self.test.assertEqual([call for call in self.clock.getDelayedCalls() if call.active()], [])

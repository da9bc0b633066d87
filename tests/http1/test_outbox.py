"""The rules of sending: at the end of a turn, in order, and nothing is forgotten."""

from __future__ import annotations

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.http1.outbox import Outbox, Sender
from tests.network import Network

MANY = 50


class Line(Sender, Protocol):
    """A connection that sends what a test has it send."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__()
        self.outbox = outbox


class Heard(Protocol):
    """The other end."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)


class OutboxTests(SynchronousTestCase):
    """What is written goes out when the turn is over."""

    def setUp(self) -> None:
        """Connect nobody yet."""
        self.clock = Clock()
        self.network = Network(self.clock)
        self.outbox = Outbox(lambda: 0.0)
        self.lines: list[Line] = []
        self.network.listen("relay", Factory.forProtocol(self.made))

    def made(self) -> Line:
        self.lines.append(Line(self.outbox))
        return self.lines[-1]

    def connected(self, number: int = 1) -> list[Heard]:
        """Return the other ends of so many lines."""
        made = []
        for _ in range(number):
            connecting = self.network.endpoint("relay").connect(Factory.forProtocol(Heard))
            self.network.go()
            made.append(self.successResultOf(connecting))
        return made

    def test_in_one_piece(self) -> None:
        """What is written in one turn arrives in one piece, in its order."""
        (heard,) = self.connected()
        for data in (b"one ", b"two ", b"three"):
            self.lines[0].send(data)
        self.assertEqual(heard.pieces, [])
        self.network.go()
        self.assertEqual(heard.pieces, [b"one two three"])

    def test_alone(self) -> None:
        """What is written long after the one before does not wait for the end of its turn."""
        times = iter((1.0, 1.001, 1.0011, 1.0012))
        self.outbox = Outbox(lambda: next(times))
        heard = self.connected(4)
        for number, line in enumerate(self.lines):
            line.send(b"for %d" % number, b"!")
        self.assertEqual([line.transport.waiting or len(line._unsent) for line in self.lines], [0, 0, 2, 2])
        self.network.go()
        self.assertEqual([b"".join(each.pieces) for each in heard], [b"for %d!" % n for n in range(4)])

    def test_many_connections(self) -> None:
        """However many connections are written to in a turn, each of them is sent to."""
        heard = self.connected(MANY)
        for number, line in enumerate(self.lines):
            line.send(b"for %d" % number)
            line.send(b"!")
        self.network.go()
        self.assertEqual([b"".join(each.pieces) for each in heard], [b"for %d!" % n for n in range(MANY)])

    def test_large_pieces(self) -> None:
        """Large pieces are sent one by one, and arrive in order."""
        (heard,) = self.connected()
        sent = [letter * 300_000 for letter in (b"a", b"b", b"c")]
        for data in sent:
            self.lines[0].send(data)
        self.network.go()
        self.assertEqual(b"".join(heard.pieces), b"".join(sent))

    def test_at_once(self) -> None:
        """Who flushes does not wait for the end of the turn; nothing goes twice."""
        (heard,) = self.connected()
        self.lines[0].send(b"one")
        self.lines[0].flush()
        self.lines[0].send(b"two")
        self.network.go()
        self.assertEqual(b"".join(heard.pieces), b"onetwo")

    def test_forgotten(self) -> None:
        """What waits for the end of a turn is not sent where the connection is cut."""
        (heard,) = self.connected()
        self.lines[0].send(b"one")
        self.lines[0].forget()
        self.network.go()
        self.assertEqual(heard.pieces, [])

"""The rules of the relay's own reactor: what Twisted's does, and turns that have an end."""

import select
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from ccrelay.http1.turns import at_end_of_turn
from ccrelay.service.reactor import PromptReactor


class Echo(Protocol):
    """Sends back what comes; chokes on a bang."""

    def dataReceived(self, data: bytes) -> None:
        if data == b"bang":
            msg = "a test wants this"
            raise ZeroDivisionError(msg)
        self.transport.write(data)


class Asking(Protocol):
    """Says something, and keeps what it hears."""

    def __init__(self, says: bytes, done: Any) -> None:
        self._says = says
        self._done = done
        self.heard = b""

    def connectionMade(self) -> None:
        self.transport.write(self._says)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self._done()

    def connectionLost(self, reason: Any = None) -> None:
        if not self.heard:
            self._done()


class ReactorTests(SynchronousTestCase):
    """Each test runs a reactor of its own, beside that of the tests."""

    def setUp(self) -> None:
        if not hasattr(select, "epoll"):
            msg = "there is no epoll here"
            raise SkipTest(msg)
        self.reactor: Any = PromptReactor()
        self.order: list[str] = []

    def run_it(self) -> None:
        """Run the reactor until it is stopped; one that sleeps through that is found by a timer."""

        def slept() -> None:
            self.order.append("it slept")
            if self.reactor.running:
                self.reactor.stop()

        guard = self.reactor.callLater(10, slept)
        self.reactor.run(installSignalHandlers=False)
        self.assertNotIn("it slept", self.order)
        guard.cancel()
        self.reactor.removeAll()

    def asking(self, *says: bytes) -> list[Asking]:
        """Return what has asked a server; the reactor has run until all had an answer, or were hung up on."""
        port = self.reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
        callers: list[Asking] = []
        left = list(says)

        def done() -> None:
            left.pop()
            if not left:
                self.reactor.stop()

        for words in says:
            caller = Asking(words, done)
            callers.append(caller)
            factory: Any = Factory.forProtocol(lambda caller=caller: caller)
            factory.noisy = False
            from twisted.internet.endpoints import TCP4ClientEndpoint  # noqa: PLC0415  for this reactor alone

            TCP4ClientEndpoint(self.reactor, "127.0.0.1", port.getHost().port).connect(factory)
        self.run_it()
        return callers

    def test_reads_and_writes(self) -> None:
        """Who is spoken to hears it, and what is answered arrives."""
        self.assertEqual([c.heard for c in self.asking(b"one", b"two", b"three")], [b"one", b"two", b"three"])

    def test_a_reader_that_fails(self) -> None:
        """A reader that raises loses its connection, and the others theirs not; the failure is logged."""
        self.assertEqual([c.heard for c in self.asking(b"bang", b"two")], [b"", b"two"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_end_of_turn(self) -> None:
        """What is to be called soon is called in order, once, and before anything is waited for."""
        soon = at_end_of_turn(self.reactor)

        def first() -> None:
            self.order.append("first")
            soon(last)

        def last() -> None:
            self.order.append("last")
            self.reactor.stop()

        def begin() -> None:
            soon(first)
            soon(lambda: self.order.append("second"))
            self.order.append("begun")

        self.reactor.callWhenRunning(begin)
        self.run_it()
        self.assertEqual(self.order, ["begun", "first", "second", "last"])

    def test_a_call_that_fails(self) -> None:
        """One that raises keeps nobody else from being called."""
        self.reactor.callWhenRunning(lambda: self.reactor.soon(lambda: int("")))
        self.reactor.callWhenRunning(lambda: self.reactor.soon(self.reactor.stop))
        self.run_it()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_timer_that_is_set(self) -> None:
        """A timer that is set at the end of a turn is not slept through."""
        self.reactor.callWhenRunning(
            lambda: self.reactor.soon(lambda: self.reactor.callLater(0.01, self.reactor.stop))
        )
        self.run_it()

    def test_another_reactor(self) -> None:
        """With a reactor that knows no ends of turns, a timer that is due at once does it."""
        calls: list[tuple[float, Any]] = []

        class Other:
            def callLater(self, delay: float, call: Any) -> None:
                calls.append((delay, call))

        at_end_of_turn(Other())(self.run_it)
        self.assertEqual(calls, [(0, self.run_it)])

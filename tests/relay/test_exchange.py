"""The account of a request: what is written into it, and that its end is told once, when it is known."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Draining, Malformed
from ccrelay.policy.client import Client
from ccrelay.policy.keys import Key
from ccrelay.policy.route import Route
from ccrelay.policy.verdict import Verdict
from ccrelay.relay.events import CLIENT_LEFT, AttemptEnded
from ccrelay.relay.exchange import Exchange
from ccrelay.wire.usage import Usage
from tests.stack import Told

ATTEMPT = AttemptEnded(
    "req_test", "a", "k", "m", Verdict.BUSY, 529, "req_a", "529 overloaded_error", 0.5, 1.5
)
SHUTDOWN = Draining("ccrelay is shutting down")


class ExchangeTests(SynchronousTestCase):
    """One account, and the observers who read it."""

    def setUp(self) -> None:
        """Open an account at second 100."""
        self.told = [Told(), Told()]
        self.exchange = Exchange("req_test", "POST", "/v1/messages", 100.0, self.told)

    def working(self) -> tuple[Deferred[None], Deferred[None]]:
        """Return some work on the request, and the waiting for it."""
        work: Deferred[None] = Deferred()
        return work, Deferred.fromCoroutine(self.exchange.working(work))

    def test_what_is_told(self) -> None:
        """Every observer is told all that was written into the account."""
        exchange = self.exchange
        exchange.client = Client("alice")
        exchange.session, exchange.model, exchange.stream = "s-1", "claude-x", True
        exchange.status, exchange.sent, exchange.first_byte = 200, 1234, 0.25
        exchange.usage = Usage(1, 2, 3, 4)
        exchange.quiet = True
        exchange.tried(ATTEMPT)
        exchange.end(107.5)
        for told in self.told:
            self.assertEqual(told.attempts, [ATTEMPT])
            (ended,) = told.requests
            self.assertEqual((ended.id, ended.method, ended.path), ("req_test", "POST", "/v1/messages"))
            self.assertEqual((ended.client, ended.session, ended.model), ("alice", "s-1", "claude-x"))
            self.assertEqual((ended.stream, ended.status, ended.sent), (True, 200, 1234))
            self.assertEqual((ended.usage, ended.first_byte, ended.duration), (Usage(1, 2, 3, 4), 0.25, 7.5))
            self.assertEqual((ended.attempts, ended.why, ended.quiet), ((ATTEMPT,), "complete", True))

    def test_attempts_are_told_as_they_end(self) -> None:
        """A failed attempt is no secret until the request ends."""
        self.exchange.tried(ATTEMPT)
        self.assertEqual((self.told[0].attempts, self.told[0].requests), ([ATTEMPT], []))

    def test_routes(self) -> None:
        """The account knows which route is being tried, and how many were."""
        routes = [Route("a", 1, Key("k"), "m"), Route("b", 1, Key("k"), "m")]
        for count, route in enumerate(routes, 1):
            self.exchange.trying(route)
            self.assertEqual((self.exchange.route, self.exchange.attempt), (route, count))

    def test_the_first_reason_stays(self) -> None:
        """What ended a request first is why it ended; what follows from that is not."""
        self.exchange.because("")
        self.exchange.because("upstream lost")
        self.exchange.because(CLIENT_LEFT)
        self.exchange.end(101.0)
        self.assertEqual(self.told[0].requests[0].why, "upstream lost")

    def test_told_once(self) -> None:
        """An end is told once, however often it comes."""
        self.exchange.end(101.0)
        self.exchange.end(102.0)
        _, waiting = self.working()
        self.exchange.end(103.0)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual([len(told.requests) for told in self.told], [1, 1])
        self.assertEqual(self.told[0].requests[0].duration, 1.0)

    def test_told_when_the_work_is_done(self) -> None:
        """A client may be gone before the work is: the end is told afterwards, with its own time."""
        work, waiting = self.working()
        self.exchange.because(CLIENT_LEFT)
        self.exchange.end(101.0)
        self.assertEqual(self.told[0].requests, [])
        self.exchange.tried(ATTEMPT)
        work.callback(None)
        self.successResultOf(waiting)
        (ended,) = self.told[0].requests
        self.assertEqual((ended.duration, ended.attempts, ended.why), (1.0, (ATTEMPT,), CLIENT_LEFT))

    def test_not_told_before_the_end(self) -> None:
        """Work that is done is not the end: the answer may still be on its way."""
        work, waiting = self.working()
        work.callback(None)
        self.successResultOf(waiting)
        self.assertEqual(self.told[0].requests, [])
        self.exchange.end(103.0)
        self.assertEqual(self.told[0].requests[0].duration, 3.0)

    def test_work_that_fails(self) -> None:
        """What fails fails for who waits for it, and the end is told all the same."""
        work, waiting = self.working()
        self.exchange.end(101.0)
        work.errback(Malformed("no JSON"))
        self.failureResultOf(waiting, Malformed)
        self.assertEqual(len(self.told[0].requests), 1)

    def test_interrupted(self) -> None:
        """Work that the relay ends fails with the relay's reason."""
        work, waiting = self.working()
        self.exchange.interrupt(SHUTDOWN)
        self.assertTrue(work.called)
        self.assertIs(self.failureResultOf(waiting, Draining).value, SHUTDOWN)
        self.assertIs(self.exchange.interrupted, SHUTDOWN)

    def test_cancelled(self) -> None:
        """Work that ends because the client left is cancelled, and that is all."""
        _, waiting = self.working()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertIsNone(self.exchange.interrupted)

    def test_work_that_answers_an_interruption(self) -> None:
        """Work may answer for itself, and then nothing fails."""
        work: Deferred[None] = Deferred()
        work.addErrback(lambda failure: failure.trap(CancelledError) and None)
        waiting = Deferred.fromCoroutine(self.exchange.working(work))
        self.exchange.interrupt(SHUTDOWN)
        self.assertIsNone(self.successResultOf(waiting))

    def test_nothing_to_interrupt(self) -> None:
        """Before the work and after it there is nothing to end."""
        self.exchange.interrupt(SHUTDOWN)
        self.assertIsNone(self.exchange.interrupted)
        work, waiting = self.working()
        work.callback(None)
        self.successResultOf(waiting)
        self.exchange.interrupt(SHUTDOWN)
        self.assertIsNone(self.exchange.interrupted)

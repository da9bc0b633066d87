"""The rules of connections of no use any more: idle ones close, the others end with their requests."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Says
from ccrelay.simulator.faults import Stalls
from ccrelay.wire.http import UpstreamRequest
from tests.upstream.lane import ASK, Lane, answers

FINE = answers(b"fine")


class RetireTests(SynchronousTestCase):
    """A client whose provider is not in the configuration any more."""

    def test_idle_ones(self) -> None:
        """Idle connections are closed at once."""
        lane = Lane(self, FINE)
        lane.ask()
        self.assertEqual(lane.live, 1)
        lane.client.retire()
        lane.go()
        self.assertEqual(lane.live, 0)

    def test_in_use(self) -> None:
        """A connection in use ends with its answer, of which nothing is lost."""
        lane = Lane(self, Says("x" * 100_000, pace=1, pieces=3))
        reading = lane.answer(UpstreamRequest("POST", ASK.url, (), b'{"model":"m","stream":true}')).whole()
        lane.client.retire()
        lane.go()
        self.assertEqual(lane.live, 1)
        lane.go(30)
        self.assertIn(b"message_stop", self.successResultOf(reading))
        self.assertEqual(lane.live, 0)

    def test_not_answered_yet(self) -> None:
        """So does one that waits for its answer."""
        lane = Lane(self, Stalls(before_head=True, seconds=5, act=FINE))
        sending = lane.send()
        lane.client.retire()
        lane.go(5)
        reading: Deferred[bytes] = self.successResultOf(sending).whole()
        lane.go()
        self.assertEqual((self.successResultOf(reading), lane.live), (b"fine", 0))

    def test_later_requests(self) -> None:
        """A request that still has to go there is served, and leaves nothing behind."""
        lane = Lane(self, FINE)
        lane.client.retire()
        for _ in range(2):
            self.assertEqual((lane.ask(), lane.live), (b"fine", 0))

    def test_twice(self) -> None:
        """To retire twice, or to close afterwards, is no harm."""
        lane = Lane(self, FINE)
        lane.ask()
        lane.client.retire()
        lane.client.retire()
        lane.go()
        self.assertEqual(lane.live, 0)

    def test_not_queued(self) -> None:
        """What is not queued, as probes are not, is sent while every slot is taken, and takes none."""
        lane = Lane(self, Stalls(before_head=True), FINE, limit=1)
        lane.send()
        self.assertEqual(lane.taken, 1)
        sending = Deferred.fromCoroutine(lane.client.send(ASK, 5.0, queued=False))
        lane.go()
        reading = self.successResultOf(sending).whole()
        lane.go()
        self.assertEqual((self.successResultOf(reading), lane.taken), (b"fine", 1))

    def test_not_queued_and_failing(self) -> None:
        """If it fails, no slot is given back that was not taken."""
        lane = Lane(self, limit=1)
        lane.network.refuse("upstream")
        sending = Deferred.fromCoroutine(lane.client.send(ASK, 5.0, queued=False))
        lane.go(60)
        self.failureResultOf(sending)
        self.assertEqual(lane.client.free, 1)

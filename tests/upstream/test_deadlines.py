"""The rules of deadlines: one timer, and everybody's time is kept."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.upstream.deadlines import Deadlines


class DeadlineTests(SynchronousTestCase):
    """What is not done in time is cancelled."""

    def setUp(self) -> None:
        """Have a clock."""
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock)

    def waiting(self, seconds: float) -> Deferred[object]:
        """Return something that has so much time."""
        made: Deferred[object] = Deferred()
        self.deadlines.add(made, seconds)
        return made

    def test_each_at_its_time(self) -> None:
        """Each is cancelled when its own time is up, in whatever order they came."""
        late = {seconds: self.waiting(seconds) for seconds in (5, 1, 3, 3.5, 2)}
        for now in (1, 2, 3, 3.5, 5):
            self.clock.advance(now - self.clock.seconds() - 0.01)
            self.assertNoResult(late[now])
            self.clock.advance(0.01)
            self.failureResultOf(late[now], CancelledError)
            self.assertTrue(self.deadlines.done(late[now]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_done(self) -> None:
        """Who is done in time is left alone; no timer stays behind."""
        first, second = self.waiting(1), self.waiting(2)
        self.assertFalse(self.deadlines.done(first))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(1.5)
        self.assertNoResult(first)
        self.assertFalse(self.deadlines.done(second))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10)
        self.assertNoResult(second)

    def test_many(self) -> None:
        """However many there are, there is one timer."""
        made = [self.waiting(10 + number % 7) for number in range(100)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(13)
        cancelled = [number for number, each in enumerate(made) if each.called]
        for number in cancelled:
            self.failureResultOf(made[number], CancelledError)
        self.assertEqual(cancelled, [number for number in range(100) if number % 7 <= 3])

    def test_from_within(self) -> None:
        """One that is cancelled may begin another."""
        begun: list[Deferred[object]] = []
        first = self.waiting(1)
        first.addErrback(lambda _: begun.append(self.waiting(1)))
        self.clock.advance(1)
        self.assertNoResult(begun[0])
        self.clock.advance(1)
        self.failureResultOf(begun[0], CancelledError)

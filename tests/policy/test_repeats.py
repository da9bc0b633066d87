"""The rules of repeats in place: of what, and after how long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.keys import Key
from ccrelay.policy.outcome import Outcome
from ccrelay.policy.repeats import Repeats
from ccrelay.policy.route import Route
from tests.policy.script import BROKEN, OVERLOADED, SLOW, UNFIT, How, refused
from tests.policy.stage import OPUS, at

HERE, THERE = Route("a", Key("a1"), OPUS), Route("b", Key("b1"), OPUS)
LUCK = st.floats(0, 1, exclude_max=True)
AGAIN = refused(400, x_should_retry="true")


def repeats(luck: float = 0.5, longest: float = 5.0, ready: float | None = 0.0) -> Repeats:
    """Return those of a new request; its keys are ready so many seconds after any question, or never."""
    return Repeats(longest, lambda: luck, lambda _, now: None if ready is None else now + ready)


def failed(some: Repeats, how: How, seconds: float = 0.0, route: Route = HERE) -> Outcome:
    """Let an attempt fail so many seconds after the request came."""
    outcome = how.of(route, at(seconds))
    some.failed(outcome)
    return outcome


class AtOnceTests(SynchronousTestCase):
    """Repeats that go before any other candidate."""

    @given(LUCK)
    def test_overload(self, luck: float) -> None:
        """Overload is repeated after 100 to 300 ms while somebody else is left, and then no more."""
        some = repeats(luck)
        repeat = some.at_once(failed(some, OVERLOADED), elsewhere=True)
        assert repeat is not None
        self.assertTrue(0.1 <= repeat.seconds <= 0.3)
        self.assertIsNone(some.at_once(failed(some, OVERLOADED), elsewhere=True))

    def test_each_its_own(self) -> None:
        """Each overloaded place has its own repeat."""
        some = repeats()
        for route in (HERE, THERE):
            self.assertIsNotNone(some.at_once(failed(some, OVERLOADED, route=route), elsewhere=True))

    def test_overload_that_asks_for_time(self) -> None:
        """Where it has to be waited longer than a moment, for provider or key, somebody else is asked."""
        for some, how in ((repeats(), refused(529, retry_after="1")), (repeats(ready=1.0), OVERLOADED)):
            self.assertIsNone(some.at_once(failed(some, how), elsewhere=True))

    def test_whoever_asks_for_it(self) -> None:
        """What a provider wants to be sent again is, once, although it is the request's own fault."""
        some = repeats()
        for elsewhere in (True, False):
            repeat = some.at_once(failed(some, AGAIN), elsewhere=elsewhere)
            self.assertEqual(repeat is not None, elsewhere)

    def test_nothing_else(self) -> None:
        """Any other failure goes elsewhere before it is repeated."""
        for how in (BROKEN, SLOW, UNFIT, refused(429), refused(500), refused(401)):
            some = repeats()
            self.assertIsNone(some.at_once(failed(some, how), elsewhere=True))


class NowhereElseTests(SynchronousTestCase):
    """Repeats when every candidate was tried."""

    @given(LUCK)
    def test_waits_grow(self, luck: float) -> None:
        """A failure is repeated after a quarter of a second at least, with jitter, up to `max_wait_ms`."""
        some, longest = repeats(luck), 0.25
        for _ in range(6):
            failed(some, BROKEN)
            repeat = some.nowhere_else(at(0))
            assert repeat is not None
            longest = min(3 * longest, 5.0)
            self.assertTrue(0.25 <= repeat.seconds <= longest)

    @given(st.floats(0, 5), st.floats(0, 4))
    def test_who_asks_for_time_gets_it(self, wait: float, passed: float) -> None:
        """A provider's wait is obeyed; what has passed of it is not waited for again."""
        some = repeats(luck=0.0)
        failed(some, refused(503, retry_after=f"{wait:.3f}"))
        repeat = some.nowhere_else(at(passed))
        assert repeat is not None
        self.assertAlmostEqual(repeat.seconds, max(0.25, round(wait, 3) - passed), places=5)

    def test_two_repeats_of_overload(self) -> None:
        """Overload is repeated twice, both within eight seconds of the first refusal."""
        some = repeats(luck=0.5)
        for seconds, wait in ((0.0, 2.0), (2.0, 3.5), (5.5, None)):
            failed(some, OVERLOADED, seconds)
            repeat = some.nowhere_else(at(seconds))
            self.assertEqual(None if repeat is None else repeat.seconds, wait)

    def test_overload_that_asks_for_time(self) -> None:
        """A wait that the provider names does not lead beyond the eight seconds."""
        some = repeats(luck=0.0)
        failed(some, refused(529, retry_after="4.5"))
        self.assertEqual(some.nowhere_else(at(0)).seconds, 4.5)
        failed(some, refused(529, retry_after="4.5"), 4.5)
        self.assertIsNone(some.nowhere_else(at(4.5)))

    def test_the_soonest(self) -> None:
        """Of several places the one is repeated that can be asked soonest."""
        some = repeats(luck=0.0)
        failed(some, refused(429, retry_after="4"))
        last = failed(some, refused(429, retry_after="2"), route=THERE)
        self.assertEqual(some.nowhere_else(at(0)), (last, 2.0))

    def test_only_once_ready(self) -> None:
        """A key that frees later is waited for as long as a provider would be, and no longer."""
        for ready, wait in ((0.0, 0.25), (3.0, 3.0), (5.2, None), (60.0, None), (None, None)):
            some = repeats(luck=0.0, ready=ready)
            failed(some, BROKEN)
            repeat = some.nowhere_else(at(0))
            found = None if repeat is None else round(repeat.seconds, 3)
            self.assertEqual(found, wait)

    def test_a_key_that_is_told_a_little_later(self) -> None:
        """A wait as long as is ever waited counts from when the key was told of it, a moment later."""
        some = repeats(ready=5.0004)
        failed(some, refused(429, retry_after="5"))
        repeat = some.nowhere_else(at(0))
        assert repeat is not None
        self.assertAlmostEqual(repeat.seconds, 5.0004, places=4)

    def test_not_the_requests_own_fault(self) -> None:
        """What the request is to be blamed for is not tried again for want of anybody else."""
        for how in (AGAIN, UNFIT, SLOW, refused(401)):
            some = repeats()
            failed(some, how)
            self.assertIsNone(some.nowhere_else(at(0)))

    def test_by_invitation_once(self) -> None:
        """`x-should-retry: true` is worth one repeat of what would have none, and none of it after that."""
        some = repeats()
        for wanted in (True, False):
            failed(some, refused(403, x_should_retry="true"))
            self.assertEqual(some.nowhere_else(at(0)) is not None, wanted)
        failed(some, refused(500, x_should_retry="true"))
        self.assertIsNotNone(some.nowhere_else(at(0)))

    def test_never(self) -> None:
        """With `max_wait_ms: 0` nothing is repeated."""
        for how in (OVERLOADED, BROKEN, AGAIN):
            some = repeats(longest=0.0)
            outcome = failed(some, how)
            self.assertIsNone(some.at_once(outcome, elsewhere=True))
            self.assertIsNone(some.nowhere_else(at(0)))

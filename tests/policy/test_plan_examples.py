"""The rules of a series of attempts in single cases: where it goes, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.breaker import Thresholds
from ccrelay.policy.budget import RetryBudget
from ccrelay.policy.plan import Bounds, Pause, attempts
from ccrelay.policy.tries import Try
from tests.policy.script import (
    BOUNDS,
    BROKE_OFF,
    BROKEN,
    NONE_FREE,
    OK,
    OVERLOADED,
    SLOW,
    UNFIT,
    UNREACHABLE,
    How,
    Play,
    end,
    play,
    refused,
)
from tests.policy.stage import Stage, at

LIMITED = refused(429)
PATIENT = refused(429, retry_after="3")
QUOTA = refused(429, retry_after="60")


def asked(layout: str, *hows: How, bounds: Bounds = BOUNDS) -> str:
    """Return the keys that were asked with, on a new stage."""
    return play(Stage(layout), [*hows, *[OK] * 9], bounds).asked


class FailoverTests(SynchronousTestCase):
    """Who is asked next."""

    def test_a_refused_key(self) -> None:
        """After a key was refused the next key of the same provider is asked, then the next provider."""
        for refusal in (LIMITED, QUOTA, refused(401), refused(402), refused(403)):
            self.assertEqual(asked("a1 a2 b1", refusal, refusal), "a1 a2 b1")

    def test_no_credit(self) -> None:
        """A 400 that speaks of the credit balance is about the key, not about the request."""
        self.assertEqual(asked("a1 a2 b1", refused(400, "Your credit balance is too low")), "a1 a2")

    def test_a_failing_provider(self) -> None:
        """After a failure the other keys of that provider are passed over."""
        for failure in (
            BROKEN,
            UNREACHABLE,
            NONE_FREE,
            SLOW,
            UNFIT,
            refused(500),
            refused(408),
            refused(409),
        ):
            self.assertEqual(asked("a1 a2 b1", failure), "a1 b1")

    def test_an_answer_ends_it(self) -> None:
        """An answer, a request that is at fault, and an answer that broke off are each the last word."""
        for how in (OK, BROKE_OFF, refused(400), refused(404), refused(413)):
            self.assertEqual(asked("a1 b1", how), "a1")

    def test_a_model_that_was_mapped(self) -> None:
        """A 404 where the model was mapped may be the mapping's fault: another provider is asked."""
        self.assertEqual(asked("a1 b1", refused(404, mapped=True)), "a1 b1")

    def test_at_most_so_many(self) -> None:
        """There are no more attempts than `max_attempts`, however many places there are."""
        self.assertEqual(asked("a1 b1 c1 d1 e1", *[BROKEN] * 5), "a1 b1 c1 d1")
        self.assertEqual(asked("a1 b1", BROKEN, bounds=Bounds(1, 180.0)), "a1")

    def test_time_is_up(self) -> None:
        """After `failover_timeout` nobody else is asked; an attempt that runs then is not cut."""
        self.assertEqual(asked("a1 b1", BROKEN.after(180)), "a1")
        self.assertEqual(asked("a1 b1", BROKEN.after(179.9)), "a1 b1")

    def test_no_place_at_all(self) -> None:
        """Where nobody can be asked there is no outcome, and nothing is held."""
        stage = Stage("a1")
        stage.keys["a1"].invalidate(at(0).wall)
        self.assertEqual(play(stage, []).returned, ())
        self.assertEqual(stage.held(), {})


class OverloadTests(SynchronousTestCase):
    """Overload, which often passes in an instant."""

    def test_once_in_place(self) -> None:
        """An overloaded provider is asked once more after 100 to 300 ms, then another is."""
        done = play(Stage("a1 a2 b1"), [OVERLOADED, OVERLOADED, OK])
        self.assertEqual(done.asked, "a1 a1 b1")
        self.assertEqual(list(done.pauses), [1])
        self.assertTrue(0.1 <= done.pauses[1] <= 0.3)

    def test_twice_where_nobody_else_is(self) -> None:
        """The only provider is asked twice more, within eight seconds; then it stays a 529."""
        done = play(Stage("a1 a2"), [OVERLOADED] * 3)
        self.assertEqual(done.asked, "a1 a1 a1")
        self.assertTrue(min(done.pauses.values()) >= 1.0)
        self.assertLessEqual(sum(done.pauses.values()), 8.0)
        self.assertEqual([outcome.status for outcome in done.returned], [529] * 3)

    def test_slow_refusals(self) -> None:
        """A provider that takes long to say that it is overloaded is not asked in haste once more."""
        self.assertEqual(asked("a1", OVERLOADED, OVERLOADED.after(7.0)), "a1 a1")

    def test_an_overloaded_provider_that_names_a_time(self) -> None:
        """Nobody waits seconds for an overloaded provider while another could answer."""
        busy = refused(529, retry_after="5")
        self.assertEqual(asked("a1 b1", busy), "a1 b1")
        done = play(Stage("a1"), [busy, OK])
        self.assertEqual((done.asked, done.pauses[1] >= 5.0), ("a1 a1", True))
        self.assertEqual(asked("a1", busy, busy), "a1 a1", "a third would be later than 8 s")

    def test_no_budget(self) -> None:
        """Without a budget for repeats the next provider is asked at once."""
        done = play(Stage("a1 b1", budget=RetryBudget(0.0, floor=0)), [OVERLOADED, OK])
        self.assertEqual((done.asked, done.pauses), ("a1 b1", {}))

    def test_no_repeat_wanted(self) -> None:
        """Who says `x-should-retry: false` is not asked again, overloaded or not."""
        self.assertEqual(asked("a1 b1", refused(529, x_should_retry="false")), "a1 b1")
        self.assertEqual(asked("a1", refused(529, x_should_retry="false")), "a1")


class RepeatTests(SynchronousTestCase):
    """Repeats in place, for want of anybody else."""

    def test_the_only_provider(self) -> None:
        """The only key is asked again after a moment, as often as attempts and budget allow."""
        for failure in (BROKEN, UNREACHABLE, refused(500), refused(408), refused(409), LIMITED):
            done = play(Stage("a1"), [failure, failure, failure, OK])
            self.assertEqual((done.asked, list(done.pauses)), ("a1 a1 a1 a1", [1, 2, 3]))
            self.assertTrue(all(0.25 <= seconds <= 5.0 for seconds in done.pauses.values()))

    def test_not_for_ever(self) -> None:
        """Waits that end after `failover_timeout` are not begun."""
        done = play(Stage("a1"), [PATIENT.after(178.0)])
        self.assertEqual((done.asked, done.pauses), ("a1", {}))

    def test_a_pause_that_takes_too_long(self) -> None:
        """Nothing begins after `failover_timeout`, not even if it was time when the wait for it began."""
        stage = Stage("a1")
        plan = attempts(stage.selection(""), BOUNDS, stage.routing.budget, stage.chance, at(0))
        trying = next(plan)
        assert isinstance(trying, Try)
        end(trying, BROKEN)
        self.assertIsInstance(plan.send(BROKEN.of(trying.route, at(0))), Pause)
        self.assertRaises(StopIteration, plan.send, at(181))
        self.assertEqual(stage.held(), {})

    def test_as_long_as_asked(self) -> None:
        """A `Retry-After` of up to `max_wait_ms` is obeyed; with a longer one the key has refused."""
        done = play(Stage("a1"), [PATIENT, OK])
        self.assertEqual((done.asked, done.pauses), ("a1 a1", {1: 3.0}))
        self.assertEqual(asked("a1", refused(429, retry_after="5")), "a1 a1")
        self.assertEqual(asked("a1", QUOTA), "a1")
        self.assertEqual(asked("a1", refused(503, retry_after="5.1")), "a1")

    def test_the_soonest_first(self) -> None:
        """Of all that were tried, the one that can be asked again soonest is."""
        done = play(Stage("a1 b1"), [refused(429, retry_after="4"), refused(429, retry_after="2"), OK])
        self.assertEqual((done.asked, done.pauses), ("a1 b1 b1", {2: 2.0}))

    def test_time_that_has_passed_counts(self) -> None:
        """What another attempt took is not waited for once more."""
        done = play(Stage("a1 b1"), [refused(429, retry_after="4"), refused(402).after(3.0), OK])
        self.assertEqual((done.asked, list(done.pauses)), ("a1 b1 a1", [2]))
        self.assertAlmostEqual(done.pauses[2], 1.0)

    def test_who_is_failing_is_passed_over(self) -> None:
        """A provider whose circuit has opened is not repeated, but another that was tried is."""
        stage = Stage("a1 b1", thresholds=Thresholds(failures=1))
        self.assertEqual(play(stage, [BROKEN, refused(409), OK]).asked, "a1 b1 b1")

    def test_a_key_that_stays_shut_is_not_waited_for(self) -> None:
        """Nobody waits for a repeat with a key that was told to wait much longer by another request."""
        stage = Stage("a1")

        def meanwhile() -> Iterator[How]:
            stage.keys["a1"].limited(at(0).wall, 60.0)
            yield LIMITED

        self.assertEqual(play(stage, meanwhile()).pauses, {})

    def test_timeouts_are_not_repeated(self) -> None:
        """Nobody waits twice for an answer that did not begin in time."""
        self.assertEqual(asked("a1", SLOW), "a1")

    def test_never_twice(self) -> None:
        """With `max_wait_ms: 0` nobody is asked twice, overloaded or not."""
        for failure in (OVERLOADED, BROKEN, LIMITED, refused(400, x_should_retry="true")):
            self.assertEqual(asked("a1", failure, bounds=Bounds(4, 180.0, 0.0)), "a1")


class InvitedTests(SynchronousTestCase):
    """What providers say of a repeat."""

    def test_the_requests_own_fault(self) -> None:
        """A 400 with `x-should-retry: true` is sent once more to the same place, and to no other."""
        again = refused(400, x_should_retry="true")
        self.assertEqual(asked("a1 a2 b1", again, again), "a1 a1")
        self.assertEqual(asked("a1 a2 b1", again), "a1 a1")

    def test_a_failure_after_that(self) -> None:
        """If such a repeat fails otherwise, the series goes on as always."""
        self.assertEqual(asked("a1 a2 b1", refused(400, x_should_retry="true"), BROKEN), "a1 a1 b1")

    def test_without_budget(self) -> None:
        """Where no repeat is left, a 400 with `x-should-retry: true` is the answer."""
        done = play(Stage("a1 b1", budget=RetryBudget(0.0, floor=0)), [refused(400, x_should_retry="true")])
        self.assertEqual((done.asked, done.returned[-1].status), ("a1", 400))

    def test_once_more(self) -> None:
        """Of what would not be repeated else, `x-should-retry: true` allows one repeat."""
        again = refused(404, mapped=True, x_should_retry="true")
        self.assertEqual(asked("a1", again, again), "a1 a1")

    def test_no_more(self) -> None:
        """`x-should-retry: false` goes elsewhere, or nowhere."""
        for status in (408, 429, 500):
            never = refused(status, x_should_retry="false")
            self.assertEqual(asked("a1 b1", never), "a1 b1")
            self.assertEqual(asked("a1", never), "a1")


class EndTests(SynchronousTestCase):
    """How it ends."""

    def test_a_client_that_leaves(self) -> None:
        """A client that leaves, in an attempt or in a pause, ends it, and nothing is held."""
        stage = Stage("a1 b1")
        done: Play = play(stage, [BROKEN, OK], leaves=1)
        self.assertEqual((done.asked, len(done.outcomes)), ("a1 b1", 1))
        self.assertEqual(stage.held(), {})

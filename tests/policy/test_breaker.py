"""The rules of one circuit breaker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.admission import Pass
from ccrelay.policy.breaker import Breaker, State, Thresholds

NOW = 1_700_000_000.0
LIMITS = Thresholds(failures=3, open_for=30.0, half_open_probes=2)
SOONEST = 0.0
LATEST = 1 - 2**-53


def fixed(luck: float) -> Callable[[], float]:
    """Return a chance that is always the same."""
    return lambda: luck


def breaker(thresholds: Thresholds = LIMITS, luck: float = SOONEST) -> Breaker:
    """Return a new breaker."""
    return Breaker(thresholds, fixed(luck))


def entered(one: Breaker, now: float, *, early: bool = False) -> Pass:
    """Return a pass that there must be."""
    taken = one.enter(now, early=early)
    assert taken is not None
    return taken


def fail(one: Breaker, now: float, times: int) -> None:
    """Let requests fail one after the other."""
    for _ in range(times):
        entered(one, now).failed(now)


def opened(thresholds: Thresholds = LIMITS, luck: float = SOONEST) -> Breaker:
    """Return a breaker that opened at C{NOW}."""
    one = breaker(thresholds, luck)
    fail(one, NOW, thresholds.failures)
    return one


class OpeningTests(SynchronousTestCase):
    """What opens a breaker."""

    def test_a_new_breaker_lets_everything_through(self) -> None:
        """Nobody is suspected before a failure."""
        one = breaker()
        self.assertIs(one.state(NOW), State.CLOSED)
        self.assertEqual(one.due(NOW), NOW)
        for _ in range(100):
            entered(one, NOW)
        self.assertTrue(one.admits(NOW))

    def test_failures_in_a_row_open_it(self) -> None:
        """After `failure_threshold` failures in a row nothing goes through."""
        one = breaker()
        fail(one, NOW, 2)
        self.assertIs(one.state(NOW), State.CLOSED)
        fail(one, NOW, 1)
        self.assertIs(one.state(NOW), State.OPEN)
        self.assertFalse(one.admits(NOW))
        self.assertIsNone(one.enter(NOW))

    def test_a_success_ends_the_row(self) -> None:
        """Failures count only if nothing succeeded between them."""
        one = breaker()
        for _ in range(5):
            fail(one, NOW, 2)
            entered(one, NOW).succeeded(NOW)
        self.assertIs(one.state(NOW), State.CLOSED)

    def test_a_share_of_failures_opens_it(self) -> None:
        """With `failure_rate` set, failures that do not come in a row open it too."""
        one = breaker(replace(LIMITS, failure_rate=0.5, minimum_requests=6))
        for _ in range(2):
            entered(one, NOW).succeeded(NOW)
            entered(one, NOW).failed(NOW)
        entered(one, NOW).succeeded(NOW)
        self.assertIs(one.state(NOW), State.CLOSED)
        entered(one, NOW).failed(NOW)
        self.assertIs(one.state(NOW), State.OPEN)

    def test_a_share_of_few_requests_is_none(self) -> None:
        """A share is taken of `minimum_requests` at least, within `window_ms`."""
        one = breaker(replace(LIMITS, failure_rate=0.5, minimum_requests=4, window=20.0))
        for minute in range(10):
            later = NOW + 60 * minute
            entered(one, later).succeeded(later)
            entered(one, later).failed(later)
            self.assertIs(one.state(later), State.CLOSED)

    def test_a_share_is_forgotten_when_it_closes(self) -> None:
        """What failed before an outage was over is not held against the time after it."""
        one = breaker(
            replace(LIMITS, failure_rate=0.5, minimum_requests=4, window=3600.0, half_open_probes=1)
        )
        fail(one, NOW, 3)
        later = NOW + 30
        entered(one, later).succeeded(later)
        for _ in range(2):
            entered(one, later).succeeded(later)
        fail(one, later, 1)
        self.assertIs(one.state(later), State.CLOSED)

    @given(st.lists(st.sampled_from(["cancelled", "succeeded", "left open"])))
    def test_clients_never_open_it(self, endings: list[str]) -> None:
        """Whatever clients do, leave or ask for nonsense, is no failure of the provider's."""
        one = breaker(replace(LIMITS, failures=1))
        for ending in endings:
            taken = entered(one, NOW)
            if ending == "cancelled":
                taken.cancelled()
            elif ending == "succeeded":
                taken.succeeded(NOW)
        self.assertIs(one.state(NOW), State.CLOSED)

    def test_a_request_that_ends_twice_counts_once(self) -> None:
        """Only the first that is said about a request counts."""
        one = breaker()
        for first in (Pass.cancelled, lambda taken: taken.succeeded(NOW)):
            for _ in range(5):
                taken = entered(one, NOW)
                first(taken)
                taken.failed(NOW)
        self.assertIs(one.state(NOW), State.CLOSED)
        once = entered(one, NOW)
        for _ in range(5):
            once.failed(NOW)
        self.assertIs(one.state(NOW), State.CLOSED)

    def test_an_answer_that_begins_is_no_success_yet(self) -> None:
        """Streams that begin and then break open a breaker."""
        one = breaker()
        for _ in range(3):
            taken = entered(one, NOW)
            taken.answered(NOW)
            taken.failed(NOW)
        self.assertIs(one.state(NOW), State.OPEN)


class OpenTests(SynchronousTestCase):
    """How long it stays open."""

    def test_it_is_half_open_when_its_time_is_over(self) -> None:
        """After `open_duration_ms`, and not before, a few requests may find out."""
        one = opened()
        self.assertEqual(one.due(NOW), NOW + 30)
        self.assertIs(one.state(NOW + 29.9), State.OPEN)
        self.assertIs(one.state(NOW + 30), State.HALF_OPEN)
        self.assertTrue(one.admits(NOW + 30))
        self.assertEqual(one.due(NOW + 40), NOW + 40)

    def test_it_stays_open_longer_each_time(self) -> None:
        """As long as it keeps failing, the time doubles up to five minutes."""
        one, now, waits = opened(), NOW, []
        for _ in range(8):
            waits.append(one.due(now) - now)
            now = one.due(now)
            entered(one, now).failed(now)
        self.assertEqual(waits[:4], [30.0, 60.0, 120.0, 240.0])
        self.assertEqual(waits, sorted(waits))
        self.assertTrue(270 < waits[-1] <= 300)

    def test_closing_makes_the_next_time_short_again(self) -> None:
        """A provider that recovered is not punished for the outage before."""
        one = opened()
        fail(one, NOW + 30, 1)
        later = NOW + 90
        for _ in range(2):
            entered(one, later).succeeded(later)
        fail(one, later, 3)
        self.assertEqual(one.due(later) - later, 30.0)

    @given(st.floats(SOONEST, LATEST), st.floats(0.1, 1000.0), st.integers(1, 2000))
    def test_jitter_stays_in_bounds(self, luck: float, open_for: float, failures: int) -> None:
        """Whatever the luck, it is open for `open_duration_ms` at least, and five minutes or that at most."""
        one = opened(replace(LIMITS, open_for=open_for), luck)
        now = NOW
        for _ in range(failures):
            now = one.due(now)
            entered(one, now).failed(now)
        wait = one.due(now) - now
        self.assertGreaterEqual(wait, min(open_for, 300.0) - 1e-6)
        self.assertLessEqual(wait, max(open_for, 300.0) + 1e-6)

    def test_not_all_try_again_at_once(self) -> None:
        """Breakers that opened together do not become half open together, not even after long."""
        early, late = opened(luck=SOONEST), opened(luck=LATEST)
        for _ in range(10):
            self.assertGreater(late.due(NOW) - early.due(NOW), 1.0)
            for one in (early, late):
                entered(one, NOW, early=True).failed(NOW)

    def test_who_has_nowhere_else_to_go_enters_early(self) -> None:
        """Where nobody else can take a request, it goes through the gate of an open one, if there is room."""
        one = opened()
        self.assertTrue(one.admits(NOW, early=True))
        self.assertIs(one.state(NOW), State.OPEN)
        entered(one, NOW, early=True)
        self.assertIs(one.state(NOW), State.HALF_OPEN)
        entered(one, NOW, early=True)
        self.assertFalse(one.admits(NOW, early=True))
        self.assertIsNone(one.enter(NOW, early=True))


class HalfOpenTests(SynchronousTestCase):
    """How a few requests find out."""

    def test_only_a_few_go_through_at_once(self) -> None:
        """No more than `half_open_probes` requests are out at a time."""
        one, now = opened(), NOW + 30
        first, _ = entered(one, now), entered(one, now)
        self.assertFalse(one.admits(now))
        self.assertIsNone(one.enter(now))
        first.cancelled()
        self.assertTrue(one.admits(now))

    def test_enough_successes_close_it(self) -> None:
        """After `half_open_probes` successes everything goes through again."""
        one, now = opened(), NOW + 30
        entered(one, now).succeeded(now)
        self.assertIs(one.state(now), State.HALF_OPEN)
        entered(one, now).succeeded(now)
        self.assertIs(one.state(now), State.CLOSED)

    def test_long_streams_do_not_keep_it_half_open(self) -> None:
        """An answer that has begun is a success for the gate, however long it streams."""
        one, now = opened(), NOW + 30
        streams = [entered(one, now) for _ in range(2)]
        streams[0].answered(now)
        self.assertTrue(one.admits(now))
        streams[1].answered(now)
        self.assertIs(one.state(now), State.CLOSED)
        for stream in streams:
            stream.failed(now)
        self.assertEqual(one.failures, 0)

    def test_successes_of_an_earlier_try_do_not_add_up(self) -> None:
        """Each time it is half open, it takes all the successes anew."""
        one, now = opened(), NOW + 30
        entered(one, now).succeeded(now)
        entered(one, now).failed(now)
        now = one.due(now)
        entered(one, now).succeeded(now)
        self.assertIs(one.state(now), State.HALF_OPEN)

    def test_cancelled_requests_neither_open_nor_close_it(self) -> None:
        """Clients that leave give their place back, and say nothing else."""
        one, now = opened(), NOW + 30
        for _ in range(10):
            entered(one, now).cancelled()
            self.assertIs(one.state(now), State.HALF_OPEN)


class LateTests(SynchronousTestCase):
    """Requests that end when the breaker is no longer where they entered it."""

    def test_stragglers_of_an_outage_do_not_prolong_it(self) -> None:
        """Requests from before it opened that fail afterwards change nothing: it is open already."""
        one = breaker()
        stragglers = [entered(one, NOW) for _ in range(10)]
        fail(one, NOW, 3)
        for straggler in stragglers[:5]:
            straggler.failed(NOW + 20)
        self.assertEqual(one.due(NOW), NOW + 30)
        probe = entered(one, NOW + 30)
        for straggler in stragglers[5:]:
            straggler.failed(NOW + 31)
        self.assertIs(one.state(NOW + 31), State.HALF_OPEN)
        probe.succeeded(NOW + 31)
        entered(one, NOW + 31).succeeded(NOW + 31)
        self.assertIs(one.state(NOW + 31), State.CLOSED)

    def test_successes_from_before_an_outage_do_not_end_it(self) -> None:
        """A stream that began before it opened, and ends well, says nothing about new ones."""
        one = breaker()
        streams = [entered(one, NOW) for _ in range(10)]
        fail(one, NOW, 3)
        streams[0].succeeded(NOW + 20)
        self.assertIs(one.state(NOW + 20), State.OPEN)
        self.assertTrue(one.admits(NOW + 30))
        for stream in streams[1:]:
            stream.succeeded(NOW + 30)
        self.assertIs(one.state(NOW + 30), State.HALF_OPEN)

    def test_requests_that_were_out_together_fail_once(self) -> None:
        """Several failures of one try double the time once."""
        one, now = opened(), NOW + 30
        probes = [entered(one, now) for _ in range(2)]
        for probe in probes:
            probe.failed(now)
        self.assertEqual(one.due(now) - now, 60.0)

    def test_who_went_through_the_gate_does_not_open_it_once_closed(self) -> None:
        """What failed in a try that ended well is no failure of the time after it."""
        one, now = opened(replace(LIMITS, failures=1)), NOW + 30
        slow = entered(one, now)
        for _ in range(2):
            entered(one, now).succeeded(now)
        slow.failed(now)
        self.assertIs(one.state(now), State.CLOSED)

    def test_places_of_an_earlier_try_are_still_taken(self) -> None:
        """A provider that hangs has no more than `half_open_probes` requests hanging on it."""
        one, now = opened(), NOW + 30
        hanging = entered(one, now)
        entered(one, now).failed(now)
        now = one.due(now)
        entered(one, now)
        self.assertIsNone(one.enter(now))
        hanging.failed(now)
        self.assertIs(one.state(now), State.HALF_OPEN)
        self.assertIsNotNone(one.enter(now))

    def test_a_request_from_before_a_reset_says_nothing(self) -> None:
        """Once reset by hand, only what is asked afterwards counts."""
        one = breaker(replace(LIMITS, failures=1))
        before = entered(one, NOW)
        one.reset()
        before.failed(NOW)
        self.assertIs(one.state(NOW), State.CLOSED)


class ProbeTests(SynchronousTestCase):
    """Health probes."""

    def test_failed_probes_in_a_row_open_it(self) -> None:
        """`unhealthy_after` failed probes in a row open it, one makes it degraded."""
        one = breaker()
        self.assertFalse(one.degraded)
        one.probe_failed(NOW)
        one.probe_failed(NOW)
        self.assertTrue(one.degraded)
        self.assertIs(one.state(NOW), State.CLOSED)
        one.probe_failed(NOW)
        self.assertIs(one.state(NOW), State.OPEN)
        self.assertEqual(one.due(NOW), NOW + 30)

    def test_a_probe_or_a_request_that_succeeds_ends_the_row(self) -> None:
        """A provider that answers is healthy, whatever its probe said before."""
        one = breaker()
        for healed in (one.probe_succeeded, lambda now: entered(one, now).succeeded(now)):
            for _ in range(3):
                one.probe_failed(NOW)
                one.probe_failed(NOW)
                healed(NOW)
                self.assertFalse(one.degraded)
        self.assertIs(one.state(NOW), State.CLOSED)

    def test_a_probe_that_succeeds_opens_half_early(self) -> None:
        """An open breaker lets a few requests through as soon as a probe succeeds."""
        one = opened()
        one.probe_succeeded(NOW + 5)
        self.assertIs(one.state(NOW + 5), State.HALF_OPEN)

    def test_probes_alone_do_not_close_it(self) -> None:
        """A provider may list its models and yet answer nothing: only requests close it."""
        one = opened()
        for _ in range(10):
            one.probe_succeeded(NOW + 5)
        self.assertIs(one.state(NOW + 5), State.HALF_OPEN)

    def test_a_probe_that_succeeds_does_not_end_a_row_of_failures(self) -> None:
        """Requests that fail open it, whatever the probes say."""
        one = breaker()
        for _ in range(3):
            one.probe_succeeded(NOW)
            fail(one, NOW, 1)
        self.assertIs(one.state(NOW), State.OPEN)

    def test_while_probes_fail_it_stays_shut(self) -> None:
        """When its time is over and the next probe fails still, it is open again, for twice the time."""
        one = breaker()
        for second in range(0, 30, 10):
            one.probe_failed(NOW + second)
        self.assertEqual(one.due(NOW), NOW + 50)
        one.probe_failed(NOW + 40)
        self.assertEqual(one.due(NOW), NOW + 50)
        one.probe_failed(NOW + 50)
        self.assertIs(one.state(NOW + 50), State.OPEN)
        self.assertEqual(one.due(NOW), NOW + 110)


class OperatorTests(SynchronousTestCase):
    """What is done by hand."""

    def test_reset_closes_and_forgets(self) -> None:
        """Reset, it is as new."""
        one = opened()
        fail(one, NOW + 30, 1)
        for _ in range(2):
            one.probe_failed(NOW + 30)
        one.reset()
        self.assertIs(one.state(NOW + 30), State.CLOSED)
        self.assertFalse(one.degraded)
        fail(one, NOW + 30, 2)
        self.assertIs(one.state(NOW + 30), State.CLOSED)
        fail(one, NOW + 30, 1)
        self.assertEqual(one.due(NOW + 30), NOW + 60)

    def test_other_thresholds_hold_from_now_on(self) -> None:
        """After a reload the new numbers count, and what was counted stays."""
        one = breaker()
        fail(one, NOW, 2)
        one.adapt(replace(LIMITS, failures=5, failure_rate=1.0, minimum_requests=3, window=5.0))
        fail(one, NOW, 2)
        self.assertIs(one.state(NOW), State.CLOSED)
        fail(one, NOW, 1)
        self.assertIs(one.state(NOW), State.OPEN)
        self.assertEqual(one.due(NOW), NOW + 30)


@dataclass
class Known:
    """What the model knows of a pass."""

    era: int
    gated: bool
    over: bool = False


class AgainstItsTable(RuleBasedStateMachine):
    """The breaker beside a second reading of its table, which remembers all and counts anew each time."""

    passes = Bundle("passes")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.luck = 0.0

    @initialize(
        limits=st.builds(
            Thresholds,
            failures=st.integers(1, 4),
            open_for=st.integers(1, 200),
            half_open_probes=st.integers(1, 3),
            failure_rate=st.sampled_from([None, 0.5, 1.0]),
            window=st.just(20.0),  # slices of a second, in a test of whole seconds: exact
            minimum_requests=st.integers(1, 6),
            unhealthy_after=st.integers(1, 3),
        )
    )
    def begin(self, limits: Thresholds) -> None:
        self.limits = limits
        self.real = Breaker(limits, lambda: self.luck)
        self.where = State.CLOSED
        self.era = 0
        self.ended: list[tuple[float, bool]] = []  # in this era
        self.since = NOW
        self.resumes = 0.0  # until when it would have been open that somebody has entered early
        self.waits: list[float] = []  # since it was closed
        self.probes: list[bool] = []  # health probes, and True for each request that succeeded
        self.known: dict[Pass, Known] = {}

    def go(self, where: State) -> None:
        """Begin an era."""
        self.where, self.era, self.ended, self.since = where, self.era + 1, [], self.now
        self.resumes = 0.0
        if where is State.CLOSED:
            self.waits = []
        if where is State.OPEN:
            pure = max(self.limits.open_for, min(self.limits.open_for * 2 ** len(self.waits), 300 / 1.1))
            self.waits.append(pure)
            self.wait = min(pure * (1 + self.luck / 10), 300)

    def row(self, results: list[bool]) -> int:
        """Return how many there are after the last that is true."""
        return next((at for at, good in enumerate(reversed(results)) if good), len(results))

    def out(self) -> int:
        return sum(known.gated and not known.over for known in self.known.values())

    def room(self) -> bool:
        return self.out() < self.limits.half_open_probes

    def tripped(self) -> bool:
        recent = [good for at, good in self.ended if at > self.now - self.limits.window]
        rate = self.limits.failure_rate
        return self.row([good for _, good in self.ended]) >= self.limits.failures or (
            rate is not None
            and len(recent) >= self.limits.minimum_requests
            and recent.count(False) / len(recent) >= rate
        )

    @rule(seconds=st.one_of(st.integers(0, 5), st.integers(0, 400)), luck=st.floats(SOONEST, LATEST))
    def wait_a_while(self, seconds: int, luck: float) -> None:
        self.now += seconds
        self.luck = luck
        if self.where is State.OPEN and self.now >= self.since + self.wait:
            self.go(State.HALF_OPEN)

    @rule(target=passes, early=st.booleans())
    def enter(self, early: bool) -> Pass | None:
        taken = self.real.enter(self.now, early=early)
        free = self.where is State.CLOSED or ((early or self.where is State.HALF_OPEN) and self.room())
        assert (taken is not None) == free
        if taken is not None:
            if self.where is State.OPEN:
                due = self.since + self.wait
                self.go(State.HALF_OPEN)
                self.resumes = due
            self.known[taken] = Known(self.era, self.where is State.HALF_OPEN)
        return taken

    def over(self, taken: Pass) -> bool:
        """Mark a pass as ended, and return whether what it says counts."""
        known = self.known[taken]
        first, known.over = not known.over, True
        return first and known.era == self.era

    @rule(taken=passes, merely_begun=st.booleans())
    def succeed(self, taken: Pass | None, merely_begun: bool) -> None:
        if taken is None:
            return
        if merely_begun:
            taken.answered(self.now)
            if not self.known[taken].gated:
                return
        else:
            taken.succeeded(self.now)
        if self.over(taken):
            self.probes.append(True)
            self.ended.append((self.now, True))
            if self.where is State.HALF_OPEN and len(self.ended) >= self.limits.half_open_probes:
                self.go(State.CLOSED)

    @rule(taken=passes)
    def fail(self, taken: Pass | None) -> None:
        if taken is None:
            return
        taken.failed(self.now)
        if self.over(taken):
            self.ended.append((self.now, False))
            if self.where is State.HALF_OPEN and self.resumes > self.now:
                due = self.resumes
                self.where, self.era, self.ended, self.since = State.OPEN, self.era + 1, [], self.now
                self.wait, self.resumes = due - self.now, 0.0
            elif self.where is State.HALF_OPEN or self.tripped():
                self.go(State.OPEN)

    @rule(times=st.integers(1, 4))
    @precondition(lambda self: self.where is State.CLOSED)
    def fail_at_once(self, times: int) -> None:
        for _ in range(times):
            self.fail(self.enter(False))

    @rule(taken=passes)
    def cancel(self, taken: Pass | None) -> None:
        if taken is not None:
            taken.cancelled()
            self.over(taken)

    @rule(good=st.booleans())
    def probe(self, good: bool) -> None:
        (self.real.probe_succeeded if good else self.real.probe_failed)(self.now)
        self.probes.append(good)
        if good:
            self.resumes = 0.0
        if good and self.where is State.OPEN:
            self.go(State.HALF_OPEN)
        if self.where is not State.OPEN and self.row(self.probes) >= self.limits.unhealthy_after:
            self.go(State.OPEN)

    @rule()
    def reset(self) -> None:
        self.real.reset()
        self.probes = []
        self.go(State.CLOSED)

    @invariant()
    def is_where_the_table_says(self) -> None:
        assert self.real.state(self.now) is self.where
        assert self.real.degraded == (self.row(self.probes) > 0)
        due = self.since + self.wait if self.where is State.OPEN else self.now
        assert abs(self.real.due(self.now) - due) < 1e-3

    @invariant()
    def never_has_more_places_out(self) -> None:
        assert self.out() <= self.limits.half_open_probes
        gate_open = self.where is State.CLOSED or self.room()
        assert self.real.admits(self.now) == (gate_open and self.where is not State.OPEN)
        assert self.real.admits(self.now, early=True) == gate_open


class TableTests(SynchronousTestCase):
    """The breaker as a whole."""

    def test_it_is_its_table(self) -> None:
        """Whatever happens, it is where its table says, with no more places out than allowed."""
        run_state_machine_as_test(AgainstItsTable, settings=settings(max_examples=150))

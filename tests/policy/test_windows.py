"""The rules of what may be taken in any minute."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.windows import Reservation, SlidingWindow

NOW = 1_700_000_000.0
MINUTE = 60.0
GRAIN = MINUTE / 1024
LIMIT = 10

# Multiples of 1/64, so that no sum of them is rounded.
STEPS = st.sampled_from([0.0, 0.0, 1 / 64, 1 / 16, 0.5, 3.0, 29.75, 59.984375, 60.0, 60.015625, 200.0])
AMOUNTS = st.integers(1, 14)
REQUESTS = st.lists(st.tuples(STEPS, AMOUNTS), max_size=60)


def most_in_a_minute(taken: list[list[float]]) -> float:
    """Return the most that was taken within any minute, but for requests that had one for themselves."""
    most = 0.0
    for begin, _ in taken:
        amounts = [amount for at, amount in taken if begin <= at < begin + MINUTE and amount]
        most = max(most, sum(amounts) if len(amounts) > 1 else 0)
    return most


class LimitTests(SynchronousTestCase):
    """How much fits."""

    def test_no_limit_is_none(self) -> None:
        """A limit of 0 lets everything through, and it is counted all the same."""
        window = SlidingWindow(0)
        window.take(1_000_000, NOW)
        self.assertTrue(window.fits(1_000_000, NOW))
        self.assertEqual(window.fits_at(1_000_000, NOW), NOW)
        self.assertEqual(window.used(NOW), 1_000_000)

    def test_the_limit_itself_may_be_used(self) -> None:
        """What is left may be taken to the last, and nothing more."""
        window = SlidingWindow(LIMIT)
        window.take(7, NOW)
        self.assertTrue(window.fits(3, NOW))
        self.assertFalse(window.fits(4, NOW))

    def test_the_minute_slides(self) -> None:
        """What was taken at the end of one minute counts in the next: there is no edge to be used twice."""
        window = SlidingWindow(LIMIT)
        window.take(LIMIT, NOW + 59)
        self.assertFalse(window.fits(1, NOW + 61))
        self.assertFalse(window.fits(1, NOW + 118.9))
        self.assertTrue(window.fits(1, NOW + 119))

    def test_a_request_over_the_limit_passes_when_nothing_is_used(self) -> None:
        """A request that is larger than the limit passes when its window is empty, and only then."""
        window = SlidingWindow(LIMIT)
        self.assertTrue(window.fits(LIMIT + 1, NOW))
        window.take(1, NOW)
        self.assertFalse(window.fits(LIMIT + 1, NOW))
        self.assertEqual(window.fits_at(LIMIT + 1, NOW), NOW + 60)
        self.assertTrue(window.fits(LIMIT + 1, NOW + 60))

    def test_what_was_given_back_leaves_the_window_empty(self) -> None:
        """Requests that cost nothing in the end do not keep a larger one waiting."""
        window = SlidingWindow(LIMIT)
        window.take(1, NOW).give_back()
        self.assertTrue(window.fits(LIMIT + 1, NOW))
        window.take(1, NOW + 10)
        window.take(1, NOW + 20).give_back()
        self.assertEqual(window.fits_at(LIMIT + 1, NOW + 20), NOW + 70)

    @given(REQUESTS)
    def test_no_minute_has_more_than_the_limit(self, requests: list[tuple[float, int]]) -> None:
        """Wherever a minute begins, no more is taken in it, but for one large request alone."""
        window, now, taken = SlidingWindow(LIMIT), NOW, []
        for step, amount in requests:
            now += step
            if window.fits(amount, now):
                window.take(amount, now)
                taken.append([now, amount])
        self.assertLessEqual(most_in_a_minute(taken), LIMIT)

    @given(st.lists(st.tuples(STEPS, AMOUNTS, st.integers(0, 14), st.integers(0, 3))))
    def test_corrections_downwards_never_let_too_much_through(
        self, requests: list[tuple[float, int, int, int]]
    ) -> None:
        """Where requests turn out to be smaller than expected, others take their room and not more."""
        window, now = SlidingWindow(LIMIT), NOW
        taken: list[list[float]] = []
        open_ones: list[tuple[Reservation, list[float]]] = []
        for step, amount, truth, ended in requests:
            now += step
            if window.fits(amount, now):
                taken.append([now, amount])
                open_ones.append((window.take(amount, now), taken[-1]))
            for reservation, record in open_ones[:ended]:
                record[1] = min(record[1], truth)
                reservation.settle(int(record[1]))
            del open_ones[:ended]
        self.assertLessEqual(most_in_a_minute(taken), LIMIT)


class CountTests(SynchronousTestCase):
    """What is counted, against a list of all that was ever taken."""

    @given(st.lists(st.tuples(STEPS, AMOUNTS, st.lists(st.tuples(st.integers(0, 60), st.integers(-3, 30))))))
    def test_exactly_the_last_minute_counts(
        self, steps: list[tuple[float, int, list[tuple[int, int]]]]
    ) -> None:
        """What was taken counts as corrected for a minute, a thousandth of that more at most."""
        window, now = SlidingWindow(LIMIT), NOW
        taken: list[list[float]] = []
        reservations: list[Reservation] = []
        for step, amount, corrections in steps:
            now += step
            exact = sum(amount for at, amount in taken if at > now - MINUTE)
            longer = sum(amount for at, amount in taken if at > now - MINUTE - GRAIN)
            used = window.used(now)
            self.assertTrue(exact <= used <= longer, (exact, used, longer))
            self.assertEqual(window.fits(amount, now), used + amount <= LIMIT or used == 0)
            reservations.append(window.take(amount, now))
            taken.append([now, amount])
            for which, truth in corrections:
                at = which % len(taken)
                reservations[at].settle(truth)
                taken[at][1] = max(truth, 0)

    @given(REQUESTS, STEPS, AMOUNTS)
    def test_it_is_known_when_there_will_be_room(
        self, requests: list[tuple[float, int]], step: float, amount: int
    ) -> None:
        """The time that is named for a request is when it fits, and it does not fit any sooner."""
        window, now = SlidingWindow(LIMIT), NOW
        for pause, size in requests:
            now += pause
            window.take(size, now)
        now += step
        at = window.fits_at(amount, now)
        if at > now:
            self.assertFalse(deepcopy(window).fits(amount, now))
            self.assertFalse(deepcopy(window).fits(amount, at - 1 / 1024))
        self.assertTrue(window.fits(amount, at))

    @given(REQUESTS)
    def test_it_is_known_when_less_will_be_used(self, requests: list[tuple[float, int]]) -> None:
        """Until the time that is named nothing changes, and then less is used."""
        window, now = SlidingWindow(LIMIT), NOW
        for step, amount in requests:
            now += step
            window.take(amount, now)
            used, changes = window.look(now)
            later = deepcopy(window)
            self.assertEqual(later.used(changes - 1 / 1024), used)
            self.assertLess(later.used(changes), used)
        self.assertEqual(SlidingWindow(LIMIT).look(now), (0, float("inf")))

    def test_late_corrections_change_nothing(self) -> None:
        """The truth about a request of more than a minute ago is of no interest any more."""
        window = SlidingWindow(LIMIT)
        old = window.take(5, NOW)
        window.take(3, NOW + 60)
        old.settle(100)
        self.assertEqual(window.used(NOW + 60), 3)

    def test_requests_beyond_number_take_little_room(self) -> None:
        """However many requests a minute has, what is remembered of them is bounded."""
        window = SlidingWindow(0)
        for at in range(20_000):
            window.take(1, NOW + at / 200)
        self.assertLessEqual(len(window._slots), 1026)
        self.assertTrue(12_000 <= window.used(NOW + 20_000 / 200) <= 12_015)


class ClockTests(SynchronousTestCase):
    """A clock that is set."""

    def test_a_clock_set_back_does_not_block_for_long(self) -> None:
        """What was taken before the clock was set back by an hour counts for one more minute, not an hour."""
        window = SlidingWindow(LIMIT)
        reservation = window.take(LIMIT, NOW + 3600)
        self.assertEqual(window.fits_at(1, NOW), NOW + 60)
        reservation.settle(LIMIT - 1)
        self.assertEqual(window.used(NOW + 59), LIMIT - 1)
        self.assertEqual(window.used(NOW + 60), 0)

    @given(
        st.lists(st.tuples(STEPS, AMOUNTS, st.sampled_from([0.0, 0.0, 0.0, 0.5, 30.0, 60.0, 61.0, 3600.0])))
    )
    def test_a_clock_set_back_lets_nothing_through(self, steps: list[tuple[float, int, float]]) -> None:
        """However often the clock is set back, no true minute has more than the limit."""
        window, true, shown = SlidingWindow(LIMIT), NOW, NOW
        taken = []
        for step, amount, back in steps:
            true += step
            shown += step - back
            if window.fits(amount, shown):
                window.take(amount, shown)
                taken.append([true, amount])
        self.assertLessEqual(most_in_a_minute(taken), LIMIT)
        self.assertEqual(deepcopy(window).used(shown + 2 * MINUTE + GRAIN), 0)

"""The rules of waiting before a repeat."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.backoff import OVERLOAD_S, Backoff, overload_wait

LUCK = st.floats(0, 1, exclude_max=True)


class BackoffTests(SynchronousTestCase):
    """Decorrelated jitter."""

    @given(st.floats(0.01, 1), st.floats(1, 60), st.lists(LUCK, min_size=1))
    def test_each_wait_is_within_three_times_the_last(
        self, base: float, cap: float, lucks: list[float]
    ) -> None:
        """No wait is shorter than the base, longer than the cap, or than three times the one before."""
        coming = iter(lucks)
        backoff = Backoff(base, cap, lambda: next(coming))
        last = base
        for _ in lucks:
            wait = backoff.next()
            self.assertTrue(base <= wait <= min(cap, last * 3) * (1 + 1e-9))
            last = wait

    def test_waits_grow(self) -> None:
        """With bad luck each wait is three times the last, up to the cap; with good luck it is the base."""
        unlucky = Backoff(0.5, 10.0, lambda: 1 - 2**-53)
        for wanted in (1.5, 4.5, 10.0, 10.0):
            self.assertAlmostEqual(unlucky.next(), wanted)
        lucky = Backoff(0.5, 10.0, lambda: 0.0)
        self.assertEqual([lucky.next() for _ in range(3)], [0.5] * 3)

    def test_those_who_failed_together_come_back_apart(self) -> None:
        """A hundred requests that failed at once wait a hundred different times."""
        chance = Random(1).random
        self.assertEqual(len({Backoff(0.5, 10.0, chance).next() for _ in range(100)}), 100)


class OverloadTests(SynchronousTestCase):
    """How an overloaded provider is asked again."""

    @given(LUCK, st.floats(0, 100))
    def test_with_others_there_is_one_quick_repeat(self, luck: float, elapsed: float) -> None:
        """Where another can be asked, an overloaded provider gets one more try after 100 to 300 ms."""
        wait = overload_wait(0, elapsed, alone=False, chance=lambda: luck)
        assert wait is not None
        self.assertTrue(0.1 <= wait <= 0.3)
        self.assertIsNone(overload_wait(1, elapsed, alone=False, chance=lambda: luck))

    @given(LUCK, LUCK)
    def test_alone_there_are_two_repeats(self, first: float, second: float) -> None:
        """Where nobody else can be asked and the refusals come quickly, there are two repeats."""
        one = overload_wait(0, 0.0, alone=True, chance=lambda: first)
        assert one is not None
        two = overload_wait(1, one, alone=True, chance=lambda: second)
        assert two is not None
        self.assertGreaterEqual(min(one, two), 1.0)
        self.assertLessEqual(one + two, OVERLOAD_S)
        self.assertIsNone(overload_wait(2, one + two, alone=True, chance=lambda: 0.0))

    @given(st.integers(0, 3), st.floats(0, 100), LUCK)
    def test_the_last_begins_within_eight_seconds(self, repeats: int, elapsed: float, luck: float) -> None:
        """However slowly the refusals come, no repeat begins later than eight seconds after the first."""
        wait = overload_wait(repeats, elapsed, alone=True, chance=lambda: luck)
        self.assertTrue(wait is None or elapsed + wait <= 8.0 + 1e-9)

    def test_slow_refusals_are_not_repeated_in_haste(self) -> None:
        """What is left of the eight seconds is used only where it is long enough to help."""
        self.assertEqual(overload_wait(1, 5.5, alone=True, chance=lambda: 0.0), 2.0)
        self.assertIsNone(overload_wait(1, 6.5, alone=True, chance=lambda: 0.0))
        self.assertIsNone(overload_wait(0, 7.5, alone=True, chance=lambda: 0.0))

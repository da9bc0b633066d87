"""The rules of repeating a request in place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.budget import RetryBudget

NOW = 1_700_000_000.0
STEPS = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.5, 3.0, 11.0]), st.booleans()))


class BudgetTests(SynchronousTestCase):
    """How many repeats there may be."""

    def test_a_few_are_always_allowed(self) -> None:
        """Three repeats in ten seconds are allowed however few the requests, and no fourth."""
        budget = RetryBudget()
        self.assertEqual([budget.take(NOW) for _ in range(5)], [True, True, True, False, False])

    def test_a_fifth_of_many_requests_may_be_repeated(self) -> None:
        """Of a hundred requests in ten seconds, twenty may be repeated."""
        budget = RetryBudget()
        for _ in range(100):
            budget.asked(NOW)
        self.assertEqual(budget.left(NOW), 20)
        self.assertEqual(sum(budget.take(NOW) for _ in range(50)), 20)
        self.assertEqual(budget.left(NOW), 0)

    def test_repeats_are_forgotten_after_the_window(self) -> None:
        """What was repeated ten seconds ago leaves room for others."""
        budget = RetryBudget()
        for _ in range(3):
            budget.take(NOW)
        self.assertFalse(budget.take(NOW + 9.9))
        self.assertEqual(budget.left(NOW + 10), 3)

    def test_fewer_requests_take_repeats_away(self) -> None:
        """A burst of requests allows repeats for ten seconds, not for ever."""
        budget = RetryBudget()
        for _ in range(100):
            budget.asked(NOW)
        for _ in range(10):
            self.assertTrue(budget.take(NOW + 5))
        self.assertEqual(budget.left(NOW + 9.9), 10)
        self.assertEqual(budget.left(NOW + 10), 0)
        self.assertEqual(budget.left(NOW + 15), 3)

    def test_looking_takes_nothing(self) -> None:
        """The number of repeats left may be looked at as often as one likes."""
        budget = RetryBudget()
        self.assertEqual({budget.left(NOW) for _ in range(10)}, {3})

    @given(STEPS, st.floats(0, 1), st.integers(0, 5))
    def test_repeats_are_exactly_what_is_allowed(
        self, steps: list[tuple[float, bool]], share: float, floor: int
    ) -> None:
        """A repeat is allowed if and only if with it they are within the share or the floor."""
        budget, now = RetryBudget(share, floor), NOW
        asked: list[float] = []
        taken: list[float] = []
        for step, repeats in steps:
            now += step
            if not repeats:
                budget.asked(now)
                asked.append(now)
                continue
            requests = sum(at > now - 10 for at in asked)
            with_this = sum(at > now - 10 for at in taken) + 1
            allowed = with_this <= floor or with_this <= share * requests
            self.assertEqual(budget.left(now) > 0, allowed)
            self.assertEqual(budget.take(now), allowed)
            if allowed:
                taken.append(now)

    def test_a_clock_set_back_forgets(self) -> None:
        """What was counted before the clock was set back neither stays for good nor denies repeats."""
        budget = RetryBudget()
        for _ in range(3):
            budget.asked(NOW + 3600)
            budget.take(NOW + 3600)
        for second in range(100):
            budget.asked(NOW + second)
        self.assertEqual(budget.left(NOW + 100), 3)
        self.assertLessEqual(len(budget._asked), 10)

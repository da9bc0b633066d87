"""The rules of counting the last requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.tally import Tally

NOW = 1_700_000_000.0


class TallyTests(SynchronousTestCase):
    """Requests and failures of the last while."""

    @given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1), st.sampled_from([20, 40, 100]))
    def test_it_counts_the_window(self, steps: list[tuple[int, bool]], window: int) -> None:
        """What is younger than the window but for a twentieth counts, what is older than it does not."""
        tally, now, ended = Tally(window), NOW, []
        for step, failed in steps:
            now += step
            ended.append((now, failed))
            tally.add(now, failed=failed)
        surely = [failed for at, failed in ended if at > now - window * 19 / 20]
        maybe = [failed for at, failed in ended if at > now - window]
        self.assertTrue(len(surely) <= tally.requests <= len(maybe))
        self.assertTrue(sum(surely) <= tally.failures <= sum(maybe))

    def test_it_stays_small(self) -> None:
        """A hundred thousand requests in an hour take no more room than a few."""
        tally = Tally(60.0)
        for at in range(100_000):
            tally.add(NOW + at * 0.036, failed=at % 2 == 0)
        self.assertLessEqual(len(tally._slices), 20)
        self.assertTrue(57 / 0.036 <= tally.requests <= 60 / 0.036)
        self.assertLessEqual(abs(tally.failures * 2 - tally.requests), 1)

    def test_a_clock_set_back_forgets(self) -> None:
        """What was counted before the clock was set back by a year does not stay for that year."""
        tally = Tally(60.0)
        for at in range(100):
            tally.add(NOW + 31_536_000 + at, failed=True)
        for at in range(1000):
            tally.add(NOW + at, failed=False)
        self.assertEqual(tally.failures, 0)
        self.assertLessEqual(tally.requests, 60)

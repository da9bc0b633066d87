"""The rules of what a key may spend."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.allowance import Allowance, KeyLimits, Lease, Spent
from ccrelay.policy.ask import Ask
from ccrelay.wire.usage import Usage

NOW = 1_700_000_000.0
NEVER = float("inf")


def nothing() -> None:
    """Nobody wants to know."""


def allowance(*, cache_reads: bool = False, **limits: int) -> Allowance:
    """Return an allowance with some limits."""
    return Allowance(KeyLimits(**limits), nothing, cache_reads=cache_reads)


def used(one: Allowance, now: float = NOW) -> dict[str, int]:
    """Return what is used of each limit."""
    return {spent.kind: spent.used for spent in one.spent(now)}


class LimitTests(SynchronousTestCase):
    """What fits."""

    def test_without_limits_everything_fits(self) -> None:
        """A key without limits may be asked at any time, and its requests are counted all the same."""
        one = allowance()
        for _ in range(1000):
            one.take(Ask("m", 10**6, 10**6), NOW)
        self.assertTrue(one.fits(Ask("m", 10**6, 10**6), NOW))
        self.assertEqual(one.spent(NOW), (Spent("requests", 0, 1000),))

    def test_every_limit_holds(self) -> None:
        """Requests, input, output and both together are each limited for themselves."""
        for limit, fits, over in (
            ({"rpm": 2}, Ask("m", 999, 999), None),
            ({"itpm": 10}, Ask("m", 5, 999), Ask("m", 6, 1)),
            ({"otpm": 10}, Ask("m", 999, 5), Ask("m", 1, 6)),
            ({"tpm": 10}, Ask("m", 2, 3), Ask("m", 3, 3)),
        ):
            one = allowance(**limit)
            one.take(Ask("m", 3, 2) if "tpm" in limit else Ask("m", 5, 5), NOW)
            self.assertTrue(one.fits(fits, NOW), limit)
            if over is not None:
                self.assertFalse(one.fits(over, NOW), limit)
            one.take(fits, NOW + 1)
            self.assertFalse(one.fits(fits, NOW + 59), limit)
            self.assertEqual(one.fits_at(fits, NOW + 1), NOW + 60, limit)
            self.assertTrue(one.fits(fits, NOW + 60), limit)

    def test_a_request_over_a_limit_passes_when_nothing_is_used(self) -> None:
        """A request that is larger than the limit of tokens passes alone."""
        one = allowance(itpm=10, rpm=5)
        self.assertTrue(one.fits(Ask("m", 50, 1), NOW))
        one.take(Ask("m", 50, 1), NOW)
        self.assertFalse(one.fits(Ask("m", 1, 1), NOW))
        self.assertEqual(one.fits_at(Ask("m", 1, 1), NOW), NOW + 60)

    def test_nothing_is_free(self) -> None:
        """A request that seems to cost nothing does not pass where there is no room for any."""
        one = allowance(itpm=10)
        one.take(Ask("m", 10, 0), NOW)
        self.assertFalse(one.fits(Ask("m"), NOW))
        self.assertEqual(one.fits_at(Ask("m"), NOW), NOW + 60)

    @given(
        st.fixed_dictionaries(
            {name: st.sampled_from([0, 1, 3, 10]) for name in ("rpm", "itpm", "otpm", "tpm")}
        ),
        st.lists(st.tuples(st.sampled_from([0.0, 0.5, 20.0, 61.0]), st.integers(0, 12), st.integers(0, 12))),
    )
    def test_full_is_when_nothing_fits(
        self, limits: dict[str, int], asks: list[tuple[float, int, int]]
    ) -> None:
        """Before the time at which a key has room nothing fits, and then the least of requests does."""
        one, now = allowance(**limits), NOW
        for step, size, output in asks:
            now += step
            opens, share, busy, _ = one.load(now)
            self.assertEqual(one.fits(Ask("m"), now), opens <= now)
            self.assertEqual(one.fits(Ask("m", 1, 0), now), opens <= now)
            if opens > now:
                self.assertEqual(one.fits_at(Ask("m"), now), opens)
            shares = [spent.used / spent.limit for spent in one.spent(now) if spent.limit]
            self.assertEqual(share, max(shares, default=0.0))
            self.assertEqual(busy, used(one, now)["requests"] + one.in_flight)
            one.take(Ask("m", size, output), now)


class LeaseTests(SynchronousTestCase):
    """What a request holds."""

    def setUp(self) -> None:
        """A key with every limit."""
        self.told = 0
        self.one = Allowance(KeyLimits(100, 1000, 1000, 5000), self.count)

    def count(self) -> None:
        """Count how often something has changed."""
        self.told += 1

    def take(self) -> Lease:
        """Return what a request has reserved."""
        return self.one.take(Ask("m", 100, 50), NOW)

    def spent(self) -> list[int]:
        """Return what is used of all limits."""
        return [spent.used for spent in self.one.spent(NOW)]

    def test_what_is_expected_is_reserved(self) -> None:
        """As long as the truth is not known, the estimate is used."""
        self.take()
        self.assertEqual(self.spent(), [1, 100, 50, 150])
        self.assertEqual((self.one.in_flight, self.one.taken), (1, 1))

    def test_the_truth_replaces_the_estimate(self) -> None:
        """When an answer has ended, what the provider said is used, be it more or less."""
        self.take().settle(Usage(input=30, output=700, cache_read=9000, cache_write=20))
        self.assertEqual(self.spent(), [1, 50, 700, 750])
        self.assertEqual((self.one.in_flight, self.one.taken), (0, 1))

    def test_cache_reads_count_where_the_operator_says_so(self) -> None:
        """With C{count_cache_reads}, what was read from the prompt cache is used too."""
        one = allowance(cache_reads=True, itpm=10)
        one.take(Ask("m", 3, 1), NOW).settle(Usage(input=1, cache_read=5))
        self.assertEqual(used(one)["input-tokens"], 6)

    def test_what_was_not_said_stays_as_expected(self) -> None:
        """Of an answer without usage the estimate stays, half of it where half was said."""
        self.take().settle(Usage())
        self.assertEqual(self.spent(), [1, 100, 50, 150])
        self.take().settle(Usage(output=10))
        self.assertEqual(self.spent(), [2, 200, 60, 260])

    def test_the_beginning_of_an_answer_is_not_all_of_it(self) -> None:
        """While an answer goes on its input is known, but the few tokens that came are not its output."""
        lease = self.take()
        lease.correct(Usage(input=10, output=1))
        self.assertEqual(self.spent(), [1, 10, 50, 60])
        lease.correct(Usage(input=10, output=80))
        self.assertEqual(self.spent(), [1, 10, 80, 90])
        lease.settle(Usage(input=10, output=5))
        self.assertEqual(self.spent(), [1, 10, 5, 15])

    def test_an_answer_that_was_cut_short_had_more_output_than_was_said(self) -> None:
        """Who hangs up after the first event has used more than the one token that it told of."""
        self.take().settle(Usage(input=10, output=1), cut_short=True)
        self.assertEqual(self.spent(), [1, 10, 50, 60])
        self.take().settle(Usage(input=10, output=400), cut_short=True)
        self.assertEqual(self.spent(), [2, 20, 450, 470])

    def test_a_refused_request_is_a_request(self) -> None:
        """What was refused has used no tokens, but it counts as a request."""
        self.take().settle(Usage(0, 0))
        self.assertEqual(self.spent(), [1, 0, 0, 0])

    def test_what_never_reached_the_provider_costs_nothing(self) -> None:
        """A request that could not be sent leaves everything as it was."""
        self.take().release()
        self.assertEqual(self.spent(), [0, 0, 0, 0])
        self.assertEqual(self.one.in_flight, 0)

    def test_less_than_nothing_is_nothing(self) -> None:
        """A provider's odd numbers give nobody room that there is not."""
        self.take().settle(Usage(input=-500, output=-500))
        self.take().settle(Usage(input=100, output=-50))
        self.assertEqual(self.spent(), [2, 100, 0, 100])

    @given(st.lists(st.sampled_from(["correct", "settle", "release"]), max_size=6))
    def test_the_first_end_is_the_only_one(self, calls: list[str]) -> None:
        """However a request ends and whatever is called later, it is returned once."""
        one = allowance(itpm=1000)
        lease = one.take(Ask("m", 100, 50), NOW)
        expected, ended = [1, 100], False
        for at, call in enumerate(calls, 1):
            getattr(lease, call)(*(() if call == "release" else (Usage(at, at),)))
            if not ended:
                expected = [0, 0] if call == "release" else [1, at]
                ended = call != "correct"
            self.assertEqual([spent.used for spent in one.spent(NOW)], expected)
            self.assertEqual(one.in_flight, 0 if ended else 1)

    def test_whoever_wants_to_know_is_told(self) -> None:
        """Every change is told: when something is reserved, corrected, settled and released."""
        first, second = self.take(), self.take()
        self.assertEqual(self.told, 2)
        first.correct(Usage(input=1))
        first.settle(Usage(input=1))
        second.release()
        self.assertEqual(self.told, 5)
        first.settle(Usage(input=2))
        second.correct(Usage(input=2))
        second.release()
        self.one.fits(Ask("m"), NOW)
        self.one.load(NOW + 100)
        self.assertEqual(self.told, 5)
        self.one.adapt(KeyLimits(), cache_reads=False)
        self.assertEqual(self.told, 6)


class ReloadTests(SynchronousTestCase):
    """What a reload changes."""

    def test_what_was_used_is_held_to_the_new_limits(self) -> None:
        """A limit that is lowered or raised holds at once, for what was used before too."""
        one = allowance(rpm=10, itpm=100)
        for at in range(4):
            one.take(Ask("m", 10, 1), NOW + at)
        one.adapt(KeyLimits(rpm=2, itpm=100), cache_reads=False)
        self.assertFalse(one.fits(Ask("m", 1, 1), NOW + 4))
        self.assertEqual(one.fits_at(Ask("m", 1, 1), NOW + 4), NOW + 62)
        one.adapt(KeyLimits(rpm=10, itpm=45), cache_reads=False)
        self.assertTrue(one.fits(Ask("m", 5, 1), NOW + 4))
        self.assertFalse(one.fits(Ask("m", 6, 1), NOW + 4))
        one.adapt(KeyLimits(rpm=10, itpm=46), cache_reads=False)
        self.assertTrue(one.fits(Ask("m", 6, 1), NOW + 4))

    def test_requests_are_always_counted(self) -> None:
        """A limit of requests that is new holds for the requests of the last minute too."""
        one = allowance()
        one.take(Ask("m"), NOW)
        one.adapt(KeyLimits(rpm=1), cache_reads=False)
        self.assertFalse(one.fits(Ask("m"), NOW + 59))

    def test_tokens_of_a_new_limit_count_from_now_on(self) -> None:
        """What was not limited was not counted: requests that are under way do not use the new limit."""
        one = allowance(itpm=100)
        lease = one.take(Ask("m", 10, 10), NOW)
        one.adapt(KeyLimits(itpm=100, otpm=100), cache_reads=False)
        lease.settle(Usage(20, 20))
        one.take(Ask("m", 1, 1), NOW)
        self.assertEqual(used(one), {"requests": 2, "input-tokens": 21, "output-tokens": 1})
        self.assertEqual(one.in_flight, 1)

    def test_a_limit_that_is_gone_holds_nobody(self) -> None:
        """A limit that was taken away is neither held nor shown, and what ends later does no harm."""
        one = allowance(itpm=10, tpm=50)
        lease = one.take(Ask("m", 10, 10), NOW)
        one.adapt(KeyLimits(tpm=50), cache_reads=False)
        self.assertTrue(one.fits(Ask("m", 30, 0), NOW))
        lease.settle(Usage(5, 5))
        self.assertEqual(used(one), {"requests": 1, "tokens": 10})

    def test_cache_reads_count_from_now_on(self) -> None:
        """Whether cache reads count is decided when a request begins."""
        one = allowance(itpm=1000)
        before = one.take(Ask("m", 1, 1), NOW)
        one.adapt(KeyLimits(itpm=1000), cache_reads=True)
        after = one.take(Ask("m", 1, 1), NOW)
        before.settle(Usage(input=1, cache_read=100))
        after.settle(Usage(input=1, cache_read=100))
        self.assertEqual(used(one)["input-tokens"], 1 + 101)

"""The rules of a series of attempts: who is asked next, when it ends, and what is then the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Broken, Unreachable
from ccrelay.policy.keys import Key
from ccrelay.policy.plan import Bounds, Outcome, attempts, most_useful
from ccrelay.policy.route import Route
from ccrelay.policy.verdict import Complaint, Verdict

FAILING = (Verdict.KEY, Verdict.BUSY, Verdict.BROKEN)


def route(provider: str, key: str) -> Route:
    """Return a route."""
    return Route(provider, 1, Key(key), "m")


def refusal(status: int, kind: str = "x_error") -> Complaint:
    """Return a provider's refusal."""
    return Complaint(Verdict.BROKEN, status, kind, "words")


@dataclass(frozen=True)
class How:
    """How one attempt is going to end, and how many seconds it takes."""

    verdict: Verdict
    begun: bool = False
    seconds: float = 0.0


def driven(
    routes: Sequence[Route], hows: Sequence[How], bounds: Bounds
) -> tuple[list[Route], tuple[Outcome, ...], float]:
    """
    Drive a plan to its end.

    @return: the routes that were asked for, the outcomes, and the time at which the last attempt began.
    """
    now = started = 1000.0
    plan = attempts(routes, bounds, started)
    asked: list[Route] = []
    began = 0.0
    outcome = None
    coming = iter(hows)
    while True:
        try:
            tried = plan.send(outcome)
        except StopIteration as end:
            return asked, end.value, began
        asked.append(tried)
        began = now - started
        how = next(coming)
        now += how.seconds
        outcome = Outcome(tried, how.verdict, now, how.begun)


ROUTES = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 3)), unique=True, max_size=12).map(
    lambda names: [route(provider, f"{provider}{key}") for provider, key in names]
)
ENDINGS = st.builds(
    How,
    st.sampled_from((*FAILING * 3, Verdict.OK, Verdict.CLIENT)),
    st.sampled_from([False] * 9 + [True]),
    st.floats(0, 20),
)
ANY = st.lists(ENDINGS, min_size=12, max_size=12)
BOUNDS = st.builds(Bounds, st.integers(1, 8), st.floats(1, 100))


class SeriesTests(SynchronousTestCase):
    """What holds for any routes and any outcomes."""

    @given(ROUTES, ANY, BOUNDS)
    def test_nobody_is_asked_after_an_answer(
        self, routes: list[Route], hows: list[How], bounds: Bounds
    ) -> None:
        """Once something reached the client, or the request itself is at fault, nobody else is asked."""
        _, outcomes, _ = driven(routes, hows, bounds)
        for outcome in outcomes[:-1]:
            self.assertFalse(outcome.begun)
            self.assertIn(outcome.verdict, FAILING)

    @given(ROUTES, ANY, BOUNDS)
    def test_no_route_is_asked_twice(self, routes: list[Route], hows: list[How], bounds: Bounds) -> None:
        """Each route is tried once at most, in the order of preference."""
        asked, _, _ = driven(routes, hows, bounds)
        places = [next(at for at, known in enumerate(routes) if known is tried) for tried in asked]
        self.assertEqual(places, sorted(set(places)))

    @given(ROUTES, ANY, BOUNDS)
    def test_bounds_hold(self, routes: list[Route], hows: list[How], bounds: Bounds) -> None:
        """There are no more attempts than allowed, and none begins after the time is up."""
        asked, _, began = driven(routes, hows, bounds)
        self.assertLessEqual(len(asked), bounds.attempts)
        self.assertTrue(len(asked) < 2 or began < bounds.seconds)

    @given(ROUTES, ANY, BOUNDS)
    def test_a_failed_provider_is_left(self, routes: list[Route], hows: list[How], bounds: Bounds) -> None:
        """Another key of the same provider is asked only where it was the key that was refused."""
        _, outcomes, _ = driven(routes, hows, bounds)
        for at, outcome in enumerate(outcomes):
            if outcome.verdict is not Verdict.KEY:
                self.assertNotIn(outcome.route.provider, [o.route.provider for o in outcomes[at + 1 :]])

    @given(ROUTES, ANY, BOUNDS)
    def test_it_ends_for_a_reason(self, routes: list[Route], hows: list[How], bounds: Bounds) -> None:
        """A series that nobody answered ends only when routes, attempts or time have run out."""
        asked, outcomes, _ = driven(routes, hows, bounds)
        assume(routes)
        last = outcomes[-1]
        dead = {o.route.provider for o in outcomes if o.verdict is not Verdict.KEY}
        left = [r for r in routes if r.provider not in dead and not any(r is tried for tried in asked)]
        self.assertTrue(
            last.begun
            or last.verdict not in FAILING
            or not left
            or len(asked) == bounds.attempts
            or last.ended - 1000.0 >= bounds.seconds
        )

    @given(ROUTES, ANY, BOUNDS)
    def test_every_attempt_is_told(self, routes: list[Route], hows: list[How], bounds: Bounds) -> None:
        """The outcomes are those of the attempts, each once and in their order."""
        asked, outcomes, _ = driven(routes, hows, bounds)
        self.assertEqual([id(o.route) for o in outcomes], [id(tried) for tried in asked])


class ExampleTests(SynchronousTestCase):
    """The same in single cases."""

    def setUp(self) -> None:
        """Have two providers, the first with two keys."""
        self.a1, self.a2, self.b = route("a", "1"), route("a", "2"), route("b", "1")
        self.routes = [self.a1, self.a2, self.b]
        self.bounds = Bounds(4, 180)

    def asked(self, *hows: How, bounds: Bounds | None = None) -> list[Route]:
        return driven(self.routes, hows, bounds or self.bounds)[0]

    def test_a_refused_key(self) -> None:
        """After a 429 the next key of the same provider is asked, then the next provider."""
        asked = self.asked(How(Verdict.KEY), How(Verdict.KEY), How(Verdict.OK))
        self.assertEqual([id(r) for r in asked], [id(self.a1), id(self.a2), id(self.b)])

    def test_a_broken_or_busy_provider(self) -> None:
        """After an overload or a failure the other keys of that provider are passed over."""
        for verdict in (Verdict.BUSY, Verdict.BROKEN):
            self.assertEqual(self.asked(How(verdict), How(Verdict.OK)), [self.a1, self.b])

    def test_an_answer_ends_it(self) -> None:
        """An answer, a request that is at fault, and an answer that broke off are each the last word."""
        for how in (How(Verdict.OK), How(Verdict.CLIENT), How(Verdict.BROKEN, begun=True)):
            self.assertEqual(self.asked(how), [self.a1])

    def test_time_is_counted_to_the_end_of_an_attempt(self) -> None:
        """A long attempt is not cut, but nothing begins after it once the time is up."""
        self.assertEqual(len(self.asked(How(Verdict.KEY, seconds=180))), 1)
        self.assertEqual(len(self.asked(How(Verdict.KEY, seconds=179.9), How(Verdict.OK))), 2)

    def test_one_attempt_at_most(self) -> None:
        """With a bound of one there is no second attempt."""
        self.assertEqual(len(self.asked(How(Verdict.KEY), bounds=Bounds(1, 180))), 1)

    def test_no_route_at_all(self) -> None:
        """Without a route nobody is asked and there is no outcome."""
        self.assertEqual(driven([], (), self.bounds)[:2], ([], ()))

    def test_the_routes_are_not_used_up(self) -> None:
        """What a request tries is its own affair: the list it was given stays as it was."""
        self.asked(How(Verdict.BROKEN), How(Verdict.BROKEN))
        self.assertEqual(len(self.routes), 3)


class MostUsefulTests(SynchronousTestCase):
    """The answer when nobody answered."""

    def failed(self, *statuses: int | None) -> list[Outcome]:
        """Return outcomes: refusals by their status, None where no provider said anything."""
        return [
            Outcome(
                route(f"p{at}", "k"), Verdict.BROKEN, 0.0,
                complaint=None if status is None else refusal(status),
                error=Unreachable("connection refused") if status is None else None,
            )
            for at, status in enumerate(statuses)
        ]  # fmt: skip

    def chosen(self, *statuses: int | None) -> int | None:
        """Return the place of the one that is chosen."""
        failures = self.failed(*statuses)
        found = most_useful(failures)
        return None if found is None else next(at for at, o in enumerate(failures) if o is found)

    def test_the_order(self) -> None:
        """The last 429, else the last 401 or 403, else the last 404, else the last refusal."""
        self.assertEqual(self.chosen(429, 401, 429, 404, 500), 2)
        self.assertEqual(self.chosen(403, 401, 404, 529), 1)
        self.assertEqual(self.chosen(401, 403, 404, 529), 1)
        self.assertEqual(self.chosen(404, 500, 404, 529), 2)
        self.assertEqual(self.chosen(500, 529, 503), 2)
        self.assertEqual(self.chosen(402, 500), 1)

    def test_silence_says_nothing(self) -> None:
        """A provider that could not be reached has no words; another's refusal is more useful."""
        self.assertEqual(self.chosen(None, 500, None), 1)
        self.assertIsNone(self.chosen(None, None))
        self.assertIsNone(self.chosen())

    @given(st.lists(st.sampled_from([None, 401, 402, 403, 404, 408, 429, 500, 503, 529]), max_size=6))
    def test_nothing_better_is_passed_over(self, statuses: list[int | None]) -> None:
        """Whatever failed how, nothing of a higher rank, and nothing later of the same, is passed over."""
        ranks = {429: 3, 401: 2, 403: 2, 404: 1}
        best = max(
            ((ranks.get(s, 0), at) for at, s in enumerate(statuses) if s is not None), default=(None, None)
        )
        self.assertEqual(self.chosen(*statuses), best[1])


class ReasonTests(SynchronousTestCase):
    """Why an attempt ended, in the log."""

    def test_reasons(self) -> None:
        """A refusal is told by status and type, a failure by its words, the rest by its verdict."""
        where = route("a", "1")
        refused = Outcome(where, Verdict.KEY, 0.0, complaint=refusal(429, "rate_limit_error"))
        self.assertEqual(refused.reason, "429 rate_limit_error")
        self.assertEqual(Outcome(where, Verdict.BROKEN, 0.0, error=Broken("not HTTP")).reason, "not HTTP")
        self.assertEqual(Outcome(where, Verdict.OK, 0.0).reason, "ok")

"""The rules of a series of attempts that hold always, and of the answer if nobody answered."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.allowance import KeyLimits
from ccrelay.policy.breaker import State, Thresholds
from ccrelay.policy.budget import RetryBudget
from ccrelay.policy.keys import Key
from ccrelay.policy.outcome import Outcome
from ccrelay.policy.plan import Bounds, most_useful
from ccrelay.policy.route import Route
from ccrelay.policy.verdict import Verdict
from tests.policy import script
from tests.policy.script import How, Play, play, refused
from tests.policy.stage import OPUS, Stage, at

OVERLOADS = [script.OVERLOADED, refused(529, retry_after="1"), refused(529, retry_after="4")]
FAILURES = [
    script.BROKEN, script.UNREACHABLE, script.NONE_FREE, script.NO_TLS, script.SLOW, script.STALLED,
    script.UNFIT, refused(500), refused(503, retry_after="2"), refused(502, retry_after="6"), refused(408),
    refused(404, mapped=True), refused(404, mapped=True, x_should_retry="true"),
]  # fmt: skip
KEYS = [
    refused(401), refused(402), refused(403), refused(403, "Your account is disabled"), refused(429),
    refused(429, retry_after="3"), refused(429, retry_after="5"), refused(429, retry_after="60"),
    refused(403, x_should_retry="true"),
]  # fmt: skip
ASKED_FOR = [
    refused(status, x_should_retry=said) for status in (400, 429, 500, 529) for said in ("true", "false")
]
ANSWERS = [script.OK, script.BROKE_OFF, refused(400), refused(404)]
GROUPS = (OVERLOADS, FAILURES, KEYS, ASKED_FOR, ANSWERS)
LAYOUTS = ["a1", "a1 a2", "a1 b1", "a1 a2 b1 b2", "a1 a2 a3 b1 c1", "a1 b1 c1 d1"]


@dataclass(frozen=True)
class Scene:
    """A stage on which this and that has happened already, what will happen, and how long it may go on."""

    stage: Stage
    hows: list[How]
    bounds: Bounds

    def play(self, leaves: int = 1000) -> Play:
        return play(self.stage, self.hows, self.bounds, self.stage.selection(), leaves)


def scene(seed: int) -> Scene:
    """Return the scene of a number: drawn this way a hundred take no longer than ten drawn part by part."""
    dice = Random(seed)
    stage = Stage(
        dice.choice(LAYOUTS),
        strategy=dice.choice(["failover", "round_robin", "shuffle", "least_loaded", "cost_based"]),
        thresholds=Thresholds(failures=dice.randint(1, 5), half_open_probes=1),
        limits=dice.choice([None, None, KeyLimits(rpm=1), KeyLimits(rpm=3)]),
        pooling=dice.choice(["least_loaded", "round_robin", "random", "weighted"]),
        budget=RetryBudget(0.0, floor=dice.choice([0, 1, 2, 6, 6]), window=1e6),
        seed=dice.randint(0, 99),
        affinity=dice.random() < 0.7,
    )
    if dice.random() < 0.3:
        stage.served("s", dice.choice(list(stage.keys)))
    if dice.random() < 0.2:
        stage.open(dice.choice(list(stage.backends)))
    if dice.random() < 0.2:
        stage.keys[dice.choice(list(stage.keys))].invalidate(at(0).wall)
    hows = []
    for _ in range(10):
        how = dice.choice(dice.choice(GROUPS[: dice.randint(2, 5)]))
        hows.append(how.after(how.seconds + dice.choice([0.0, 0.0, 0.01, 1.0, 3.0, 40.0])))
    bounds = Bounds(
        dice.randint(1, 8), dice.choice([1.0, 20.0, 180.0, 180.0]), dice.choice([0.0, 1.0, 5.0, 5.0])
    )
    return Scene(stage, hows, bounds)


SCENES = st.integers(0, 2**32 - 1).map(scene)
always = settings(max_examples=100)


def places(done: Play) -> list[tuple[str, Key | None]]:
    """Return where each attempt went."""
    return [(trying.route.provider, trying.route.key) for trying in done.tries]


def earlier(done: Play, number: int) -> list[Outcome]:
    """Return the outcomes of the earlier attempts at the very place of one, the last one last."""
    there = places(done)
    return [done.outcomes[n] for n in range(number) if there[n] == there[number]]


class AlwaysTests(SynchronousTestCase):
    """What holds on any stage and for any script."""

    @always
    @given(SCENES)
    def test_nobody_is_asked_after_an_answer(self, scene: Scene) -> None:
        """Once content reached the client nobody else is asked, nor about what is the request's own fault."""
        done = scene.play()
        there = places(done)
        for number, outcome in enumerate(done.outcomes[:-1]):
            self.assertFalse(outcome.begun)
            self.assertIsNot(outcome.verdict, Verdict.OK)
            if outcome.verdict is Verdict.CLIENT:
                self.assertIs(outcome.should_retry, True)
                self.assertEqual(there[number + 1], there[number])

    @always
    @given(SCENES)
    def test_bounds_hold(self, scene: Scene) -> None:
        """There are no more attempts than allowed, none begins and nothing is waited for once time is up."""
        done = scene.play()
        self.assertLessEqual(len(done.tries), scene.bounds.attempts)
        for moment in done.began[1:]:
            self.assertLess(moment.clock - at(0).clock, scene.bounds.seconds)
        ended = done.outcomes[-1].at if done.outcomes else at(0)
        self.assertEqual(done.over, ended, "a pause that leads to nothing")

    @always
    @given(SCENES)
    def test_untried_places_go_first(self, scene: Scene) -> None:
        """Nobody waits to ask again while another could be asked, but for a moment and once for overload."""
        done = scene.play()
        quick = set()
        for number, untried in done.untried.items():
            last = done.outcomes[number - 1]
            if not untried or last.verdict is Verdict.CLIENT:
                continue
            self.assertIs(last.verdict, Verdict.BUSY)
            self.assertTrue(0.1 <= done.pauses[number] <= 0.3)
            self.assertNotIn(last.route.key, quick)
            quick.add(last.route.key)

    @always
    @given(SCENES)
    def test_a_failed_provider_is_left(self, scene: Scene) -> None:
        """Another key of the same provider is asked only where it was the key that was refused."""
        there = places(done := scene.play())
        for number, outcome in enumerate(done.outcomes):
            if outcome.verdict is not Verdict.KEY:
                tried = there[: number + 1]
                others = [one for one in there[number + 1 :] if one not in tried]
                self.assertNotIn(outcome.route.provider, [provider for provider, _ in others])

    @always
    @given(SCENES)
    def test_it_ends_for_a_reason(self, scene: Scene) -> None:
        """A series without an answer goes on while there are attempts, time and places that could serve."""
        done = scene.play()
        if not done.outcomes:
            return
        last = done.outcomes[-1]
        spent = (
            len(done.tries) == scene.bounds.attempts or last.at.clock - at(0).clock >= scene.bounds.seconds
        )
        if not (last.begun or last.verdict in {Verdict.OK, Verdict.CLIENT} or spent):
            self.assertEqual(scene.stage.untried(done.outcomes, last.at), [])

    @always
    @given(SCENES, st.integers(0, 8))
    def test_nothing_is_held(self, scene: Scene, leaves: int) -> None:
        """However a series ends, with the client leaving too, keys and breakers have back what they gave."""
        done = scene.play(leaves)
        self.assertEqual(scene.stage.held(), {})
        if len(done.outcomes) == len(done.tries):
            self.assertEqual(done.returned, tuple(done.outcomes))


class RepeatTests(SynchronousTestCase):
    """What holds of repeats in place, on any stage and for any script."""

    @always
    @given(SCENES)
    def test_a_repeat_is_a_repeat(self, scene: Scene) -> None:
        """What is asked a second time says so, and each time takes a pause and a part of the budget."""
        before = scene.stage.routing.budget.left(at(0).wall)
        done = scene.play()
        repeats = [number for number in range(len(done.tries)) if earlier(done, number)]
        self.assertEqual(repeats, [number for number, trying in enumerate(done.tries) if trying.repeat])
        self.assertEqual(repeats, sorted(done.pauses))
        self.assertEqual(scene.stage.routing.budget.left(done.over.wall), before - len(repeats))
        if not scene.bounds.longest_wait:
            self.assertEqual(repeats, [])

    @always
    @given(SCENES)
    def test_nobody_comes_back_sooner_than_asked_to(self, scene: Scene) -> None:
        """A repeat waits as long as the provider asked for, if that is no longer than is ever waited."""
        done = scene.play()
        for number in done.pauses:
            last = earlier(done, number)[-1]
            wait = last.retry_after or 0.0
            self.assertLessEqual(wait, scene.bounds.longest_wait)
            self.assertGreaterEqual(done.began[number].clock - last.at.clock, wait - 1e-6)

    @always
    @given(SCENES)
    def test_who_wants_no_repeat_gets_none(self, scene: Scene) -> None:
        """`x-should-retry: false`, a timeout, a bad certificate and a quota that is used up are final."""
        done = scene.play()
        for number in done.pauses:
            last = earlier(done, number)[-1]
            self.assertIsNot(last.should_retry, False)
            final = (script.SLOW, script.STALLED, script.NONE_FREE, script.NO_TLS, script.UNFIT)
            self.assertNotIn(last.error, [how.error for how in final])
            self.assertNotIn(last.status, {401, 402})

    @always
    @given(SCENES)
    def test_who_asks_for_a_repeat_gets_one(self, scene: Scene) -> None:
        """`x-should-retry: true` allows one repeat, and no more, of what would not be repeated else."""
        done = scene.play()
        for number in done.pauses:
            there = [outcome.status for outcome in earlier(done, number)]
            invited = [status for status in there if status in {400, 403, 404}]
            self.assertLessEqual(len(invited), 1)

    @always
    @given(SCENES)
    def test_what_fails_is_not_asked_twice(self, scene: Scene) -> None:
        """A repeat goes only through a closed circuit: what keeps failing is not asked once more."""
        done = scene.play()
        for number in done.pauses:
            self.assertIs(done.states[number], State.CLOSED)

    @always
    @given(SCENES)
    def test_overload_ends_within_eight_seconds(self, scene: Scene) -> None:
        """A provider is asked again for overload twice at most, and within 8 s of its first refusal."""
        done = scene.play()
        for number in done.pauses:
            overloads = [o for o in earlier(done, number) if o.verdict is Verdict.BUSY]
            if overloads and earlier(done, number)[-1].verdict is Verdict.BUSY:
                self.assertLessEqual(len(overloads), 2)
                self.assertLessEqual(done.began[number].clock - overloads[0].at.clock, 8.0 + 1e-6)


class MostUsefulTests(SynchronousTestCase):
    """The answer when nobody answered."""

    def failed(self, *statuses: int | None) -> list[Outcome]:
        """Return outcomes: refusals by their status, None where no provider said anything."""
        return [
            (script.UNREACHABLE if status is None else How(Verdict.BROKEN, status)).of(
                Route(f"p{number}", Key("k"), OPUS), at(0)
            )
            for number, status in enumerate(statuses)
        ]

    def chosen(self, *statuses: int | None) -> int | None:
        """Return the place of the one that is chosen."""
        failures = self.failed(*statuses)
        found = most_useful(failures)
        return None if found is None else next(n for n, outcome in enumerate(failures) if outcome is found)

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

    @settings(max_examples=50)
    @given(st.lists(st.sampled_from([None, 401, 402, 403, 404, 408, 429, 500, 503, 529]), max_size=6))
    def test_nothing_better_is_passed_over(self, statuses: list[int | None]) -> None:
        """Whatever failed how, nothing of a higher rank, and nothing later of the same, is passed over."""
        ranks = {429: 3, 401: 2, 403: 2, 404: 1}
        best = max(
            ((ranks.get(s, 0), n) for n, s in enumerate(statuses) if s is not None), default=(None, None)
        )
        self.assertEqual(self.chosen(*statuses), best[1])

"""The rules of where one request goes, and goes next."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.allowance import KeyLimits
from ccrelay.policy.breaker import State, Thresholds
from ccrelay.policy.selection import Selection
from ccrelay.wire.usage import NOTHING_KNOWN
from tests.policy.script import BROKEN, OK, OVERLOADED, UNFIT, How, end, refused
from tests.policy.stage import HAIKU, NOW, OPUS, Stage, at

LATER = NOW + 3600.0
NO_CREDIT = refused(402)


def order(selection: Selection, how: How = NO_CREDIT, now: float = NOW) -> str:
    """Return the keys that are asked with if all attempts end that way; C{-} is the client's bearer."""
    asked = []
    while (trying := selection.next(now)) is not None:
        asked.append(f"{trying.route.provider}-" if trying.route.key is None else trying.route.key.name)
        end(trying, how, at(now - NOW))
        selection.failed(how.of(trying.route, at(now - NOW)))
    return " ".join(asked)


class OrderTests(SynchronousTestCase):
    """Who goes before whom."""

    def test_the_clients_own_bearer_first(self) -> None:
        """Where the client's own bearer is welcome it goes first, then the conversation's place."""
        stage = Stage("a1 b1 c")
        stage.served("s", "b1")
        self.assertEqual(order(stage.selection(own="ac")), "a- c- b1 a1")

    def test_the_conversations_place(self) -> None:
        """A conversation goes to its provider and key before all others."""
        for name in ("a2", "b1", "b2"):
            stage = Stage("a1 a2 b1 b2")
            stage.served("s", name)
            self.assertEqual(order(stage.selection())[:2], name)

    def test_another_key_of_its_provider(self) -> None:
        """Where its key cannot serve, another key of its provider goes before another provider."""
        stage = Stage("a1 b1 b2")
        stage.served("s", "b1")
        stage.keys["b1"].bar(LATER)
        self.assertEqual(order(stage.selection()), "b2 a1")

    def test_the_strategy(self) -> None:
        """Without a place it is as the strategy says: by priority, then as in the file."""
        stage = Stage("a1 b1 c1")
        stage.backends["c"].priority = 2
        self.assertEqual(order(stage.selection("")), "c1 a1 b1")

    def test_a_return_that_is_due(self) -> None:
        """When it is time to return, the preferred provider is asked before the present place."""
        stage = Stage("a1 b1 c1")
        stage.served("s", "b1")
        stage.served("s", "c1", NOW + 1)
        self.assertEqual(order(stage.selection(now=NOW + 59), now=NOW + 59), "c1 a1 b1")
        stage = Stage("a1 b1 c1")
        stage.served("s", "b1")
        stage.served("s", "c1", NOW + 1)
        self.assertEqual(order(stage.selection(now=NOW + 62), now=NOW + 62), "b1 c1 a1")

    def test_turns_are_taken_once_and_only_by_the_new(self) -> None:
        """New conversations take turns; those with a place, and looking, take none."""
        stage = Stage("a1 b1 c1", strategy="round_robin")
        stage.served("old", "b1")
        asked = []
        for number in range(6):
            end(stage.trying("old"), OK)
            selection = stage.selection(f"s{number}")
            selection.lead(NOW)
            selection.lead(NOW)
            trying = selection.next(NOW)
            assert trying is not None
            end(trying, OK)
            asked.append(trying.route.provider)
        self.assertEqual(Counter(asked), {"a": 2, "b": 2, "c": 2})

    def test_those_who_must_leave_are_shared_out(self) -> None:
        """Conversations whose provider fails are dealt out to the others, not all sent to the next."""
        stage = Stage("a1 b1 c1", strategy="round_robin")
        for number in range(6):
            stage.served(f"s{number}", "a1")
        stage.open("a")
        asked = Counter(stage.trying(f"s{number}").route.provider for number in range(6))
        self.assertEqual(asked, {"b": 3, "c": 3})

    def test_shares_are_of_those_that_serve(self) -> None:
        """Where shares are dealt, who cannot serve gets no turn, so the others' stay even."""
        stage = Stage("a1 b1 c1", strategy="round_robin")
        stage.open("b")
        asked = Counter(stage.trying(f"s{number}").route.provider for number in range(6))
        self.assertEqual(asked, {"a": 3, "c": 3})


class LeavingTests(SynchronousTestCase):
    """Who is passed over."""

    def test_a_provider_that_failed(self) -> None:
        """Unless a key was at fault, a provider that failed is left with all its keys, own bearer too."""
        for how in (BROKEN, OVERLOADED, UNFIT, refused(500), refused(404, mapped=True)):
            self.assertEqual(order(Stage("a1 a2 b1").selection("", own="a"), how), "a- b1")

    def test_a_key_that_was_refused(self) -> None:
        """A refused key leaves the others of its provider; no place is tried twice."""
        for how in (refused(401), refused(403), refused(429), refused(429, retry_after="9")):
            self.assertEqual(order(Stage("a1 a2 b1").selection(""), how), "a1 a2 b1")

    def test_one_that_goes_before_others(self) -> None:
        """A key that was tried is no reason not to try the ones behind it."""
        stage = Stage("a1 a2")
        stage.keys["a1"].priority = 2
        stage.keys["a2"].limited(NOW, None)
        self.assertEqual(order(stage.selection(""), refused(429)), "a1 a2")

    def test_who_cannot_serve(self) -> None:
        """An open circuit, and a key that is invalid, exhausted, waiting or full, are passed over."""
        stage = Stage("a1 b1 c1 d1 e1 f1", limits=KeyLimits(rpm=1))
        stage.open("a")
        stage.keys["b1"].invalidate(NOW)
        stage.keys["c1"].bar(LATER)
        stage.keys["d1"].limited(NOW, 9.0)
        stage.keys["e1"].reserve(stage.ways()[4].ask, NOW)
        self.assertEqual(order(stage.selection("")).split()[0], "f1")

    def test_one_models_wait(self) -> None:
        """A key that waits for one model serves the others."""
        stage = Stage("a1 b1")
        stage.keys["a1"].limited(NOW, 9.0, OPUS)
        self.assertEqual(stage.trying("").route.provider, "b")
        self.assertEqual(stage.trying("", model=HAIKU).route.provider, "a")

    def test_what_is_true_now(self) -> None:
        """Each choice is made when it is needed: who frees meanwhile is asked, who fails is not."""
        stage = Stage("a1 b1")
        stage.keys["b1"].limited(NOW, 9.0)
        selection = stage.selection("")
        stage.open("a")
        trying = selection.next(NOW + 9)
        assert trying is not None
        self.assertEqual(trying.route.provider, "b")


class LastResortTests(SynchronousTestCase):
    """What happens if every circuit is open."""

    def stage(self) -> Stage:
        """Return one where all circuits are open, and b's is due first."""
        stage = Stage("a1 b1", thresholds=Thresholds(half_open_probes=1))
        stage.open("b", NOW - 1)
        stage.open("a")
        return stage

    def test_the_one_due_soonest(self) -> None:
        """The provider due soonest is asked through its half-open gate, and the next one after it."""
        self.assertEqual(order(self.stage().selection(""), BROKEN), "b1 a1")
        self.assertEqual(order(self.stage().selection("s"), refused(402)), "b1 a1")

    def test_through_the_gate(self) -> None:
        """The gate lets as many through as it has places; then the next due, then nobody."""
        stage = self.stage()
        first = stage.trying("1")
        self.assertIs(stage.breakers.of("b").state(NOW), State.HALF_OPEN)
        self.assertEqual((first.route.provider, stage.trying("2").route.provider), ("b", "a"))
        self.assertIsNone(stage.next("3"))
        first.end(None, NOTHING_KNOWN, NOW)
        self.assertEqual(stage.trying("4").route.provider, "b")

    def test_only_with_a_key(self) -> None:
        """Whoever is due soonest without a usable key is no resort."""
        stage = self.stage()
        stage.keys["b1"].bar(LATER)
        self.assertEqual(stage.trying("").route.provider, "a")
        stage.keys["a1"].bar(LATER)
        self.assertIsNone(stage.next("1"))

    def test_after_all_others(self) -> None:
        """Whose circuit is open is asked only when nobody else is left."""
        stage = Stage("a1 b1 c1")
        stage.open("a")
        self.assertEqual(order(stage.selection(""), BROKEN), "b1 c1 a1")

    def test_the_lead_is_who_is_asked(self) -> None:
        """What a request would be told about the first choice holds for the last resort too."""
        stage = self.stage()
        lead = stage.selection("").lead(NOW)
        assert lead is not None
        self.assertEqual(lead.name, "b")
        self.assertIs(stage.breakers.of("b").state(NOW), State.OPEN)


class AlwaysTests(SynchronousTestCase):
    """What holds for any way that attempts end."""

    @settings(max_examples=60)
    @given(
        st.sampled_from(["failover", "round_robin", "weighted_failover", "latency_based"]),
        st.sampled_from(["least_loaded", "round_robin", "random", "weighted"]),
        st.lists(st.sampled_from([refused(401), refused(429), BROKEN, OVERLOADED]), min_size=9, max_size=9),
        st.sampled_from(["", "a1", "b2"]),
    )
    def test_no_place_is_asked_twice(self, strategy: str, pooling: str, hows: list[How], place: str) -> None:
        """Every place that could serve is asked once, unless its provider has failed the request."""
        stage = Stage("a1 a2 a3 b1 b2 c1", strategy=strategy, pooling=pooling)
        if place:
            stage.served("s", place)
        selection, outcomes = stage.selection(), []
        for how in hows:
            untried = stage.untried(outcomes, at(0))
            lead, more = selection.lead(NOW), selection.has_next(NOW)
            trying = selection.next(NOW)
            self.assertEqual((lead is not None, more, trying is not None), (bool(untried),) * 3)
            if trying is None or lead is None or trying.route.key is None:
                break
            self.assertEqual(lead.name, trying.route.provider)
            self.assertIn(trying.route.key.name, untried)
            outcomes.append(how.of(trying.route, at(0)))
            end(trying, how)
            selection.failed(outcomes[-1])

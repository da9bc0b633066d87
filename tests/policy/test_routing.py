"""The rules of what is remembered between requests, and of the key of a new conversation."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.policy.stage import NOW, Stage, conversation_of


def placed(stage: Stage, session: str = "s") -> str:
    """Return the name of the key that a new conversation is placed on; empty if there is none."""
    key = stage.routing.place_for(conversation_of(session), stage.ways()[0], NOW)
    return "" if key is None else key.name


class PlaceTests(SynchronousTestCase):
    """The key of a new conversation."""

    def test_the_same_after_a_restart(self) -> None:
        """While nothing is known, a conversation finds the key that it had before a restart."""
        for number in range(20):
            session = f"s{number}"
            self.assertEqual(placed(Stage("a1 a2 a3"), session), placed(Stage("a3 a1 a2"), session))

    def test_even_shares(self) -> None:
        """However many conversations there are, equal keys share them to a fifth."""
        stage = Stage("a1 a2 a3")
        for number in range(60):
            stage.served(f"s{number}", placed(stage, f"s{number}"))
        shares = stage.affinity.loads("a")
        self.assertTrue(all(16 <= share <= 24 for share in shares.values()), shares)

    def test_the_highest_priority(self) -> None:
        """Keys of lower priority get conversations only while none of a higher one may be used."""
        stage = Stage("a1 a2 a3")
        stage.keys["a2"].priority = 2
        self.assertEqual({placed(stage, f"s{number}") for number in range(20)}, {"a2"})
        stage.keys["a2"].limited(NOW, 9.0)
        self.assertEqual({placed(stage, f"s{number}") for number in range(20)}, {"a1", "a3"})

    def test_what_speaks_against_a_key(self) -> None:
        """A key that is pausing gets no new conversation while another may be used."""
        stage = Stage("a1 a2")
        stage.keys["a1"].limited(NOW, None)
        self.assertEqual({placed(stage, f"s{number}") for number in range(20)}, {"a2"})
        stage.keys["a2"].invalidate(NOW)
        self.assertEqual(placed(stage), "a1")

    def test_no_key(self) -> None:
        """Where no key may be used there is no place."""
        stage = Stage("a1")
        stage.keys["a1"].invalidate(NOW)
        self.assertEqual(placed(stage), "")

    @settings(max_examples=50)
    @given(st.sets(st.sampled_from(["a1", "a2", "a3", "a4"]), min_size=1), st.text(max_size=5))
    def test_any_that_is_placed_may_be_used(self, shut: set[str], session: str) -> None:
        """Whatever conversation, it is placed on a key that may be used, if there is one."""
        stage = Stage("a1 a2 a3 a4")
        for name in shut:
            stage.keys[name].bar(NOW + 60)
        left = set(stage.keys) - shut
        self.assertIn(placed(stage, session), left or {""})

    def test_without_a_conversation(self) -> None:
        """What belongs to no conversation goes to the least loaded key, affinity or not."""
        for affinity in (True, False):
            stage = Stage("a1 a2 a3", affinity=affinity)
            keys = Counter()
            for _ in range(9):
                key = stage.routing.place_for(None, stage.ways()[0], NOW)
                assert key is not None
                key.reserve(stage.ways()[0].ask, NOW)
                keys[key.name] += 1
            self.assertEqual(keys, {"a1": 3, "a2": 3, "a3": 3})


class FailedTests(SynchronousTestCase):
    """Providers that could not serve."""

    def test_nobody_returns_for_a_while(self) -> None:
        """No conversation returns to a provider within a minute of its last failure."""
        stage = Stage("a1 b1")
        stage.served("s", "a1", NOW - 100)
        stage.served("s", "b1", NOW - 90)
        stage.routing.provider_failed("a", NOW - 30)
        self.assertEqual(stage.trying("s").route.provider, "b")
        self.assertEqual(stage.trying("s", NOW + 30).route.provider, "a")

    def test_without_affinity(self) -> None:
        """With affinity off there is nobody to tell."""
        stage = Stage("a1", affinity=False)
        stage.routing.provider_failed("a", NOW)
        self.assertEqual(stage.trying("s").route.provider, "a")

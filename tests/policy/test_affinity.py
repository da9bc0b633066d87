"""The rules of keeping a conversation where its prompt cache is."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.affinity import Affinity, Move, Place
from ccrelay.policy.conversation import Conversation

NOW = 1_700_000_000.0
ONE, OTHER = Conversation("", "s1", "claude-opus-5"), Conversation("", "s2", "claude-opus-5")
A1, A2, B1, B2, C1 = Place("a", "1"), Place("a", "2"), Place("b", "1"), Place("b", "2"), Place("c", "1")


def affinity(*, returning: bool = True) -> Affinity:
    """Return one in which nobody has a place yet."""
    return Affinity(3600.0, 60.0, returning=returning)


def settled(*places: Place, returning: bool = True) -> Affinity:
    """Return one in which a conversation was served at these places, one after the other at C{NOW}."""
    one = affinity(returning=returning)
    for place in places:
        one.settle(ONE, place.provider, place.key, NOW)
    return one


class StayingTests(SynchronousTestCase):
    """A conversation stays."""

    def test_a_new_conversation_has_no_place(self) -> None:
        """Where a new conversation goes is not for affinity to say."""
        self.assertEqual(affinity().places(ONE, NOW), ())
        self.assertIsNone(affinity().place(ONE, NOW))

    def test_on_its_provider_and_key(self) -> None:
        """A conversation stays on the provider and key that served it, for as long as it goes on."""
        for returning in (True, False):
            one = settled(A1, returning=returning)
            for minute in range(0, 600, 10):
                now = NOW + 60 * minute
                self.assertEqual(one.places(ONE, now), (A1,))
                self.assertIsNone(one.settle(ONE, "a", "1", now))
            self.assertEqual(one.moves, Counter())

    def test_each_its_own(self) -> None:
        """Conversations do not follow each other."""
        one = settled(A1)
        one.settle(OTHER, "b", "2", NOW)
        self.assertEqual((one.place(ONE, NOW), one.place(OTHER, NOW)), (A1, B2))
        self.assertEqual(len(one), 2)

    def test_failures_elsewhere(self) -> None:
        """Whatever fails, a conversation moves only when it was served elsewhere."""
        one = settled(A1)
        for provider in "abc":
            one.failed(provider, NOW)
        self.assertEqual(one.places(ONE, NOW + 100), (A1,))


class KeyTests(SynchronousTestCase):
    """Moving to another key."""

    def test_it_is_final(self) -> None:
        """A conversation that had to take another key stays on it."""
        for returning in (True, False):
            one = settled(A1, returning=returning)
            self.assertIs(one.settle(ONE, "a", "2", NOW), Move.KEY)
            self.assertEqual(one.places(ONE, NOW + 1000), (A2,))
            self.assertEqual(one.moves, {Move.KEY: 1})

    def test_away_from_home(self) -> None:
        """Another key where a conversation fled to neither hastens its return nor delays it."""
        one = settled(A1, B1)
        self.assertIs(one.settle(ONE, "b", "2", NOW + 30), Move.KEY)
        self.assertEqual(one.places(ONE, NOW + 59), (B2,))
        self.assertEqual(one.places(ONE, NOW + 60), (A1, B2))

    def test_back_at_home(self) -> None:
        """A conversation that returns to another key than it left stays on that one."""
        one = settled(A1, B1)
        self.assertIs(one.settle(ONE, "a", "2", NOW + 60), Move.RETURN)
        self.assertEqual(one.places(ONE, NOW + 1000), (A2,))


class ProviderTests(SynchronousTestCase):
    """Moving to another provider."""

    def test_it_is_final_where_load_is_shared(self) -> None:
        """Under balancing strategies a conversation stays where it went."""
        one = settled(A1, returning=False)
        self.assertIs(one.settle(ONE, "b", "1", NOW), Move.PROVIDER)
        self.assertEqual(one.places(ONE, NOW + 3000), (B1,))
        self.assertIs(one.settle(ONE, "a", "1", NOW + 3000), Move.PROVIDER)

    def test_it_ends_where_one_is_preferred(self) -> None:
        """Else it ends once the preferred provider was `return_after_ms` without failure, and no sooner."""
        one = settled(A1)
        self.assertIs(one.settle(ONE, "b", "1", NOW), Move.PROVIDER)
        self.assertEqual(one.places(ONE, NOW + 59.9), (B1,))
        self.assertEqual(one.places(ONE, NOW + 60), (A1, B1))
        self.assertIs(one.settle(ONE, "a", "1", NOW + 60), Move.RETURN)
        self.assertEqual(one.places(ONE, NOW + 61), (A1,))
        self.assertEqual(one.moves, {Move.PROVIDER: 1, Move.RETURN: 1})

    def test_failures_put_the_return_off(self) -> None:
        """Each failure of the preferred provider, whosever request it was, puts the return off."""
        one = settled(A1, B1)
        for second in (20, 50, 100):
            one.failed("a", NOW + second)
        self.assertEqual(one.places(ONE, NOW + 159), (B1,))
        self.assertEqual(one.places(ONE, NOW + 160), (A1, B1))

    def test_failures_of_others_do_not(self) -> None:
        """What fails elsewhere is no reason not to return."""
        one = settled(A1, B1)
        for provider in "bc":
            one.failed(provider, NOW + 50)
        self.assertEqual(one.places(ONE, NOW + 60), (A1, B1))

    def test_a_return_that_does_not_come_to_pass(self) -> None:
        """A preferred provider that still cannot serve is tried again after another `return_after_ms`."""
        one = settled(A1, B1)
        self.assertEqual(one.places(ONE, NOW + 60), (A1, B1))
        self.assertIsNone(one.settle(ONE, "b", "1", NOW + 62, asked=NOW + 60))
        self.assertEqual(one.places(ONE, NOW + 121), (B1,))
        self.assertEqual(one.places(ONE, NOW + 122), (A1, B1))

    def test_a_return_that_failed_is_not_tried_twice(self) -> None:
        """A failed return is over: the next one is `return_after_ms` later, not as often as requests come."""
        one = settled(A1, B1)
        one.places(ONE, NOW + 60)
        one.failed("a", NOW + 61)
        one.settle(ONE, "b", "1", NOW + 70, asked=NOW + 60)
        self.assertEqual(one.places(ONE, NOW + 129), (B1,))
        self.assertEqual(one.places(ONE, NOW + 130), (A1, B1))

    def test_further_away(self) -> None:
        """A conversation that has to flee a second time still returns to where it came from first."""
        one = settled(A1, B1)
        self.assertIs(one.settle(ONE, "c", "1", NOW + 30), Move.PROVIDER)
        self.assertEqual(one.places(ONE, NOW + 89), (C1,))
        self.assertEqual(one.places(ONE, NOW + 90), (A1, C1))

    def test_where_it_is(self) -> None:
        """Where a conversation is does not change by its being time to return."""
        one = settled(A1, B1)
        self.assertEqual(one.place(ONE, NOW + 100), B1)

    def test_placed_elsewhere_than_preferred(self) -> None:
        """A conversation that began elsewhere because the preferred provider was away goes there later."""
        one = affinity()
        one.settle(ONE, "b", "1", NOW, preferred="a")
        self.assertEqual(one.places(ONE, NOW + 59), (B1,))
        self.assertEqual(one.places(ONE, NOW + 60), (Place("a", ""), B1))
        self.assertIs(one.settle(ONE, "a", "2", NOW + 60), Move.RETURN)
        self.assertEqual(one.places(ONE, NOW + 61), (A2,))

    def test_placed_where_preferred(self) -> None:
        """A conversation that began where it should has nowhere to return to; nor has one under balancing."""
        for returning, provider in ((True, "b"), (True, None), (False, "a"), (False, None)):
            one = affinity(returning=returning)
            one.settle(ONE, "b", "1", NOW, preferred=provider)
            self.assertEqual(one.places(ONE, NOW + 600), (B1,))
            self.assertIs(one.settle(ONE, "a", "1", NOW + 600), Move.PROVIDER)

    def test_another_strategy(self) -> None:
        """After a reload the new strategy says whether conversations return, also those already away."""
        one = settled(A1, B1)
        one.returning = False
        self.assertEqual(one.places(ONE, NOW + 100), (B1,))
        one.returning = True
        one.return_after = 200.0
        self.assertEqual(one.places(ONE, NOW + 199), (B1,))
        self.assertEqual(one.places(ONE, NOW + 200), (A1, B1))


class SideBySideTests(SynchronousTestCase):
    """Several requests of one conversation at once."""

    def test_the_first_decides(self) -> None:
        """Of requests side by side the one answered first moves the conversation, the later ones do not."""
        one = settled(A1)
        self.assertIs(one.settle(ONE, "b", "1", NOW + 20, asked=NOW + 10), Move.PROVIDER)
        self.assertIsNone(one.settle(ONE, "a", "1", NOW + 30, asked=NOW + 10))
        self.assertIsNone(one.settle(ONE, "c", "1", NOW + 40, asked=NOW + 19))
        self.assertEqual(one.place(ONE, NOW + 40), B1)

    def test_the_request_that_was_placed_may_move_on(self) -> None:
        """A new conversation whose first request fails over is where that was answered, however soon."""
        one = affinity()
        self.assertEqual(one.places(ONE, NOW), ())
        one.settle(ONE, "a", "1", NOW + 0.01, asked=NOW)
        self.assertIs(one.settle(ONE, "b", "1", NOW + 0.01, asked=NOW), Move.PROVIDER)
        self.assertEqual(one.place(ONE, NOW + 1), B1)

    def test_slow_answers_do_not_put_the_return_off(self) -> None:
        """An answer to what was asked before it was time to return is no return that failed."""
        one = settled(A1, B1)
        one.settle(ONE, "b", "1", NOW + 300, asked=NOW + 50)
        self.assertEqual(one.places(ONE, NOW + 300), (A1, B1))

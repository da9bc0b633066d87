"""The strategies that take turns or count what is under way: new conversations go round as each promises."""

from itertools import pairwise
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.faults import Stalls
from tests.settings.sending import BROKEN, FINE, NO_AFFINITY, Chances, sent, session, tried
from tests.stack import Stack, body

THREE = {"a": [FINE], "b": [FINE], "c": [FINE]}


def under(strategy: str, affinity: bool = True, **providers: Any) -> dict[str, Any]:
    """Return the settings of a strategy, and fields of providers by name."""
    return {"routing": {"strategy": strategy, "affinity": {"enabled": affinity}}, "providers": providers}


class RoundRobinTests(SynchronousTestCase):
    """routing.strategy: round_robin."""

    def test_in_turn(self) -> None:
        """New conversations go to one provider after the other, whatever their weights."""
        for name in ("round_robin", "round-robin"):
            stack = Stack(self, THREE, under(name, a={"weight": 7}, c={"weight": 3}))
            self.assertEqual(sent(stack, 7), "abcabca")

    def test_priority(self) -> None:
        """Priority decides who begins, and nothing else."""
        stack = Stack(self, THREE, under("round_robin", b={"priority": 3}, c={"priority": 2}))
        self.assertEqual(sent(stack, 7), "bcabcab")

    def test_a_conversation_takes_one_turn(self) -> None:
        """What a conversation asks later takes nobody's turn; without affinity each request takes one."""
        for affinity, order in ((True, "abbbbc"), (False, "abcabc")):
            stack = Stack(self, THREE, under("round_robin", affinity))
            places = sent(stack) + sent(stack, 4, name="long") + sent(stack)
            self.assertEqual(places, order)

    def test_after_a_failure(self) -> None:
        """Who fails is followed by the one that has waited longest."""
        stack = Stack(self, THREE | {"b": [BROKEN]}, under("round_robin"))
        self.assertEqual([tried(stack) for _ in range(4)], ["a", "bc", "c", "a"])


class WeightedRoundRobinTests(SynchronousTestCase):
    """routing.strategy: weighted_round_robin."""

    def test_3_2_1(self) -> None:
        """Turns are in proportion to weight and spread evenly."""
        for name in ("weighted_round_robin", "weighted-round-robin"):
            for affinity in (True, False):
                settings = under(name, affinity, a={"weight": 3}, b={"weight": 2}, c={"weight": 1})
                self.assertEqual(sent(Stack(self, THREE, settings), 12), "abacbaabacba")

    def test_weight_0(self) -> None:
        """A provider of weight 0 gets no turn, and is asked when the others fail."""
        settings = under("weighted_round_robin", a={"weight": 0}, b={"weight": 2}, c={"weight": 1})
        self.assertEqual(sent(Stack(self, THREE, settings), 6), "bcbbcb")
        stack = Stack(self, {"a": [FINE], "b": [BROKEN], "c": [BROKEN]}, settings)
        self.assertEqual(tried(stack), "bca")

    def test_the_first_key_s_weight(self) -> None:
        """A provider without a weight of its own has that of its first key."""
        key = {"key": "sk-test-of-a-key-0123", "weight": 3}
        settings = under("weighted_round_robin", b={"keys": [key, {"key": "sk-test-2", "weight": 9}]})
        self.assertEqual(sent(Stack(self, {"a": [FINE], "b": [FINE]}, settings), 8), "babbbabb")


class ShuffleTests(SynchronousTestCase):
    """routing.strategy: shuffle."""

    def test_decks(self) -> None:
        """Everybody comes once before anybody comes twice, each time in another order."""
        for name in ("shuffle", "simple_shuffle", "simple-shuffle"):
            stack = Stack(self, THREE, under(name, a={"priority": 5, "weight": 5}), chance=Random(3).random)
            decks = [sent(stack, 3) for _ in range(6)]
            self.assertEqual({"".join(sorted(deck)) for deck in decks}, {"abc"}, name)
            self.assertGreater(len(set(decks)), 2)

    def test_chance(self) -> None:
        """Nothing but chance decides the order: the lowest card is dealt first."""
        chance = Chances(0.5, 0.9, 0.1, 0.6, 0.2, 0.4)  # of a, b, c; then, as each is dealt, of c, a, b
        self.assertEqual(sent(Stack(self, THREE, under("shuffle"), chance=chance), 6), "cababc")


class LeastLoadedTests(SynchronousTestCase):
    """routing.strategy: least_loaded."""

    SLOW = Stalls(before_head=True, seconds=50)
    QUICK = Stalls(before_head=True, seconds=1)

    def test_in_flight(self) -> None:
        """The provider with the fewest requests in flight is asked; equals in the order of the file."""
        for name in ("least_loaded", "least-loaded", "least_busy", "least-busy"):
            for affinity in (True, False):
                acts = {"a": [self.SLOW], "b": [self.QUICK], "c": [self.QUICK]}
                stack = Stack(self, acts, under(name, affinity))
                self.assertEqual(sent(stack, 3, 2), "abb", name)
                self.assertEqual(sent(stack, 5), "bcabc")
                stack.go(2)
                self.assertEqual(sent(stack, 5), "bcbca")
                stack.go(60)
                self.assertEqual(sent(stack), "a")

    def test_priority(self) -> None:
        """Priority decides between equals only."""
        acts = {"a": [self.SLOW], "b": [self.SLOW]}
        stack = Stack(self, acts, under("least_loaded", b={"priority": 9}))
        self.assertEqual(sent(stack, 5), "babab")

    def test_streams_count_to_their_end(self) -> None:
        """A stream is in flight until it ends, and one that the client leaves no longer."""
        acts = {"a": [Stalls(after_events=2, seconds=30)], "b": [Stalls(after_events=2, seconds=90)]}
        stack = Stack(self, acts, under("least_loaded", NO_AFFINITY["enabled"]))
        self.assertEqual(sent(stack, 3, content=body(stream=True)), "aba")
        stack.go(31)
        self.assertEqual(sent(stack, 1, content=body(stream=True)), "a")
        stack.peers[1].reset()
        stack.go()
        self.assertEqual(sent(stack, 2, content=body(stream=True)), "ba")

    def test_a_conversation_stays(self) -> None:
        """A conversation stays where it is however busy that is; a new one goes elsewhere."""
        stack = Stack(self, {"a": [FINE, self.SLOW], "b": [FINE]}, under("least_loaded"))
        places = [sent(stack, name="long") for _ in range(5)]
        self.assertEqual(places, ["a"] * 5)
        self.assertEqual(sent(stack), "b")


class NameTests(SynchronousTestCase):
    """How a strategy is called."""

    def test_told(self) -> None:
        """With routing.debug each answer tells the strategy's name, by its usual spelling."""
        usual = {"least-busy": "least_loaded", "simple-shuffle": "shuffle", "cost-based": "cost_based"}
        names = (
            "failover", "weighted_failover", "round_robin", "weighted_round_robin", "shuffle", "least_loaded",
            "model_based", "cost_based", "latency_based", *usual,
        )  # fmt: skip
        told = []
        for name in names:
            stack = Stack(self, THREE, {"routing": {"strategy": name, "debug": True}})
            told.append(stack.ask(headers=session(1)).headers["x-ccrelay-strategy"])
        self.assertEqual(told, [usual.get(name, name) for name in names])
        self.assertTrue(all(one != two for one, two in pairwise(told)))

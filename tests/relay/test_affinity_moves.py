"""When a conversation moves, and when it returns: once for a reason, and never to and fro (4.4)."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.affinity import Move
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.asked import Asked
from tests.relay.test_affinity import keys, session, went
from tests.stack import Stack, body

LIMITED = Refuses(429, headers=((b"retry-after", b"20"),))
ALWAYS = (Says("x"),)
RETURNING = ("failover", "weighted_failover", "model_based", "cost_based")
BALANCING = ("round_robin", "weighted_round_robin", "shuffle", "least_loaded", "latency_based")


def failing(when: Callable[[float], bool], failure: Any = None) -> Callable[[Asked], Any]:
    """Return the acts of a provider that fails at some times of the clock."""
    return lambda asked: (failure or Refuses(503)) if when(asked.at) else Says("x")


def turn(stack: Stack, name: object = "s") -> str:
    """Return where a session's next turn was served."""
    return went(stack, body(), headers=session(name))


class KeyTests(SynchronousTestCase):
    """From one key of a provider to another."""

    def test_a_limited_key(self) -> None:
        """A limited key causes one move, for good: the conversation does not return when it is free again."""
        stack = Stack(self, {"a": [Says("x"), LIMITED, Says("x")]}, keys=keys(3))
        home = turn(stack)
        away = turn(stack)
        self.assertNotEqual(away, home)
        for _ in range(10):
            stack.go(12)
            self.assertEqual(turn(stack), away)
        self.assertEqual(dict(stack.upstreams.routing.affinity.moves), {Move.KEY: 1})

    def test_only_those_who_were_there(self) -> None:
        """Conversations on other keys stay where they are."""
        stack = Stack(self, {"a": lambda asked: LIMITED if asked.number == 31 else Says("x")}, keys=keys(3))
        homes = {n: turn(stack, n) for n in range(30)}
        turn(stack, 0)
        after = {n: turn(stack, n) for n in range(30)}
        for n, home in homes.items():
            if home == homes[0]:
                self.assertNotEqual(after[n], home)
            else:
                self.assertEqual(after[n], home)

    def test_an_invalid_key(self) -> None:
        """A key that is no longer valid loses its conversations, each by one move."""
        stack = Stack(self, {"a": [Says("x"), Refuses(401), Says("x")]}, keys=keys(2))
        home = turn(stack)
        away = turn(stack)
        self.assertNotEqual(away, home)
        self.assertEqual({turn(stack) for _ in range(5)}, {away})
        self.assertEqual(dict(stack.upstreams.routing.affinity.moves), {Move.KEY: 1})

    def test_a_soft_refusal(self) -> None:
        """A 429 without a time moves the conversation once as well."""
        stack = Stack(self, {"a": [Says("x"), Refuses(429), Says("x")]}, keys=keys(2))
        home, *others = [turn(stack) for _ in range(6)]
        self.assertEqual(len(set(others)), 1)
        self.assertNotIn(home, others)


class ReturnTests(SynchronousTestCase):
    """From one provider to another, and back."""

    def stack(self, strategy: str, acts: Any, others: Any = ALWAYS, **routing: Any) -> Stack:
        """Return a relay whose provider C{a} is preferred where one can be."""
        routing = {"strategy": strategy, **routing}
        if strategy == "model_based":
            routing |= {"default_provider": "a"}
        first = {"price": {"*": {"input": 1}}, "priority": 2}
        settings = {"routing": routing, "providers": {"a": first, "b": {"price": {"*": {"input": 2}}}}}
        return Stack(self, {"a": acts, "b": others}, settings, keys=keys(2))

    def test_under_strategies_that_prefer(self) -> None:
        """It goes back once the preferred provider has been well for return_after_ms, and only then."""
        for strategy in RETURNING:
            stack = self.stack(strategy, failing(lambda at: 1010 <= at < 1015))
            home = turn(stack)
            self.assertEqual(home[0], "a", strategy)
            stack.go(10)
            away = turn(stack)
            self.assertEqual(away[0], "b")
            stack.go(59)
            self.assertEqual(turn(stack), away)
            stack.go(2)
            self.assertEqual(turn(stack), home)  # to the very key that knows it
            self.assertEqual(turn(stack), home)
            moves = stack.upstreams.routing.affinity.moves
            self.assertEqual(dict(moves), {Move.PROVIDER: 1, Move.RETURN: 1}, strategy)

    def test_under_strategies_that_balance(self) -> None:
        """There nobody is preferred: where it went, it stays."""
        for strategy in BALANCING:
            home = ""

            def acts(asked: Asked) -> Any:
                down = asked.header("host") == home[:1] and asked.at == 1010  # noqa: B023  it is to change
                return Refuses(503) if down else Says("x")

            stack = self.stack(strategy, acts, acts)
            home = turn(stack)
            stack.go(10)
            away = turn(stack)
            self.assertNotEqual(away[0], home[0], strategy)
            for _ in range(6):
                stack.go(30)
                self.assertEqual(turn(stack), away, strategy)
            self.assertEqual(dict(stack.upstreams.routing.affinity.moves), {Move.PROVIDER: 1})

    def test_another_failure_begins_the_wait_anew(self) -> None:
        """A failure that anybody sees there is one: the wait begins again with it."""
        stack = self.stack("failover", failing(lambda at: 1010 <= at < 1015 or 1050 <= at < 1055))
        turn(stack)
        stack.go(10)
        away = turn(stack)
        stack.go(40)
        self.assertEqual(turn(stack, "somebody-else")[0], "b")
        stack.go(59)
        self.assertEqual(turn(stack), away)
        stack.go(2)
        self.assertEqual(turn(stack)[0], "a")

    def test_a_return_that_fails(self) -> None:
        """Who finds it still failing stays away, and asks there no sooner than after another wait."""
        stack = self.stack("failover", failing(lambda at: at >= 1010))
        turn(stack)
        stack.go(10)
        away = turn(stack)
        asked = []
        for _ in range(60):
            stack.go(5)
            before = len(stack.asked("a"))
            self.assertEqual(turn(stack), away)
            if len(stack.asked("a")) > before:
                asked.append(stack.clock.seconds())
        self.assertGreaterEqual(len(asked), 3)
        for one, two in pairwise(asked):
            self.assertGreaterEqual(two - one, 60)

    def test_no_flapping(self) -> None:
        """However a provider comes and goes, nobody goes to and fro more than once in return_after_ms."""
        stack = self.stack("failover", failing(lambda at: int(at / 7) % 2 == 1))
        places = []
        for _ in range(300):
            stack.go(2)
            places.append(turn(stack)[0])
        changes = sum(one != two for one, two in pairwise(places))
        self.assertLessEqual(changes, 2 * 600 / 60 + 1)
        self.assertIn("a", places)

    def test_placed_elsewhere_from_the_beginning(self) -> None:
        """A conversation that began while the preferred provider failed goes there when it is well."""
        stack = self.stack("failover", failing(lambda at: at < 1005))
        self.assertEqual(turn(stack)[0], "b")
        stack.go(50)
        self.assertEqual(turn(stack)[0], "b")
        stack.go(15)
        self.assertEqual(turn(stack)[0], "a")

    def test_the_preferred_provider_s_keys_are_limited(self) -> None:
        """A provider whose keys are all limited is left for another, and returned to as from any failure."""
        stack = self.stack("failover", failing(lambda at: 1010 <= at < 1015, LIMITED))
        home = turn(stack)
        stack.go(10)
        self.assertEqual(turn(stack)[0], "b")
        stack.go(61)
        self.assertEqual(turn(stack)[0], home[0])

    def test_at_once(self) -> None:
        """With return_after_ms: 0 it is back as soon as it may be."""
        stack = self.stack("failover", failing(lambda at: 1010 <= at < 1015), affinity={"return_after_ms": 0})
        turn(stack)
        stack.go(10)
        self.assertEqual(turn(stack)[0], "b")
        stack.go(6)
        self.assertEqual(turn(stack)[0], "a")

"""What a reload keeps: measurements, turns, the budget for repeats, estimates, as the next requests show."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Says
from ccrelay.simulator.faults import Stalls
from tests.service.machine import Running
from tests.settings.sending import BROKEN, FINE, NO_AFFINITY, Chances, measure, sent, session
from tests.stack import body

LARGE = body(system="word " * 16_000)
HEADERS = {"headers": {"x-note": "new"}}
LENIENT = {"health_check": {"enabled": False}, "circuit_breaker": {"failure_threshold": 1000}}


class Reloaded(SynchronousTestCase):
    """What the tests share."""

    def running(self, acts: dict[str, Any], strategy: str = "failover", **routing: Any) -> Running:
        """Return a relay with a strategy; without affinity unless that is given."""
        written = {"strategy": strategy, "affinity": NO_AFFINITY} | routing
        return Running(self, acts, routing=written, health=LENIENT)

    def change(self, running: Running, *names: str, **fields: Any) -> None:
        """Reload with providers that have other fields: harmless ones by default."""
        for name in names:
            running.providers[name] |= fields or HEADERS
        running.reload()


class MeasuredTests(Reloaded):
    """A provider's time to first byte."""

    def test_first_byte(self) -> None:
        """Who was the fastest still is, whether the reload has changed it or something else."""
        for changed in ("", "a", "b", "ab"):
            acts = {
                name: [Stalls(before_head=True, seconds=seconds, act=Says("x"))]
                for name, seconds in (("a", 4), ("b", 1))
            }
            running = self.running(acts, "latency_based")
            chance = running.relay.upstreams.routing.strategy._chance = Chances(always=0.9)
            measure(running, chance)
            went = sent(running, 1, 5, body(stream=True))
            self.change(running, *changed)
            self.assertEqual(went + sent(running, 3, 5, body(stream=True)), "bbbb", changed)

    def test_in_flight(self) -> None:
        """What is in flight at a provider that did not change still counts as its load."""
        slow = [Stalls(before_head=True, seconds=20)]
        running = self.running({"a": slow, "b": slow}, "least_loaded")
        went = sent(running, 2)
        running.reload(server={"max_concurrent": 99})
        running.go(1)
        went += sent(running)
        running.reload(server={"max_concurrent": 98})
        self.assertEqual(went + sent(running), "abab")


class TurnTests(Reloaded):
    """Whose turn it is."""

    THREE = {"a": [FINE], "b": [FINE], "c": [FINE]}  # noqa: RUF012

    def test_turns(self) -> None:
        """A reload between any two requests changes nobody's turn, whatever it changes of a provider."""
        weights = {"a": 3, "b": 2, "c": 1}
        for strategy, order in (("round_robin", "abcabcabc"), ("weighted_round_robin", "abacbaaba")):
            running = self.running(self.THREE, strategy)
            for name, weight in weights.items():
                running.providers[name] |= {"weight": weight}
            running.reload()
            went = ""
            for number in range(9):
                went += sent(running)
                self.change(running, "abc"[number % 3], headers={"x-number": str(number)})
            self.assertEqual(went, order)

    def test_deck(self) -> None:
        """The deck that is being dealt is dealt to its end."""
        running = self.running(self.THREE, "shuffle")
        for _ in range(8):
            deck = ""
            for _ in range(3):
                deck += sent(running)
                running.reload()
            self.assertEqual(sorted(deck), ["a", "b", "c"])

    def test_another_strategy(self) -> None:
        """Another strategy begins afresh, and so does the first one when it is back."""
        running = self.running(self.THREE, "round_robin")
        went = sent(running, 2)
        for strategy in ("failover", "round_robin"):
            running.reload(routing={"strategy": strategy, "affinity": NO_AFFINITY})
            went += sent(running, 2)
        self.assertEqual(went, "abaaab")

    def test_weights(self) -> None:
        """Other weights hold from the next turn on."""
        running = self.running({"a": [FINE], "b": [FINE]}, "weighted_round_robin")
        self.assertEqual(sent(running, 4), "abab")
        self.change(running, "b", weight=3)
        self.assertEqual(sent(running, 8), "babbbabb")


    def test_models(self) -> None:
        """Another mapping of models to providers, and another default, hold for the next request."""
        mapped = {"model_mapping": {"claude-": "b"}, "default_provider": "c"}
        running = self.running(self.THREE, "model_based", **mapped)
        went = sent(running) + sent(running, content=body(model="glm-4.7"))
        other = {"model_mapping": {"claude-": "c"}, "default_provider": "b", "affinity": NO_AFFINITY}
        running.reload(routing={"strategy": "model_based"} | other)
        went += sent(running) + sent(running, content=body(model="glm-4.7"))
        self.assertEqual(went, "bccb")


class CircuitTests(Reloaded):
    """Circuits, and when they open."""

    def test_circuits(self) -> None:
        """Failures before a reload count, and an open circuit stays open, for as long as it was to be."""
        circuits = {"circuit_breaker": {"failure_threshold": 3, "open_duration_ms": 50_000}}
        running = self.running({"a": [BROKEN], "b": [FINE]}, max_wait_ms=0)
        running.reload(health=LENIENT | circuits)
        went = sent(running, 2)
        self.change(running, "a")
        went += sent(running, 3)
        self.change(running, "a", headers={"x-note": "newer"})
        running.go(49)
        self.assertEqual(went + sent(running), "ababab" + "bbb")
        running.go(7)
        self.assertEqual(sent(running), "ab")

    def test_another_place(self) -> None:
        """At another base_url a provider is judged afresh, and others are not."""
        acts = {"a": [BROKEN], "b": [BROKEN], "c": [FINE], "d": [FINE]}
        running = self.running(acts, max_wait_ms=0)
        del running.providers["d"]
        running.reload(health=LENIENT | {"circuit_breaker": {"failure_threshold": 1}})
        self.assertEqual(sent(running, 2), "abcc")
        self.change(running, "b", base_url="http://d")
        self.assertEqual(sent(running, 2), "dd")


class BudgetTests(Reloaded):
    """The budget for repeats in place."""

    def repeats(self, running: Running, count: int) -> int:
        """Send requests that all fail, and return how many of them were repeated."""
        before = len(running.asked("a"))
        for _ in range(count):
            running.send(body(), headers=session(0))
        running.go(2)
        return len(running.asked("a")) - before - count

    def test_what_was_spent(self) -> None:
        """What was spent before is spent, and the requests before count for what may be spent."""
        given = {"max_attempts": 2, "retry_budget": 0.5}
        running = self.running({"a": [BROKEN]}, **given)
        self.assertEqual(self.repeats(running, 3), 3)
        self.change(running, "a")
        self.assertEqual(self.repeats(running, 4), 0)
        running.reload()
        self.assertEqual(self.repeats(running, 5), 3)  # half of twelve, less three
        running.go(10)
        self.assertEqual(self.repeats(running, 3), 3)

    def test_another_share(self) -> None:
        """Another share holds at once, for the requests before as well."""
        given = {"strategy": "failover", "max_attempts": 2, "affinity": NO_AFFINITY}
        running = self.running({"a": [BROKEN]}, **(given | {"retry_budget": 0.0}))
        self.assertEqual(self.repeats(running, 9), 3)
        running.reload(routing=given | {"retry_budget": 1.0})
        self.assertEqual(self.repeats(running, 1), 1)
        running.reload(routing=given | {"retry_budget": 0.1})
        self.assertEqual(self.repeats(running, 1), 0)


class EstimateTests(Reloaded):
    """What answers were like."""

    def test_output(self) -> None:
        """How long a model's answers are is still known: it decides who is the cheapest."""
        long = [Says("x", usage={"output_tokens": 60_000})]
        running = self.running({"a": long, "b": long}, "cost_based")
        running.providers["a"] |= {"price": {"*": {"input": 1, "output": 10}}}
        running.providers["b"] |= {"price": {"*": {"input": 10, "output": 1}}}
        running.reload()
        went = sent(running, content=LARGE)
        self.change(running, "a", "b")
        self.assertEqual(went + sent(running, content=LARGE), "ab")

    def test_a_turn(self) -> None:
        """What a conversation's last turn has cost is still known: it decides where the next one fits."""
        read = Says("x", usage={"input_tokens": 10, "cache_read_input_tokens": 20_000})
        running = self.running({"a": [read], "b": [FINE]}, affinity={"enabled": True})
        running.providers["a"] |= {"keys": [{"key": "sk-test-of-a-key-0123", "itpm_limit": 9000}]}
        running.reload()
        went = sent(running, content=LARGE, name="s")
        self.change(running, "a", "b")
        went += sent(running, content=LARGE, name="s") + sent(running, content=LARGE, name="t")
        self.assertEqual(went, "aab")

    def test_prices(self) -> None:
        """Other prices hold for the next request."""
        running = self.running({"a": [FINE], "b": [FINE]}, "cost_based")
        self.change(running, "a", "b", price={"*": {"input": 5}})
        went = sent(running)
        self.change(running, "a", price={"*": {"input": 6}})
        self.assertEqual(went + sent(running), "ab")

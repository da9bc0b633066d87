"""The dry run: what is explained is what would be done, and explaining does nothing."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.client import Client
from ccrelay.relay.explain import Explained, explain
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.wire.request import MessagesRequest
from tests.stack import Stack, body

STRATEGIES = (
    "failover", "round_robin", "weighted_round_robin", "least_loaded", "cost_based", "model_based",
    "latency_based",
)  # fmt: skip
BUSY = {"retry-after": "60"}


def talk(number: int) -> bytes:
    """Return a request of another conversation."""
    return body(messages=[{"role": "user", "content": f"talk {number}"}])


class ExplainTests(SynchronousTestCase):
    """What is explained, and what becomes of the request."""

    def stack(self, acts: Any, routing: Any = None, **fields: Any) -> Stack:
        """Return a relay; C{fields} are of its providers, by their names."""
        usual = {"max_wait_ms": 0}
        return Stack(self, acts, {"routing": usual | (routing or {}), "providers": fields})

    def explain(self, stack: Stack, content: bytes, client: Client | None = None) -> Explained:
        """Return what is explained of a request."""
        request = MessagesRequest.parse(content)
        return explain(stack.upstreams, client or Client(), request, (), stack.wall())

    def order(self, explained: Explained) -> list[tuple[str, str | None]]:
        """Return the candidates in their order."""
        return [(one.provider, one.key) for one in explained.candidates]

    def reasons(self, explained: Explained) -> dict[str, str]:
        """Return why each provider stands where it does, or is left out."""
        told = {one.provider: one.reason for one in reversed(explained.candidates)}
        return told | {one.provider: one.reason for one in explained.left_out}

    def test_what_is_explained_is_done(self) -> None:
        """By every strategy: whoever is explained first is asked first, in a new conversation or not."""
        for strategy in STRATEGIES:
            fields = {"a": {"weight": 2}, "b": {"weight": 1}, "c": {"weight": 3}}
            stack = self.stack({name: [Says("x")] for name in "abc"}, {"strategy": strategy}, **fields)
            if strategy == "latency_based":
                for number in range(100, 103):
                    stack.ask(talk(number))  # each is measured once before its preference counts
                stack.upstreams.routing.strategy._share = 0.0  # type: ignore[attr-defined]
            for number in (0, 1, 0, 2, 3, 1, 4, 5, 0):
                explained = self.explain(stack, talk(number))
                stack.ask(talk(number))
                attempt = stack.told.attempts[-1]
                first = explained.candidates[0]
                self.assertEqual((first.provider, first.key), (attempt.provider, attempt.key), strategy)

    def test_all_of_the_order(self) -> None:
        """When all fail, keys and providers are asked in the order that was explained."""
        keys = [{"key": f"sk-test-{n}-0123456789", "name": f"k{n}"} for n in range(3)]
        fields = {"a": {"keys": keys, "priority": 2}, "b": {"keys": keys[:2]}}
        stack = self.stack({"a": [Refuses(401)], "b": [Refuses(401)]}, {"max_attempts": 9}, **fields)
        explained = self.explain(stack, body())
        stack.ask()
        tried = [(attempt.provider, attempt.key) for attempt in stack.told.attempts]
        self.assertEqual(self.order(explained), tried)
        self.assertEqual(len(tried), 5)

    def test_nothing_is_done(self) -> None:
        """However often it is explained, turns, places and limits are what they were."""
        for strategy in ("round_robin", "weighted_round_robin", "shuffle", "latency_based"):
            went = []
            for often in (0, 30):
                chances = iter([0.5, 0.1, 0.9, 0.3, 0.7] * 1000)
                stack = Stack(
                    self, {name: [Says("x")] for name in "abc"}, {"routing": {"strategy": strategy}},
                    chance=lambda chances=chances: next(chances),  # type: ignore[misc]
                )  # fmt: skip
                for number in range(9):
                    for _ in range(often):
                        self.explain(stack, talk(number))
                    stack.ask(talk(number))
                went.append([attempt.provider for attempt in stack.told.attempts])
                key = stack.upstreams["a"].backend.pool.keys[0]
                self.assertEqual(key.taken, sum(a.provider == "a" for a in stack.told.attempts))
                affinity = stack.upstreams.routing.affinity
                assert affinity is not None
                self.assertEqual(len(affinity), 9)
            self.assertEqual(went[0], went[1], strategy)

    def test_a_conversation_that_has_its_place(self) -> None:
        """A conversation stays at its place, and the reason says so; explaining does not keep it alive."""
        stack = self.stack({"a": [Says("x")], "b": [Says("x")]}, {"strategy": "round_robin"})
        stack.ask(talk(1))
        explained = self.explain(stack, talk(1))
        self.assertEqual(explained.place, "a/…cdef")
        self.assertEqual(
            self.reasons(explained)["a"], "the conversation is here, and its prompt cache with it"
        )
        for _ in range(7):
            stack.go(600)
            explained = self.explain(stack, talk(1))
        self.assertIsNone(explained.place)

    def test_an_open_circuit(self) -> None:
        """A provider whose circuit is open is the last resort."""
        stack = self.stack({"a": [Refuses(500)], "b": [Says("x")]}, {"affinity": {"enabled": False}})
        for number in range(5):
            stack.ask(talk(number))
        explained = self.explain(stack, talk(9))
        self.assertEqual(self.order(explained), [("b", "…cdef"), ("a", "…cdef")])
        self.assertRegex(
            self.reasons(explained)["a"], r"^as a last resort: its circuit is open for \d+ s yet$"
        )

    def test_keys_that_cannot(self) -> None:
        """Where no key may be used each says why and for how long."""
        keys = [{"key": f"sk-test-{n}-0123456789", "name": f"k{n}"} for n in range(2)]
        acts = [Refuses(401), Refuses(429, headers=((b"retry-after", b"60"),))]
        stack = self.stack({"a": acts, "b": [Says("x")]}, None, a={"keys": keys})
        stack.ask()
        reason = self.reasons(self.explain(stack, talk(9)))["a"]
        self.assertEqual(
            sorted(word.partition(": ")[2] for word in reason.partition(": ")[2].split("; ")),
            ["invalid", "told to wait for 60 s"],
        )

    def test_keys_for_one_model(self) -> None:
        """A key that may not use this model says so, and is a candidate for others."""
        stack = self.stack({"a": [Refuses(403)]})
        stack.ask()
        self.assertIn(
            "not permitted for this model for 600 s", self.reasons(self.explain(stack, body()))["a"]
        )
        self.assertEqual(len(self.explain(stack, body(model="claude-haiku-4-5")).candidates), 1)

    def test_limits(self) -> None:
        """A key whose limit is used up is left out until it frees."""
        stack = self.stack(
            {"a": [Says("x")]}, None, a={"keys": [{"key": "sk-test-0123456789", "rpm_limit": 1}]}
        )
        stack.ask()
        self.assertIn("at its limit for 60 s", self.reasons(self.explain(stack, talk(2)))["a"])

    def test_models(self) -> None:
        """Who lists models and not this one is left out where another lists it."""
        stack = self.stack({"a": [Says("x")], "b": [Says("x")]}, None,
                           a={"models": ["claude-opus-5"]}, b={"models": ["claude-sonnet-4-5"]})  # fmt: skip
        explained = self.explain(stack, body())
        self.assertEqual(self.order(explained), [("b", "…cdef")])
        self.assertIn("its models are listed", self.reasons(explained)["a"])

    def test_clients(self) -> None:
        """A client is shown its own providers and models."""
        stack = self.stack({"a": [Says("x")], "b": [Says("x")]})
        client = Client("ann", frozenset({"b"}), ("claude-sonnet-*",))
        explained = self.explain(stack, body(), client)
        self.assertEqual(self.order(explained), [("b", "…cdef")])
        self.assertEqual(self.reasons(explained)["a"], "this client may not use it")
        explained = self.explain(stack, body(model="claude-opus-5"), client)
        self.assertEqual(explained.candidates, ())
        self.assertIn("this client may ask only for: claude-sonnet-*", explained.notes)

    def test_draining_and_disabled(self) -> None:
        """Who is draining comes last for new conversations; who is disabled is named as such."""
        stack = self.stack({"a": [Says("x")], "b": [Says("x")]})
        stack.upstreams["a"].backend.draining = True
        request = MessagesRequest.parse(body())
        explained = explain(stack.upstreams, Client(), request, (), stack.wall(), ("off",))
        self.assertEqual([one.provider for one in explained.candidates], ["b", "a"])
        self.assertIn("draining", self.reasons(explained)["a"])
        self.assertEqual(self.reasons(explained)["off"], "disabled")

    def test_reasons_of_strategies(self) -> None:
        """Each strategy says by what it orders."""
        price = {"*": {"input": 3, "output": 15}}
        for strategy, words in (
            ("failover", "priority 1"), ("weighted_failover", "priority 1, weight 1"),
            ("round_robin", "its turn comes so"), ("weighted_round_robin", "with weight 1"),
            ("shuffle", "as the cards lie"), ("least_loaded", "0 attempts in flight"),
            ("latency_based", "not measured yet"), ("model_based", "routing.model_mapping"),
            ("cost_based", "for a request of this size"),
        ):  # fmt: skip
            stack = self.stack({"a": [Says("x")]}, {"strategy": strategy}, a={"price": price})
            explained = self.explain(stack, body())
            self.assertIn(words, self.reasons(explained)["a"])
            self.assertEqual(
                bool(explained.notes), strategy in {"shuffle", "weighted_failover", "latency_based"}
            )

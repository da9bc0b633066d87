"""The rules of what a reload keeps: all that was learned of providers and keys that are what they were."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.breaker import State
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.faults import Stalls
from tests.service.machine import Running
from tests.stack import KEY, body

SECOND = "sk-test-second-0000000001"
ONE_FAILURE = {"health_check": {"enabled": False}, "circuit_breaker": {"failure_threshold": 1}}
NOWHERE_TWICE = {"max_wait_ms": 0, "affinity": {"enabled": False}}
WAIT = Refuses(429, "slow down", headers=((b"retry-after", b"600"),))


def keys(*secrets: str, **limits: Any) -> dict[str, Any]:
    """Return the fields of a provider with these keys."""
    return {"keys": [{"key": secret, **limits} for secret in secrets]}


class UntouchedTests(SynchronousTestCase):
    """Providers that are what they were, while something else changes."""

    def test_breakers(self) -> None:
        """A circuit that is open stays open, until the time it was to be."""
        running = Running(
            self, {"a": [Refuses(500, "no")], "b": [Says("x")]}, health=ONE_FAILURE, routing=NOWHERE_TWICE
        )
        running.ask()
        self.assertIs(running.breaker("a").state(running.wall()), State.OPEN)
        running.go(20)
        running.provide("c")
        running.reload()
        running.ask()
        self.assertEqual((len(running.asked("a")), len(running.asked("b"))), (1, 2))
        running.go(15)
        self.assertIs(running.breaker("a").state(running.wall()), State.HALF_OPEN)
        self.assertEqual(running.said("circuit"), ["circuit open", "circuit half open"])

    def test_thresholds(self) -> None:
        """So it does when the thresholds change, which hold from then on."""
        running = Running(self, {"a": [Refuses(500, "no")], "b": [Says("x")]}, routing=NOWHERE_TWICE)
        running.ask()
        self.assertIs(running.breaker("a").state(running.wall()), State.CLOSED)
        running.reload(
            health={"health_check": {"enabled": False}, "circuit_breaker": {"failure_threshold": 2}}
        )
        running.ask()
        self.assertIs(running.breaker("a").state(running.wall()), State.OPEN)

    def test_waits(self) -> None:
        """A key that was told to wait is left alone until then."""
        running = Running(self, {"a": [WAIT, Says("x")], "b": [Says("x")]}, routing=NOWHERE_TWICE)
        running.ask()
        running.reload(server={"max_concurrent": 9})
        running.ask()
        self.assertEqual((len(running.asked("a")), len(running.asked("b"))), (1, 2))
        running.go(601)
        running.ask()
        self.assertEqual(len(running.asked("a")), 2)

    def test_windows(self) -> None:
        """What a key has used of its limits in the last minute stays used."""
        running = Running(
            self, {"a": [Says("x")], "b": [Says("x")]}, {"a": keys(KEY, rpm_limit=1)}, routing=NOWHERE_TWICE
        )
        running.ask()
        running.reload(server={"max_concurrent": 9})
        running.ask()
        self.assertEqual((len(running.asked("a")), len(running.asked("b"))), (1, 1))

    def test_learned(self) -> None:
        """What the provider told of its limits is not forgotten."""
        told = (
            (b"anthropic-ratelimit-requests-limit", b"50"),
            (b"anthropic-ratelimit-requests-remaining", b"0"),
            (b"anthropic-ratelimit-requests-reset", b"2027-01-15T09:00:00Z"),
        )
        running = Running(self, {"a": [Says("x", headers=told)]})
        running.ask()
        running.reload(server={"max_concurrent": 9})
        (key,) = running.backend("a").pool.keys
        self.assertEqual(len(key.state(running.wall()).learned), 1)

    def test_turns(self) -> None:
        """Whose turn it is does not begin anew."""
        routing = NOWHERE_TWICE | {"strategy": "round_robin"}
        running = Running(self, {"a": [Says("x")], "b": [Says("x")], "c": [Says("x")]}, routing=routing)
        for _ in range(6):
            running.ask()
            running.reload()
        self.assertEqual([len(running.asked(name)) for name in "abc"], [2, 2, 2])

    def test_conversations(self) -> None:
        """A conversation stays where its prompt cache is."""
        running = Running(self, {"a": [Says("x")], "b": [Says("x")]}, routing={"strategy": "round_robin"})
        for _ in range(4):
            running.ask()
            running.reload()
        self.assertEqual(sorted(len(running.asked(name)) for name in "ab"), [0, 4])

    def test_budget(self) -> None:
        """What was spent of the budget for repeats is spent."""
        running = Running(self, {"a": [Says("x")]})
        before = running.relay.upstreams.routing
        running.reload(routing={"retry_budget": 0.5})
        after = running.relay.upstreams.routing
        self.assertIs(after.budget, before.budget)
        self.assertEqual(after.budget.share, 0.5)
        self.assertIs(after.estimates, before.estimates)

    def test_connections(self) -> None:
        """Connections that are kept are used on."""
        running = Running(self, {"a": [Says("x")]})
        running.ask()
        (before,) = running.network.connections[1:]
        running.reload(server={"max_concurrent": 9})
        running.ask()
        self.assertEqual(running.kept("a"), 1)
        self.assertIn(before, running.network.connections)


class ChangedTests(SynchronousTestCase):
    """Providers that are changed."""

    def test_a_key_is_added(self) -> None:
        """The keys that stay go on with what is held against them, and so do breaker and connections."""
        running = Running(self, {"a": [WAIT, Says("x")]}, routing=NOWHERE_TWICE)
        running.ask()
        breaker, kept = running.breaker("a"), running.network.connections[1:]
        running.providers["a"] |= keys(KEY, SECOND)
        running.reload()
        self.assertEqual(running.ask().status, 200)
        self.assertEqual([asked.header("x-api-key") for asked in running.asked("a")], [KEY, SECOND])
        self.assertIs(running.breaker("a"), breaker)
        self.assertEqual(running.kept("a"), 1)
        self.assertEqual([pair for pair in kept if pair not in running.network.connections], [])

    def test_a_key_is_replaced(self) -> None:
        """A key that is gone is used no more; what was held against it does not count against the new one."""
        running = Running(self, {"a": [WAIT, Says("x")]}, routing=NOWHERE_TWICE)
        running.ask()
        running.providers["a"] |= keys(SECOND)
        running.reload()
        self.assertEqual(running.ask().status, 200)
        self.assertEqual([asked.header("x-api-key") for asked in running.asked("a")], [KEY, SECOND])

    def test_a_key_that_is_written_twice(self) -> None:
        """A key that is written twice counts as two, after a reload as before."""
        running = Running(self, {"a": [Says("x")]}, {"a": keys(KEY, KEY)})
        running.providers["a"] |= keys(KEY, KEY, rpm_limit=1)
        running.reload()
        self.assertEqual(len(set(map(id, running.backend("a").pool.keys))), 2)

    def test_limits(self) -> None:
        """Other limits of a key apply at once, to what was used before, too."""
        running = Running(self, {"a": [Says("x")], "b": [Says("x")]}, routing=NOWHERE_TWICE)
        running.providers["a"] |= keys(KEY, rpm_limit=5)
        running.reload()
        running.ask()
        running.ask()
        running.providers["a"] |= keys(KEY, rpm_limit=2)
        running.reload()
        running.ask()
        self.assertEqual((len(running.asked("a")), len(running.asked("b"))), (2, 1))
        running.providers["a"] |= keys(KEY)
        running.reload()
        running.ask()
        self.assertEqual((len(running.asked("a")), len(running.asked("b"))), (3, 1))

    def test_a_request_in_flight_counts(self) -> None:
        """A request that began before a key's limits were changed counts against the new ones."""
        running = Running(
            self, {"a": [Stalls(before_head=True)], "b": [Says("x")]}, {"a": keys(KEY, rpm_limit=5)},
            routing=NOWHERE_TWICE,
        )  # fmt: skip
        running.send(body(stream=True))
        running.providers["a"] |= keys(KEY, rpm_limit=1)
        running.reload()
        running.ask()
        self.assertEqual((len(running.asked("a")), len(running.asked("b"))), (1, 1))

    def test_another_place(self) -> None:
        """With another base_url a provider begins anew: circuit and keys are judged there, afresh."""
        running = Running(
            self, {"a": [Refuses(402, "credit balance is too low"), Refuses(500, "no")], "b": [Says("x")]},
            {"a": keys(KEY, SECOND)}, health=ONE_FAILURE, routing=NOWHERE_TWICE,
        )  # fmt: skip
        running.ask()
        self.assertEqual([len(running.asked(name)) for name in "ab"], [2, 1])
        self.assertEqual(running.said("circuit"), ["circuit open"])
        running.provide("elsewhere", [Says("x")])
        running.providers["a"] |= {"base_url": running.providers.pop("elsewhere")["base_url"]}
        running.reload()
        self.assertEqual(running.ask().status, 200)
        self.assertEqual(len(running.asked("elsewhere")), 1)
        now = running.wall()
        self.assertTrue(all(key.usable(now) for key in running.backend("a").pool.keys))
        running.go(60)
        self.assertEqual(running.said("circuit"), ["circuit open"])
        self.assertEqual(running.kept("a"), 0)

    def test_invalid_keys(self) -> None:
        """A key that was refused is tried again after a reload, whatever was changed."""
        running = Running(self, {"a": [Refuses(401, "no"), Says("x")]}, routing=NOWHERE_TWICE)
        self.assertEqual(running.ask().status, 401)
        self.assertNotEqual(running.ask().status, 200)
        self.assertEqual(len(running.asked("a")), 1)
        running.reload()
        self.assertEqual(running.ask().status, 200)

    def test_idle_connections(self) -> None:
        """The idle connections to a provider that is gone are closed."""
        running = Running(self, {"a": [Says("x")], "b": [Says("x")]})
        running.ask()
        self.assertEqual(running.kept("a"), 1)
        del running.providers["a"]
        running.reload()
        self.assertEqual(running.kept("a"), 0)

    def test_connections_in_use(self) -> None:
        """A connection in use then ends with its request, and is not kept."""
        running = Running(self, {"a": [Says("one two", pace=1)], "b": [Says("x")]})
        peer = running.send(body(stream=True))
        del running.providers["a"]
        running.reload()
        self.assertEqual(running.kept("a"), 1)
        running.go(30)
        self.assertEqual(running.events(peer)[-1], "message_stop")
        self.assertEqual(running.kept("a"), 0)

    def test_other_connections(self) -> None:
        """Where it is reached otherwise, with fewer connections, say, it gets new ones."""
        running = Running(self, {"a": [Says("x")]})
        running.ask()
        running.providers["a"] |= {"max_connections": 3}
        running.reload()
        self.assertEqual(running.kept("a"), 0)
        self.assertEqual(running.ask().status, 200)
        self.assertEqual(running.relay.upstreams["a"].client.limit, 3)

    def test_gone_and_back(self) -> None:
        """A provider that was taken out and is there again begins anew; its circuit was forgotten."""
        running = Running(
            self, {"a": [Refuses(500, "no"), Says("x")], "b": [Says("x")]},
            health=ONE_FAILURE, routing=NOWHERE_TWICE,
        )  # fmt: skip
        running.ask()
        own = running.providers.pop("a")
        running.reload()
        running.go(60)
        self.assertEqual(running.said("circuit"), ["circuit open"])
        running.providers = {"a": own} | running.providers
        running.reload()
        running.ask()
        self.assertEqual(len(running.asked("a")), 2)

"""routing.affinity: whether conversations stay, how many, for how long, and when they return."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says
from tests.service.machine import Running
from tests.settings.sending import FINE, sent
from tests.stack import Stack

BALANCING = {"strategy": "round_robin"}


class StayTests(SynchronousTestCase):
    """enabled, idle_ms and max_sessions, where each new conversation goes to the next provider."""

    def relay(self, **affinity: Any) -> Stack:
        """Return a relay with these settings."""
        settings = {"routing": BALANCING | {"affinity": affinity}}
        return Stack(self, {"a": [FINE], "b": [FINE], "c": [FINE]}, settings)

    def test_enabled(self) -> None:
        """A conversation stays where it is; switched off, every request is a new one."""
        for affinity, went in (({}, "aaaab"), ({"enabled": True}, "aaaab"), ({"enabled": False}, "abcab")):
            relay = self.relay(**affinity)
            self.assertEqual(sent(relay, 4, name="s") + sent(relay, 1, name="t"), went)

    def test_idle(self) -> None:
        """Without a request for so long it is forgotten, and no sooner."""
        for seconds in (5, 9000):
            relay = self.relay(idle_ms=seconds * 1000)
            went = ""
            for pause in (0, seconds - 0.1, seconds - 0.1, seconds + 0.1, seconds - 0.1):
                relay.go(pause)
                went += sent(relay, name="s")
            self.assertEqual(went, "aaabb")

    def test_never_idle(self) -> None:
        """With idle_ms: 0 it is never forgotten."""
        relay = self.relay(idle_ms=0)
        sent(relay, name="s")
        relay.go(7 * 24 * 3600)
        self.assertEqual(sent(relay) + sent(relay, 2, name="s"), "baa")

    def test_max_sessions(self) -> None:
        """Of more conversations than that the one unused for longest is forgotten."""
        for limit in (1, 2, 4):
            relay = self.relay(max_sessions=limit)
            places = {name: sent(relay, name=name) for name in range(limit)}
            for name in range(limit):
                self.assertEqual(sent(relay, name=name), places[name])
            sent(relay, name="one more")
            self.assertEqual(len(relay.upstreams.routing.affinity), limit)
            for name in range(1, limit):
                self.assertEqual(sent(relay, name=name), places[name])
            self.assertEqual(sent(relay, name=0), "abc"[(limit + 1) % 3])


class ReturnTests(SynchronousTestCase):
    """return_after_ms, after a failure of the preferred provider."""

    def relay(self, routing: dict[str, Any], **affinity: Any) -> Stack:
        """Return a relay whose first provider fails at its second request."""
        acts = [Says("x"), Refuses(503), Says("x")]
        settings = {"routing": routing | {"max_wait_ms": 0, "affinity": affinity}}
        return Stack(self, {"a": acts, "b": [FINE], "c": [FINE]}, settings)

    def test_return_after(self) -> None:
        """It is back once its provider has been without a failure for so long, and no sooner."""
        for seconds in (7, 200):
            relay = self.relay({}, return_after_ms=seconds * 1000)
            self.assertEqual(sent(relay, name="s") + sent(relay, name="s"), "aab")
            relay.go(seconds - 0.1)
            self.assertEqual(sent(relay, name="s"), "b")
            relay.go(0.2)
            self.assertEqual(sent(relay, name="s"), "a")

    def test_at_once(self) -> None:
        """With 0 its next request is back."""
        relay = self.relay({}, return_after_ms=0)
        self.assertEqual(sent(relay, 3, name="s"), "aaba")

    def test_balancing(self) -> None:
        """Under a strategy that balances nobody returns, however short the time."""
        relay = self.relay(BALANCING, return_after_ms=3000)
        self.assertEqual(sent(relay, name="s") + sent(relay, name="s"), "aab")
        self.assertEqual(sent(relay, 5, 4, name="s"), "bbbbb")


class ReloadTests(SynchronousTestCase):
    """Other settings hold at once, for the conversations that there are."""

    def running(self, acts: Any = (FINE,), strategy: str = "round_robin", **affinity: Any) -> Running:
        """Return a relay with these settings."""
        routing = {"strategy": strategy, "max_wait_ms": 0, "affinity": affinity}
        return Running(self, {"a": acts, "b": [FINE], "c": [FINE]}, routing=routing)

    def change(self, running: Running, strategy: str = "round_robin", **affinity: Any) -> None:
        """Reload with these settings."""
        running.reload(routing={"strategy": strategy, "max_wait_ms": 0, "affinity": affinity})

    def test_idle(self) -> None:
        """Another idle_ms judges how long they have been silent."""
        running = self.running()
        self.assertEqual(sent(running, name="s"), "a")
        running.go(50)
        self.change(running, idle_ms=60_000)
        self.assertEqual(sent(running, name="s"), "a")
        running.go(50)
        self.change(running, idle_ms=40_000)
        self.assertEqual(sent(running, name="s"), "b")

    def test_max_sessions(self) -> None:
        """With a lower max_sessions those unused for longest are forgotten."""
        running = self.running()
        self.assertEqual("".join(sent(running, name=n) for n in range(4)), "abca")
        self.change(running, max_sessions=2)
        self.assertEqual("".join(sent(running, name=n) for n in (9, 9, 3, 0)), "bbac")

    def test_return_after(self) -> None:
        """Another return_after_ms says when those that are away return."""
        running = self.running([FINE, Refuses(503), FINE], "failover", return_after_ms=500_000)
        self.assertEqual(sent(running, 2, name="s"), "aab")
        running.go(20)
        self.assertEqual(sent(running, name="s"), "b")
        self.change(running, "failover", return_after_ms=15_000)
        self.assertEqual(sent(running, name="s"), "a")

    def test_strategy(self) -> None:
        """Under another strategy they stay where they are, and return only if that one prefers somebody."""
        for strategy, went in (("failover", "ba"), ("least_loaded", "bb")):
            running = self.running([FINE, Refuses(503), FINE], "model_based", return_after_ms=9000)
            self.assertEqual(sent(running, 2, name="s"), "aab")
            self.change(running, strategy, return_after_ms=9000)
            away = sent(running, name="s")
            running.go(10)
            self.assertEqual(away + sent(running, name="s"), went)

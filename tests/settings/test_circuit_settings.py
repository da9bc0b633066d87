"""health.circuit_breaker: when circuits open, for how long, and how they close, seen from who is asked."""

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses
from ccrelay.simulator.faults import Stalls
from tests.settings.sending import BROKEN, FINE, Chances, sent
from tests.stack import Plain

SLOW = Stalls(before_head=True, seconds=2)


class Circuit(SynchronousTestCase):
    """What the tests share: C{a} is asked first by every request that its circuit lets pass; C{b} serves."""

    def relay(self, acts: Any, chance: float = 0.0, **breaker: Any) -> Plain:
        """Return a relay with these settings of its circuits."""
        settings = {"health": {"circuit_breaker": breaker}}
        return Plain(self, {"a": acts, "b": [FINE]}, settings, chance=Chances(always=chance))

    def asked(self, relay: Plain, count: int, seconds: float = 0) -> int:
        """Send so many requests, and return how many of them went to C{a}."""
        return sent(relay, count, seconds).count("a")


class OpeningTests(Circuit):
    """failure_threshold, and failure_rate with its window_ms and minimum_requests."""

    def test_failure_threshold(self) -> None:
        """After so many failures in a row a provider is asked no more."""
        for failures in (1, 2, 8):
            relay = self.relay([BROKEN], failure_threshold=failures)
            self.assertEqual(self.asked(relay, 12), failures)

    def test_in_a_row(self) -> None:
        """A success ends the row."""
        relay = self.relay([BROKEN, BROKEN, FINE, BROKEN, BROKEN, FINE, BROKEN], failure_threshold=3)
        self.assertEqual(self.asked(relay, 12), 9)

    def test_overload(self) -> None:
        """So many refusals for overload close the way to the model, and to no other."""
        relay = self.relay([Refuses(529)], failure_threshold=2)
        self.assertEqual(self.asked(relay, 5), 2)
        opus = b'{"model":"claude-opus-4-5","messages":[],"max_tokens":9}'
        self.assertEqual(sent(relay, 3, content=opus).count("a"), 2)

    def half(self, first: Any = FINE) -> Iterable[Any]:
        """Return the acts of a provider that fails every other time."""
        return [first, BROKEN] * 20

    def test_failure_rate(self) -> None:
        """A share of failures opens it, though none are in a row; a smaller share does not."""
        few = {"failure_threshold": 50, "minimum_requests": 10}
        for rate, asked in ((0.4, 10), (0.5, 10), (0.6, 30), (None, 30)):
            relay = self.relay(self.half(), failure_rate=rate, **few)
            self.assertEqual(self.asked(relay, 30), asked, rate)

    def test_minimum_requests(self) -> None:
        """There is no share of fewer requests than that."""
        for requests in (4, 28):
            relay = self.relay(self.half(), failure_rate=0.3, minimum_requests=requests, failure_threshold=50)
            self.assertEqual(self.asked(relay, 35), requests)

    def test_window(self) -> None:
        """What is longer ago than the window is forgotten, and no sooner."""
        given = {"failure_rate": 0.4, "minimum_requests": 10, "failure_threshold": 50}
        # The 10th fails, and opens it; where the first 7 are forgotten, it is the 11th of the others.
        for window_ms, asked in ((20_000, 18), (40_000, 10), (300_000, 10)):
            relay = self.relay(self.half(), window_ms=window_ms, **given)
            self.assertEqual(self.asked(relay, 7), 7)
            relay.go(25)
            self.assertEqual(7 + self.asked(relay, 15), asked)
        for window_ms, asked in ((100_000, 16), (300_000, 10)):
            relay = self.relay(self.half(), window_ms=window_ms, open_duration_ms=900_000, **given)
            self.assertEqual(self.asked(relay, 16, 20), asked)


class OpenTests(Circuit):
    """open_duration_ms."""

    def test_open_duration(self) -> None:
        """It is left alone for so long, then tried; each failure then doubles the time."""
        for seconds in (7, 50):
            relay = self.relay([BROKEN], failure_threshold=1, open_duration_ms=seconds * 1000)
            self.assertEqual(self.asked(relay, 3), 1)
            for doubled in (seconds, 2 * seconds, 4 * seconds):
                relay.go(doubled - 0.1)
                self.assertEqual(self.asked(relay, 3), 0)
                relay.go(0.2)
                self.assertEqual(self.asked(relay, 3), 1)

    def test_jitter(self) -> None:
        """Chance makes it a tenth longer at most, so that several relays do not try at the same moment."""
        relay = self.relay([BROKEN], chance=0.5, failure_threshold=1, open_duration_ms=20_000)
        self.assertEqual(self.asked(relay, 2), 1)
        relay.go(20.9)
        self.assertEqual(self.asked(relay, 1), 0)
        relay.go(0.2)
        self.assertEqual(self.asked(relay, 1), 1)


class HalfOpenTests(Circuit):
    """half_open_probes."""

    QUICK = {"failure_threshold": 2, "open_duration_ms": 5000}  # noqa: RUF012

    def test_at_once(self) -> None:
        """No more than so many requests try it at once; the others go elsewhere meanwhile."""
        for probes in (1, 2, 6):
            relay = self.relay([BROKEN, BROKEN, SLOW], half_open_probes=probes, **self.QUICK)
            self.assertEqual(self.asked(relay, 2), 2)
            relay.go(6)
            self.assertEqual(self.asked(relay, 9), probes)
            relay.go(3)  # all have succeeded
            self.assertEqual(self.asked(relay, 9), 9)

    def test_so_many_successes_close_it(self) -> None:
        """One failure opens it again until so many have succeeded, and none of its own afterwards."""
        for probes in (1, 2, 6):
            for before in (probes - 1, probes):
                acts = [BROKEN, BROKEN, *[FINE] * before, BROKEN, FINE]
                relay = self.relay(acts, half_open_probes=probes, **self.QUICK)
                self.assertEqual(self.asked(relay, 2), 2)
                relay.go(6)
                expected = before + 1 if before < probes else before + 3
                self.assertEqual(self.asked(relay, before + 3), expected)

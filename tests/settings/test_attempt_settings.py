"""What bounds the attempts of one request: max_attempts, failover_timeout, max_wait_ms and retry_budget."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses
from ccrelay.simulator.faults import Stalls
from tests.settings.sending import BROKEN, FINE, Chances, session, tried
from tests.stack import Stack, body

SIX = {name: [BROKEN] for name in "abcdef"}
LENIENT = {"health": {"circuit_breaker": {"failure_threshold": 1000}}}


class AttemptTests(SynchronousTestCase):
    """Bounds of a series of attempts."""

    def relay(self, acts: dict[str, Any], chance: float = 0.5, fields: Any = None, **routing: Any) -> Stack:
        """Return a relay with these settings."""
        settings = LENIENT | {"routing": routing}
        return Stack(self, acts, settings, chance=Chances(always=chance), **(fields or {}))

    def test_max_attempts(self) -> None:
        """Nobody is asked beyond so many attempts, and up to them everybody is."""
        for attempts in (1, 2, 6):
            relay = self.relay(SIX, max_attempts=attempts)
            self.assertEqual(tried(relay), "abcdef"[:attempts])
            self.assertEqual(relay.told.requests[-1].status, 500)

    def test_repeats_are_attempts(self) -> None:
        """Where there is one provider the attempts are its repeats."""
        for attempts in (1, 2, 3):
            relay = self.relay({"a": [BROKEN]}, max_attempts=attempts)
            relay.ask(seconds=30)
            self.assertEqual(len(relay.asked("a")), attempts)

    def test_failover_timeout(self) -> None:
        """After so long no new attempt begins; before, one does, however long it then takes."""
        silent = Stalls(before_head=True)
        acts = {name: [silent] for name in "abc"} | {"d": [FINE]}
        for seconds, timeout, expected in ((2, 3, "ab"), (2, 5, "abc"), (2, 7, "abcd"), (95, 200, "abc")):
            fields = {"first_byte_timeout_ms": seconds * 1000}
            relay = self.relay(acts, fields=fields, failover_timeout=timeout * 1000)
            self.assertEqual(tried(relay, body(stream=True), seconds=seconds * 5), expected)

    def test_max_wait(self) -> None:
        """A Retry-After up to it is waited for inside the request; of a longer one the client is told."""
        for longest, asked_for, waits in ((9, 8, True), (9, 10, False), (2, 3, False), (2, 2, True)):
            limited = Refuses(429, headers=((b"retry-after", b"%d" % asked_for),))
            relay = self.relay({"a": [limited, FINE]}, max_wait_ms=longest * 1000)
            answer = relay.ask(seconds=asked_for + 1)
            self.assertEqual(answer.status, 200 if waits else 429)
            self.assertEqual(len(relay.asked("a")), 1 + waits)
            if waits:
                first, second = (asked.at for asked in relay.asked("a"))
                self.assertAlmostEqual(second - first, asked_for, delta=0.1)

    def test_nobody_twice(self) -> None:
        """With max_wait_ms: 0 nobody is asked twice, not even after a moment."""
        for longest, times in ((0, 1), (1000, 2)):
            for failure in (BROKEN, Refuses(529)):
                relay = self.relay({"a": [failure, FINE]}, chance=0.0, max_wait_ms=longest)
                relay.ask(seconds=5)
                self.assertEqual(len(relay.asked("a")), times)

    def test_retry_budget(self) -> None:
        """So large a share of the last requests may be repeated in place, and always three."""
        for share, repeats in ((None, 4), (0.0, 3), (0.5, 10), (0.35, 7), (1.0, 20)):
            given = {} if share is None else {"retry_budget": share}
            relay = self.relay({"a": [BROKEN]}, max_attempts=2, **given)
            for _ in range(20):
                relay.send(body(), headers=session(0))
            relay.go(3)
            self.assertEqual(len(relay.asked("a")) - 20, repeats, share)

    def test_the_budget_is_for_repeats_alone(self) -> None:
        """Whoever goes to another provider needs none of it."""
        relay = self.relay({"a": [BROKEN], "b": [FINE]}, retry_budget=0.0)
        for _ in range(10):
            self.assertEqual(tried(relay), "ab")

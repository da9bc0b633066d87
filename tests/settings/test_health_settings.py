"""health.health_check: how often providers are probed, for how long, and what follows."""

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Sends
from ccrelay.simulator.faults import Stalls
from ccrelay.simulator.script import Script
from tests.service.machine import Running
from tests.settings.sending import FINE, NO_AFFINITY, sent

WELL = Sends(b'{"data":[]}', "application/json")
ILL = Refuses(500, "no")
SILENT = Stalls(before_head=True)


class HealthTests(SynchronousTestCase):
    """Probes of a relay that runs."""

    def running(self, *probes: Any, breaker: Any = None, **check: Any) -> Running:
        """Return a relay whose preferred provider answers probes so."""
        running = Running(
            self, {"a": [FINE], "b": [FINE]}, routing={"affinity": NO_AFFINITY},
            health={"health_check": check, "circuit_breaker": breaker or {}},
        )  # fmt: skip
        running.simulators["a"]._script = Script([FINE], {"/v1/models": probes})
        return running

    def probes(self, running: Running) -> list[float]:
        """Return when the provider was probed, in seconds since the start."""
        return [asked.at - 1000 for asked in running.asked("a", "/v1/models")]

    def until(self, running: Running, seen: Callable[[], object]) -> None:
        """Let time pass until something is seen, two minutes at most."""
        for _ in range(1200):
            if seen():
                return
            running.go(0.1)

    def test_unhealthy_after(self) -> None:
        """So many failed probes in a row open the circuit, without any request."""
        for failures in (1, 2, 7):
            running = self.running(ILL, interval_ms=4000, unhealthy_after=failures)
            self.until(running, lambda: running.said("circuit open"))  # noqa: B023  it is called at once
            self.assertEqual(len(self.probes(running)), failures)
            self.assertEqual(sent(running, 2), "bb")

    def test_in_a_row(self) -> None:
        """A probe that succeeds ends the row."""
        running = self.running(*[ILL, ILL, WELL] * 5, interval_ms=1000, unhealthy_after=3)
        running.go(13)
        self.assertGreater(len(self.probes(running)), 9)
        self.assertEqual(running.said("circuit"), [])
        self.assertEqual(sent(running, 2), "aa")

    def test_interval(self) -> None:
        """From one probe to the next it takes so long, and up to a fifth more at times."""
        for interval in (3, 45):
            running = self.running(WELL, interval_ms=interval * 1000)
            running.go(interval * 10.5)
            times = self.probes(running)
            self.assertEqual(len(times), 10)
            for number, at in enumerate(times, 1):
                self.assertTrue(0 <= at - number * interval <= 0.2 * interval, times)

    def test_timeout(self) -> None:
        """A probe may take so long, and has failed then."""
        for seconds in (2.5, 20):
            check = {"interval_ms": 40_000, "timeout_ms": int(seconds * 1000), "unhealthy_after": 1}
            running = self.running(SILENT, **check)
            self.until(running, lambda: self.probes(running))  # noqa: B023  it is called at once
            running.go(seconds - 0.2)
            self.assertEqual(running.said("circuit", "probe "), [])
            self.assertEqual(sent(running, 1), "a")
            running.go(0.3)
            self.assertEqual(running.said("circuit", "probe "), ["circuit open", "probe failed"])
            line = next(line for line in running.lines if line["message"] == "probe failed")
            self.assertIn(f" within {seconds:g} s", line["reason"])
            self.assertEqual(sent(running, 1), "b")

    def test_enabled(self) -> None:
        """With enabled: false nobody is probed, and nothing follows."""
        running = self.running(ILL, interval_ms=1000, unhealthy_after=1, enabled=False)
        running.go(30)
        self.assertEqual((self.probes(running), sent(running, 1)), ([], "a"))

    def test_open_for(self) -> None:
        """A circuit that probes have opened is open for open_duration_ms, like any other."""
        running = self.running(
            ILL, interval_ms=60_000, unhealthy_after=1,
            breaker={"open_duration_ms": 9000, "half_open_probes": 2},
        )  # fmt: skip
        self.until(running, lambda: running.said("circuit open"))
        running.go(8)
        self.assertEqual(sent(running, 1), "b")
        running.go(2.5)
        self.assertEqual(sent(running, 3), "aaa")
        self.assertEqual(running.said("circuit"), ["circuit open", "circuit half open", "circuit closed"])

"""The rules of the circuit-breaker service: circuits half-open at their time, and each change is told."""

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.log import FIELDS
from ccrelay.policy.breaker import State, Thresholds
from ccrelay.policy.breakers import Breakers
from ccrelay.service.breakers import CircuitBreakerService
from ccrelay.simulator.acts import Refuses, Says
from tests.service.machine import Running
from tests.stack import WALL

THRESHOLDS = Thresholds(failures=1, open_for=30.0, half_open_probes=1)


class BreakerTests(SynchronousTestCase):
    """Breakers of two providers, watched by the service."""

    def setUp(self) -> None:
        """Watch them, and the log."""
        self.clock = Clock()
        self.back = 0.0
        self.service = CircuitBreakerService(self.clock, self.wall)
        self.service.startService()
        self.breakers = self.made("a", "b")
        self.lines: list[tuple[Any, ...]] = []

        def note(event: Any) -> None:
            if FIELDS in event:
                words = event["log_format"].format(**event)
                self.lines.append((event["log_level"].name, words, event[FIELDS]))

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def made(self, *names: str) -> Breakers:
        """Return the breakers of some providers."""
        return Breakers(names, THRESHOLDS, lambda: 0.0, watch=self.service.changed)

    def wall(self) -> float:
        """Return the time of day."""
        return WALL + self.clock.seconds() - self.back

    def fail(self, provider: str = "a", model: str = "m", *, overload: bool = False) -> None:
        """Let a request fail."""
        admission = self.breakers.enter(provider, model, self.wall(), early=True)
        (admission.overloaded if overload else admission.failed)(self.wall())

    def state(self, provider: str = "a") -> State:
        """Return where a breaker is by what has happened to it, whatever the time."""
        return self.breakers.of(provider).state(0.0)

    def test_half_opens_at_its_time(self) -> None:
        """A circuit becomes half open when its time is over, whether or not somebody asks."""
        self.fail()
        self.clock.advance(29.9)
        self.assertIs(self.state(), State.OPEN)
        self.clock.advance(0.2)
        self.assertIs(self.state(), State.HALF_OPEN)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lines(self) -> None:
        """The log tells each change once: which circuit, after how many failures, and for how long."""
        self.fail()
        self.clock.advance(30)
        self.breakers.enter("a", "m", self.wall()).succeeded(self.wall())
        of = {"provider": "a", "model": ""}
        self.assertEqual(self.lines, [
            ("warn", "circuit open", of | {"failures": 1, "failed": "requests", "open_s": 30.0}),
            ("info", "circuit half open", of),
            ("info", "circuit closed", of),
        ])  # fmt: skip

    def test_a_model(self) -> None:
        """The circuit of an overloaded model is one of its own, and named."""
        self.fail(overload=True)
        self.clock.advance(30)
        told = [(words, fields["provider"], fields["model"]) for _, words, fields in self.lines]
        self.assertEqual(told, [("circuit open", "a", "m"), ("circuit half open", "a", "m")])
        self.assertIs(self.state(), State.CLOSED)

    def test_each_for_itself(self) -> None:
        """Circuits wait side by side."""
        self.fail("a")
        self.clock.advance(20)
        self.fail("b")
        self.clock.advance(10)
        self.assertEqual((self.state("a"), self.state("b")), (State.HALF_OPEN, State.OPEN))
        self.clock.advance(20)
        self.assertIs(self.state("b"), State.HALF_OPEN)

    def test_failing_again(self) -> None:
        """One that fails again when half open waits anew, for twice as long."""
        self.fail()
        self.clock.advance(30)
        self.fail()
        self.clock.advance(59)
        self.assertIs(self.state(), State.OPEN)
        self.clock.advance(1)
        self.assertIs(self.state(), State.HALF_OPEN)
        self.assertEqual(self.lines[2][2]["open_s"], 60.0)

    def test_half_opened_early(self) -> None:
        """One that a probe or a last resort half-opens before its time is not waited for any more."""
        self.fail()
        self.breakers.of("a").probe_succeeded(self.wall())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual([words for _, words, _ in self.lines], ["circuit open", "circuit half open"])

    def test_the_clock_is_put_back(self) -> None:
        """Where the time of day was put back the circuit opens at the hour it was to."""
        self.fail()
        self.back = 100.0
        self.clock.advance(30)
        self.assertIs(self.state(), State.OPEN)
        self.clock.advance(99)
        self.assertIs(self.state(), State.OPEN)
        self.clock.advance(1)
        self.assertIs(self.state(), State.HALF_OPEN)

    def test_the_clock_is_put_forward(self) -> None:
        """Where it was put forward nothing is waited for twice."""
        self.fail()
        self.back = -100.0
        self.clock.advance(30)
        self.assertIs(self.state(), State.HALF_OPEN)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_change_of_configuration(self) -> None:
        """Circuits of providers that are gone or begin afresh are not waited for; those that stay are."""
        for provider in ("a", "b"):
            self.fail(provider)
            self.breakers.enter(provider, "n", self.wall(), early=True).overloaded(self.wall())
        other = self.made("b", "c")
        other.adopt(self.breakers)
        self.service.change(self.breakers, other)
        self.assertEqual({fields["provider"] for *_, fields in self.lines}, {"a", "b"})
        del self.lines[:]
        self.clock.advance(60)
        self.assertEqual({fields["provider"] for *_, fields in self.lines}, {"b"})
        afresh = self.made("b")
        afresh.adopt(other, set())
        self.fail("b")
        self.service.change(other, afresh)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """Nothing is waited for when the service has stopped, also not for what changes afterwards."""
        self.fail()
        self.service.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.fail("b")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(self.state("b"), State.OPEN)


class InTheRelayTests(SynchronousTestCase):
    """The service in the tree."""

    def test_named(self) -> None:
        """It is found by its name, beside the probes of each provider."""
        running = Running(self, {"a": [Says("x")], "b": [Says("x")]}, health={})
        self.assertIsInstance(running.relay.getServiceNamed("circuit breakers"), CircuitBreakerService)
        probes = running.relay.getServiceNamed("health")
        self.assertEqual([probe.name for probe in probes], ["probe a", "probe b"])

    def test_by_requests(self) -> None:
        """Failing requests open a circuit, its time half-opens it, and requests that succeed close it."""
        health = {
            "health_check": {"enabled": False},
            "circuit_breaker": {"failure_threshold": 2, "half_open_probes": 2},
        }
        acts = [Refuses(500, "no"), Refuses(500, "no"), Says("x")]
        routing = {"max_wait_ms": 0, "affinity": {"enabled": False}}
        running = Running(self, {"a": acts, "b": [Says("x")]}, health=health, routing=routing)
        for _ in range(3):
            self.assertEqual(running.ask().status, 200)
        self.assertEqual(len(running.asked("a")), 2)
        running.go(33)
        for _ in range(3):
            running.ask()
        self.assertEqual(len(running.asked("a")), 5)
        self.assertEqual(
            running.said("circuit"), ["circuit open", "circuit half open", "circuit closed"]
        )

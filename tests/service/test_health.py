"""The rules of probing: it goes on from start to stop, whatever happens, and the log tells what is news."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.log import FIELDS
from ccrelay.relay.probe import ProbeEnded
from ccrelay.service.health import HealthProbeService
from ccrelay.simulator.acts import Act, Refuses, Says, Sends
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.faults import Stalls
from ccrelay.simulator.script import Script
from tests.service.machine import Running
from tests.stack import KEY

FINE = Sends(b'{"data":[]}', "application/json")
NO = Refuses(500, "no")
ROUTING = {"max_wait_ms": 0, "affinity": {"enabled": False}}


class _Named:
    name = "a"


class _Prober:
    """Probes as a test says."""

    def __init__(self, probe: Any) -> None:
        self.probe = probe


class LoopTests(SynchronousTestCase):
    """The service of one provider's probes, with probes that a test makes up."""

    def setUp(self) -> None:
        """Note when probes begin."""
        self.clock = Clock()
        self.began: list[float] = []
        self.late = 0.0

    def service(self, answer: Any = None, interval: float = 10.0) -> HealthProbeService:
        """Return the running service; C{answer} is what a probe waits for."""

        async def probe() -> ProbeEnded:
            self.began.append(self.clock.seconds())
            if answer is not None:
                await answer()
            return ProbeEnded("a", "k", healthy=True, status=200, reason="", duration=0.0)

        made = HealthProbeService(_Named(), _Prober(probe), interval, self.clock, lambda: self.late)
        made.startService()
        self.addCleanup(made.stopService)
        return made

    def go(self, seconds: int) -> None:
        """Let time pass, a second at a time."""
        for _ in range(seconds):
            self.clock.advance(1)

    def test_interval(self) -> None:
        """A probe comes every interval, the first one after one interval."""
        self.service()
        self.go(45)
        self.assertEqual(self.began, [10, 20, 30, 40])

    def test_jitter(self) -> None:
        """Each comes later by a part of the interval that chance decides, a fifth of it at most."""
        chances = iter((0.0, 0.5, 0.99, 0.0))
        service = self.service()
        service._chance = lambda: next(chances)
        self.go(45)
        self.assertEqual(self.began, [10, 21, 32, 40])

    def test_one_at_a_time(self) -> None:
        """No probe begins before the last one has ended; then they come when they are due."""
        answers = [Deferred[None]() for _ in range(3)]
        answers[1].callback(None)
        answers[2].callback(None)
        left = iter(answers)
        self.service(lambda: next(left))
        self.go(25)
        self.assertEqual(self.began, [10])
        answers[0].callback(None)
        self.go(20)
        self.assertEqual(self.began, [10, 30, 40])

    def test_a_fault(self) -> None:
        """A probe that raises what nobody foresaw is logged, and the next one comes when it is due."""

        async def fault() -> None:
            msg = "who would have thought"
            raise RuntimeError(msg)

        self.service(fault)
        self.go(35)
        self.assertEqual(self.began, [10, 20, 30])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)

    def test_stopped(self) -> None:
        """A service that is stopped has no timer, and the probe that was under way is cancelled."""
        cancelled: list[bool] = []
        waiting: Deferred[None] = Deferred(lambda _: cancelled.append(True))
        self.late = 0.5
        service = self.service(lambda: waiting)
        self.go(5)
        service.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        service.startService()
        self.go(10)
        self.assertEqual(self.began, [])
        service.stopService()  # while it is late
        self.assertEqual(self.clock.getDelayedCalls(), [])
        service.startService()
        self.go(12)
        self.assertEqual(len(self.began), 1)
        service.stopService()
        self.assertEqual((cancelled, self.clock.getDelayedCalls()), ([True], []))
        self.go(60)
        self.assertEqual(len(self.began), 1)


class LogTests(SynchronousTestCase):
    """What is told."""

    def told(self, *rounds: tuple[str, bool, str]) -> list[tuple[str, str, str]]:
        """
        Return level, words and key of the lines about these rounds, but for those that only debugging shows.

        @param rounds: the key's name, whether the provider was there, and the reason.
        """
        lines: list[tuple[str, str, str]] = []

        def note(event: Any) -> None:
            if FIELDS in event and event["log_level"].name != "debug":
                lines.append((event["log_level"].name, event["log_format"], event[FIELDS]["key"]))

        globalLogPublisher.addObserver(note)
        service = HealthProbeService(_Named(), _Prober(None), 10.0, Clock(), lambda: 0.0)
        for key, healthy, reason in rounds:
            service._tell(ProbeEnded("a", key, healthy, 200 if healthy else 0, reason, 0.1))
        globalLogPublisher.removeObserver(note)
        return lines

    def test_all_is_well(self) -> None:
        """Probes that succeed are no news."""
        self.assertEqual(self.told(("k", True, ""), ("l", True, "")), [])

    def test_failing(self) -> None:
        """A provider that fails is told once, and once more when it is well again."""
        rounds = [("k", False, "refused"), ("l", False, "no answer"), ("k", False, "refused")]
        self.assertEqual(
            self.told(*rounds, ("l", True, ""), ("k", True, ""), *rounds),
            [
                ("warn", "probe failed", "k"),
                ("info", "probe succeeded again", "l"),
                ("warn", "probe failed", "k"),
            ],
        )

    def test_a_key_refused(self) -> None:
        """A key that is refused is told once, however many rounds there are, until it is accepted."""
        no = "the key was refused (401)"
        rounds = [("k", True, no), ("l", True, ""), ("m", True, no), ("-", True, "")]
        self.assertEqual(
            self.told(*rounds, *rounds, ("k", False, "broken"), ("k", True, no), ("k", True, "")),
            [
                ("warn", "probe: key refused", "k"),
                ("warn", "probe: key refused", "m"),
                ("warn", "probe failed", "k"),
                ("info", "probe succeeded again", "k"),
                ("info", "probe: key accepted again", "k"),
            ],
        )

    def test_both(self) -> None:
        """A provider that is there again, and refuses the key, is two things to tell."""
        told = self.told(("k", False, "broken"), ("k", True, "the key was refused (401)"))
        self.assertEqual(
            [words for _, words, _ in told], ["probe failed", "probe succeeded again", "probe: key refused"]
        )


class InTheRelayTests(SynchronousTestCase):
    """The probes of a relay that runs."""

    def running(self, *probes: Act, messages: Any = (), **check: Any) -> Running:
        """Return a relay whose provider C{a} answers probes so; there is another one."""
        running = Running(
            self, {"a": [], "b": [Says("x")]}, health={"health_check": check}, routing=ROUTING
        )
        simulator = Simulator(running.machine, script=Script(messages, {"/v1/models": probes or [FINE]}))
        running.network.ports["a"].stopListening()
        running.network.listen("a", simulator.site)
        running.simulators["a"] = simulator
        return running

    def probes(self, running: Running) -> int:
        """Return how often the provider was probed."""
        return len(running.asked("a", "/v1/models"))

    def test_from_start_to_stop(self) -> None:
        """Probes run whether there are requests or not, and end when the relay stops."""
        running = self.running(messages=[Says("x")])
        running.go(61)
        self.assertIn(self.probes(running), (5, 6))
        for _ in range(30):
            running.ask()
            running.go(2)
        self.assertIn(self.probes(running), (11, 12))
        stopping = running.stop()
        running.go(3)
        self.successResultOf(stopping)
        before = self.probes(running)
        running.go(60)
        self.assertEqual(self.probes(running), before)

    def test_while_it_drains(self) -> None:
        """They go on while the last requests are let finish: those may still have to go elsewhere."""
        running = self.running(messages=[Says("one two", pace=10)], interval_ms=1000)
        running.send(b'{"model":"m","messages":[],"max_tokens":1,"stream":true}')
        running.stop()
        running.go(10)
        self.assertGreater(self.probes(running), 6)

    def test_switched_off(self) -> None:
        """Where they are disabled nobody is probed."""
        running = self.running(enabled=False)
        running.go(600)
        self.assertEqual((self.probes(running), running.simulators["a"].count), (0, 0))

    def test_no_tokens(self) -> None:
        """Probes never ask for a message."""
        running = self.running(interval_ms=1000)
        running.go(100)
        self.assertEqual({asked.method for asked in running.simulators["a"].asked}, {"GET"})
        self.assertEqual(running.asked("a"), [])

    def test_never_asked(self) -> None:
        """A provider that was never yet asked, nor probed, counts as ready."""
        running = self.running()
        self.assertEqual(running.get("/ready").status, 200)

    def test_one_that_hangs(self) -> None:
        """A probe that is not answered ends by its timeout, and the next one comes."""
        running = self.running(Stalls(before_head=True), FINE, interval_ms=2000, timeout_ms=5000)
        running.go(30)
        self.assertGreater(self.probes(running), 10)
        self.assertEqual(running.said("probe failed", "again"), ["probe failed", "probe succeeded again"])

    def test_down_and_up(self) -> None:
        """Without any request a circuit opens when a provider fails, and half-opens when it is well."""
        running = self.running(*[NO] * 4, FINE, messages=[Says("x")], interval_ms=1000, unhealthy_after=4)
        running.go(4.9)
        self.assertEqual(running.ask().status, 200)
        self.assertEqual((len(running.asked("a")), len(running.asked("b"))), (0, 1))
        running.go(2)
        for _ in range(3):
            running.ask()
        self.assertEqual((len(running.asked("a")), len(running.asked("b"))), (3, 1))
        self.assertEqual(
            running.said("circuit", "probe "),
            ["probe failed", "circuit open", "circuit half open", "probe succeeded again", "circuit closed"],
        )

    def test_a_key_that_is_refused(self) -> None:
        """A key that the provider does not know is used no more before any request has met it."""
        running = self.running(Refuses(401, "no"))
        running.go(12.1)
        running.ask()
        self.assertEqual((len(running.asked("a")), len(running.asked("b"))), (0, 1))
        line = next(line for line in running.lines if line["message"] == "probe: key refused")
        self.assertEqual((line["level"], line["provider"], line["status"]), ("warn", "a", 401))
        self.assertNotIn(KEY, str(line))

    def test_a_fault(self) -> None:
        """What goes wrong in a probe of one provider ends neither its own probes nor those of others."""
        running = self.running(interval_ms=1000)
        upstream = running.relay.upstreams["a"]
        send = upstream.client.send

        def fault(*_what: Any, **_how: Any) -> Any:
            msg = "who would have thought"
            raise RuntimeError(msg)

        upstream.client.send = fault
        running.go(5)
        self.assertGreater(len(self.flushLoggedErrors(RuntimeError)), 2)
        upstream.client.send = send
        running.go(5)
        self.assertGreater(self.probes(running), 3)
        self.assertGreater(len(running.asked("b", "/v1/models")), 7)

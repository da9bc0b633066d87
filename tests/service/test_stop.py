"""The rules of the end: in which order the relay lets go, and that nothing is left, whatever it was doing."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.faults import Stalls
from ccrelay.simulator.script import Script
from tests.service.machine import Running
from tests.stack import body

EVERY_SECOND = {"health_check": {"interval_ms": 1000}, "circuit_breaker": {"failure_threshold": 1}}
ROUTING = {"max_wait_ms": 0, "affinity": {"enabled": False}}


class StopTests(SynchronousTestCase):
    """A relay that is stopped; L{Running} sees to it that nothing is left."""

    def stopped(self, running: Running, seconds: float) -> None:
        """Stop, which must be done within that time, and see that nothing is left."""
        stopping = running.stop()
        running.go(seconds)
        self.successResultOf(stopping)
        self.assertEqual((running.network.connections, running.machine.getDelayedCalls()), ([], []))

    def test_idle(self) -> None:
        """A relay that has nothing to do stops at once, though clients and providers keep connections."""
        running = Running(self, {"a": [Says("x")]})
        running.ask()
        self.assertEqual(len(running.network.connections), 2)
        self.stopped(running, 0)

    def test_order(self) -> None:
        """No one comes in, what is being answered ends, probes go on for it, and then connections close."""
        running = Running(self, {"a": [Says("one two", pace=2)]}, health=EVERY_SECOND)
        peer = running.send(body(stream=True))
        stopping = running.stop()
        running.go()
        self.assertEqual(running.doors, [])
        self.assertTrue(running.connect().closed)
        running.go(5)
        probes = len(running.asked("a", "/v1/models"))
        self.assertGreater(probes, 2)
        self.assertNoResult(stopping)
        running.go(30)
        self.successResultOf(stopping)
        self.assertEqual(running.events(peer)[-1], "message_stop")
        self.assertEqual(running.kept("a"), 0)

    def test_a_circuit_that_is_open(self) -> None:
        """A circuit that waits to half-open waits no more."""
        running = Running(self, {"a": [Refuses(500, "no")]}, health=EVERY_SECOND, routing=ROUTING)
        running.ask()
        self.assertEqual(running.said("circuit"), ["circuit open"])
        self.stopped(running, 0)

    def test_a_probe_under_way(self) -> None:
        """A probe that waits for its answer is hung up on."""
        running = Running(self, {"a": []}, health=EVERY_SECOND)
        silent = Simulator(running.machine, script=Script(paths={"/v1/models": [Stalls(before_head=True)]}))
        running.network.ports["a"].stopListening()
        running.network.listen("a", silent.site)
        running.go(2)
        self.assertEqual((silent.open_requests, running.kept("a")), (1, 1))
        self.stopped(running, 0)

    def test_streams_that_do_not_end(self) -> None:
        """Streams that take too long are ended, also those on a provider that was taken out meanwhile."""
        running = Running(self, {"a": [Stalls()], "b": [Stalls()]}, server={"drain_ms": 5000})
        peers = [running.send(body(stream=True))]
        del running.providers["a"]
        running.reload()
        peers.append(running.send(body(stream=True)))
        self.assertEqual((running.kept("a"), running.kept("b")), (1, 1))
        self.stopped(running, 6)
        self.assertEqual([running.events(peer)[-1] for peer in peers], ["error"] * 2)

    def test_a_provider_that_cannot_be_reached(self) -> None:
        """A request that waits for a connection is ended as well."""
        running = Running(self, {"a": [Says("x")]}, server={"drain_ms": 1000})
        running.network.blackhole("a")
        peer = running.send()
        self.stopped(running, 2)
        self.assertEqual(running.answer(peer).status, 503)

    def test_a_wait(self) -> None:
        """So is one that waits to be repeated."""
        acts = [Refuses(529, "overloaded", "overloaded_error")]
        running = Running(self, {"a": acts}, server={"drain_ms": 1}, routing={"max_wait_ms": 60_000})
        running.send()
        self.stopped(running, 1)

    def test_a_reload(self) -> None:
        """A reload whose files are still being read keeps nothing from stopping, and opens nothing later."""
        reading: list[Deferred[None]] = []

        def elsewhere(reread: object) -> Deferred[None]:
            reading.append(Deferred())
            return reading[-1].addCallback(lambda _: reread())

        running = Running(self, {"a": [Says("x")]}, elsewhere=elsewhere)
        running.reload(server={"listen": "127.0.0.1:9000"})
        self.stopped(running, 0)
        reading[0].callback(None)
        self.assertEqual(running.doors, [])

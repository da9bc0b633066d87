"""The rules of a reload: what cannot be used changes nothing, and no request notices one that can."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import ConfigError
from ccrelay.simulator.acts import Says
from ccrelay.simulator.faults import Stalls
from tests.network import Network
from tests.service.machine import USUAL, Running
from tests.stack import body

REFUSED = "configuration not reloaded, the old one stays in use: "
OTHER = "127.0.0.1:9000"


def listening(*addresses: str, **more: Any) -> dict[str, Any]:
    """Return the section of a server that listens there."""
    return {"listen": addresses, "auth": {"allow_anonymous": True}, **more}


class RefusalTests(SynchronousTestCase):
    """A configuration that cannot be used."""

    def test_a_broken_one(self) -> None:
        """The old configuration stays, and one line says what is wrong, where, and how much more there is."""
        running = Running(self, {"a": [Says("x")]})
        running.broken = ConfigError(("c.yaml:3: server.listn: found it", "c.yaml:9: x: y", "c.yaml:9: x: z"))
        running.reload(server={"max_concurrent": 1})
        line = f"{REFUSED}c.yaml:3: server.listn: found it (and 2 more: `ccrelay check` tells all)"
        self.assertEqual(running.said("configuration")[1:], [line])
        self.assertEqual(running.lines[-1]["level"], "error")
        self.assertEqual(running.ask().status, 200)

    def test_one_problem(self) -> None:
        """Where there is no more, it says no more."""
        running = Running(self, {"a": [Says("x")]})
        running.broken = ConfigError(("c.yaml:3: x: y",))
        running.reload()
        self.assertEqual(running.said("not reloaded"), [f"{REFUSED}c.yaml:3: x: y"])

    def test_it_is_mended(self) -> None:
        """The next one that can be used is used."""
        running = Running(self, {"a": [Says("x")]})
        running.broken = ConfigError(("c.yaml:3: x: y",))
        running.reload(server=listening(USUAL, OTHER))
        self.assertEqual(running.doors, [USUAL])
        running.broken = None
        running.reload()
        self.assertEqual(running.doors, [USUAL, OTHER])
        self.assertEqual(len(running.said("configuration reloaded: a file; providers: a (anthropic)")), 1)

    def test_a_fault_while_reading(self) -> None:
        """What nobody foresaw is logged with its traceback; the old one stays, and the next reload works."""
        running = Running(self, {"a": [Says("x")]})
        running.broken = RuntimeError("who would have thought")
        running.reload()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(running.said("not reloaded")), 1)
        running.broken = None
        running.reload(server=listening(OTHER))
        self.assertEqual(running.doors, [OTHER])

    def test_a_file_that_a_provider_needs(self) -> None:
        """A provider that cannot be made, of a ca_file that is none, say, changes nothing else either."""
        running = Running(self, {"a": [Says("x")]})

        def reach(provider: Any) -> Network:
            if provider.name == "b":
                raise ConfigError((no_file,))
            return running.network

        no_file = "ca_file: /b.pem: no certificate in it; it must be a PEM file."
        running.reach = reach
        running.provide("b")
        running.reload(server=listening(OTHER), logging={"output": str(running.log.with_suffix(".2"))})
        self.assertEqual(running.said("not reloaded"), [REFUSED + no_file])
        self.assertEqual((running.doors, running.relay.upstreams.get("b")), ([USUAL], None))
        self.assertFalse(running.log.with_suffix(".2").exists())


class TimeTests(SynchronousTestCase):
    """A reload takes its time, and requests go on."""

    def test_in_flight(self) -> None:
        """A stream finishes on the provider it began on, though there is no such provider any more."""
        running = Running(self, {"a": [Says("one two three", pace=1)], "b": [Says("x")]})
        peer = running.send(body(stream=True))
        self.assertEqual(running.events(peer)[0], "message_start")
        del running.providers["a"]
        running.reload()
        self.assertEqual(running.ask().status, 200)
        self.assertEqual(len(running.asked("b")), 1)
        running.go(30)
        self.assertEqual(running.events(peer)[-1], "message_stop")

    def test_failing_over_in_flight(self) -> None:
        """A request that has to go on elsewhere finds the providers it began with."""
        fields = {"a": {"first_byte_timeout_ms": 5000}}
        running = Running(self, {"a": [Stalls(before_head=True)], "b": [Says("x")]}, fields)
        peer = running.send(body(stream=True))
        del running.providers["b"]
        running.reload()
        running.go(6)
        self.assertEqual(running.events(peer)[-1], "message_stop")
        self.assertEqual(len(running.asked("b")), 1)

    def test_read_elsewhere(self) -> None:
        """However long the files take to be read, requests are answered; then all changes at one moment."""
        reading: list[Deferred[Any]] = []

        def elsewhere(reread: Any) -> Deferred[Any]:
            reading.append(Deferred())
            return reading[-1].addCallback(lambda _: reread())

        running = Running(self, {"a": [Says("x")]}, elsewhere=elsewhere)
        running.reload(server=listening(OTHER))
        self.assertEqual(running.ask().status, 200)
        self.assertEqual(running.doors, [USUAL])
        reading[0].callback(None)
        running.go()
        self.assertEqual(running.doors, [OTHER])
        self.assertEqual(running.reads, 1)

    def test_once_more(self) -> None:
        """Whatever is asked for while a reload is going on is one more reload after it."""
        reading: list[Deferred[Any]] = []

        def elsewhere(reread: Any) -> Deferred[Any]:
            reading.append(Deferred())
            return reading[-1].addCallback(lambda _: reread())

        running = Running(self, {"a": [Says("x")]}, elsewhere=elsewhere)
        for _ in range(5):
            running.reload()
        self.assertEqual(len(reading), 1)
        reading[0].callback(None)
        running.go()
        self.assertEqual(len(reading), 2)
        reading[1].callback(None)
        running.go()
        self.assertEqual((len(reading), running.reads), (2, 2))
        running.reload()
        self.assertEqual(len(reading), 3)
        reading[2].callback(None)

    def test_at_the_end(self) -> None:
        """A reload that has been read when the relay stops opens nothing any more, nor does one begin."""
        reading: list[Deferred[Any]] = []

        def elsewhere(reread: Any) -> Deferred[Any]:
            reading.append(Deferred())
            return reading[-1].addCallback(lambda _: reread())

        running = Running(self, {"a": [Says("one two three", pace=1)]}, elsewhere=elsewhere)
        peer = running.send(body(stream=True))
        running.reload(server=listening(OTHER))
        stopping = running.stop()
        running.go()
        self.assertEqual(running.doors, [])
        reading[0].callback(None)
        running.go()
        self.assertIsNone(running.relay.reload())
        self.assertEqual(running.doors, [])
        running.go(30)
        self.successResultOf(stopping)
        self.assertEqual(running.events(peer)[-1], "message_stop")


class FileTests(SynchronousTestCase):
    """Files that the configuration was read from."""

    def running(self) -> tuple[Running, Path]:
        """Return a relay, and its file."""
        running = Running(self, {"a": [Says("x")]})
        file = Path(self.mktemp())
        file.write_text("one")
        running.files = (file,)
        running.reload()
        running.go(5)
        self.assertEqual(running.reads, 1)
        return running, file

    def test_changed(self) -> None:
        """A file that changes is read within three seconds, and once."""
        running, file = self.running()
        file.write_text("another")
        running.go(3)
        self.assertEqual(running.reads, 2)
        running.go(60)
        self.assertEqual(running.reads, 2)

    def test_changed_before_the_start(self) -> None:
        """What changes between the reading and the start of the relay is not lost."""
        file = Path(self.mktemp())
        file.write_text("one")
        running = Running(self, {"a": [Says("x")]}, files=(file,), early=lambda: file.write_text("another"))
        running.go(3)
        self.assertEqual(running.reads, 1)

    def test_told_as_well(self) -> None:
        """One that is changed by somebody who then says so is read once, whether or not it can be used."""
        for problem in (None, ConfigError(("c.yaml:1: x: y",))):
            running, file = self.running()
            file.write_text("another")
            running.broken = problem
            running.relay.reload()
            running.go(60)
            self.assertEqual(running.reads, 2)

    def test_broken(self) -> None:
        """One that cannot be used is told once; when it changes again it is tried again."""
        running, file = self.running()
        running.broken = ConfigError(("c.yaml:1: x: y",))
        file.write_text("broken")
        running.go(60)
        self.assertEqual(len(running.said("not reloaded")), 1)
        running.broken = None
        file.write_text("mended it is")
        running.go(3)
        self.assertEqual(len(running.said("configuration reloaded")), 2)

    def test_a_key_file_that_comes_later(self) -> None:
        """A configuration that names a key file which is not there is tried again when it comes."""
        running, file = self.running()
        key = Path(self.mktemp())
        running.broken = ConfigError(("c.yaml:1: x: y",), (key,))
        file.write_text("names a key file")
        running.go(5)
        running.broken = None
        running.files = (file, key)
        key.write_text("sk-test-0123456789")
        running.go(3)
        self.assertEqual(len(running.said("configuration reloaded")), 2)
        key.write_text("sk-test-01234567890")
        running.go(3)
        self.assertEqual(len(running.said("configuration reloaded")), 3)

"""The whole relay as one service: what it says at its start, what it listens on, and where its log goes."""

import json
import signal
from pathlib import Path
from typing import Any

from twisted.application.service import Application, IService
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.model import Settings
from ccrelay.config.read import Loaded
from ccrelay.observe.log import LEVELS, text_line
from ccrelay.service.root import Ccrelay
from ccrelay.service.tree import DoorService

KEY = "sk-test-0123456789abcdef"


class RootTests(SynchronousTestCase):
    """A relay on a machine in memory."""

    def setUp(self) -> None:
        """Listen to the log."""
        self.reactor = MemoryReactorClock()
        self.log = Path(self.mktemp())
        self.lines: list[str] = []

        def note(event: Any) -> None:
            self.lines.append(text_line(event).split(maxsplit=2)[2])

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def relay(self, *, notes: tuple[str, ...] = (), unused: tuple[str, ...] = (), **sections: Any) -> Ccrelay:
        """Return a relay that is not started."""
        providers = [{"name": "a", "type": "anthropic", "keys": [{"key": KEY}]}]
        logging = {"logging": {"output": str(self.log), "format": "json"}, "metrics": {"enabled": False}}
        settings = Settings.model_validate({"providers": providers, **logging, **sections})
        return Ccrelay(Loaded(settings, notes, "a file", unused), self.reactor, lambda: 1_800_000_000.0)

    def start(self, relay: Ccrelay) -> Ccrelay:
        """Start a relay as C{twistd} does."""
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        relay.privilegedStartService()
        relay.startService()
        return relay

    def test_rooms(self) -> None:
        """The doors open last and close first; then requests finish, and then connections close."""
        relay = self.relay(server={"listen": ["127.0.0.1:1", "127.0.0.1:2"]})
        names = [room.name for room in relay]
        self.assertEqual(
            names,
            ["credentials", "connections", "circuit breakers", "health", "key watch", "operations",
             "requests", "configuration watch", "process",
             "door 127.0.0.1:1", "door 127.0.0.1:2"],
        )  # fmt: skip
        self.assertEqual([probe.name for probe in relay.getServiceNamed("health")], ["probe a"])
        self.start(relay)
        self.assertEqual([port for port, *_ in self.reactor.tcpServers], [1, 2])
        self.successResultOf(relay.stopService())
        self.assertEqual([room.port for room in relay if isinstance(room, DoorService)], [None, None])

    def test_nothing_listens_before_the_start(self) -> None:
        """A relay that was only made has touched nothing."""
        self.relay()
        self.assertEqual((self.reactor.tcpServers, self.lines), ([], []))

    def test_what_it_says(self) -> None:
        """The start tells the configuration, its providers, what to know of it, and how to use it."""
        notes = ("a secret stands here",)
        self.start(self.relay(notes=notes, unused=("metrics.listen", "admin.token")))
        said = "\n".join(self.lines)
        self.assertIn("serving on http://", said)
        self.assertIn("configuration: a file; providers: a (anthropic)", said)
        self.assertIn("note: a secret stands here", said)
        self.assertIn("configured, but not in effect in this version: metrics.listen, admin.token", said)
        self.assertIn("ccrelay claude setup --url http://", said)
        self.assertIn("ANTHROPIC_AUTH_TOKEN=any claude", said)
        self.assertNotIn(KEY, said)

    def test_what_it_says_where_it_wants_a_key(self) -> None:
        """A relay with a key of its own does not say that any will do, and does not show its own."""
        self.start(self.relay(server={"auth": {"api_key": "test-relay-key"}}))
        said = "\n".join(self.lines)
        self.assertIn("ANTHROPIC_AUTH_TOKEN=its-key claude", said)
        self.assertNotIn("test-relay-key", said)

    def test_without_providers(self) -> None:
        """So it does where no provider is enabled."""
        self.start(self.relay(providers=[]))
        self.assertIn("providers: none", "\n".join(self.lines))

    def test_its_log(self) -> None:
        """Under twistd the log goes where the configuration says, in its format and at its level."""
        application = Application("test")
        self.relay().setServiceParent(application)
        self.assertEqual(len(list(IService(application))), 1)
        write = application.getComponent(ILogObserver)
        event = {"log_format": "hello", "log_time": 0.0, "log_namespace": "x"}
        for level in ("debug", "info"):
            write({**event, "log_level": LEVELS[level]})
        (line,) = self.log.read_text("utf-8").splitlines()
        self.assertEqual(json.loads(line)["message"], "hello")

    def test_hang_up(self) -> None:
        """SIGHUP opens the log file anew; where that cannot be, it goes on in the old one, and says so."""
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor.callFromThread = lambda call: call()
        self.start(self.relay())
        self.reactor.run()
        self.log.rename(self.log.with_suffix(".1"))
        signal.raise_signal(signal.SIGHUP)
        self.assertTrue(self.log.exists())
        self.assertIn("log file opened anew", self.lines[-1])
        self.log.unlink()
        self.log.mkdir()
        signal.raise_signal(signal.SIGHUP)
        self.assertIn("cannot open the log file anew", self.lines[-1])

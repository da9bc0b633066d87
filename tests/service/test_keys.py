"""What the log says of keys: that one is out of use, for what and how long, and that it is back."""

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.log import FIELDS
from ccrelay.service.keys import KeyWatchService
from ccrelay.simulator.acts import Refuses, Says
from tests.stack import KEY, Plain, body

LONG = ((b"retry-after", b"90"),)
SHORT = ((b"retry-after", b"59"),)


class KeyWatchTests(SynchronousTestCase):
    """The watch beside a relay whose providers refuse."""

    def setUp(self) -> None:
        """Listen to the log."""
        self.lines: list[tuple[str, dict[str, Any]]] = []

        def note(event: Any) -> None:
            if event.get("log_format", "").startswith("key "):
                self.lines.append((event["log_format"], event[FIELDS]))

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def watched(self, *acts: Any) -> Plain:
        """Return a relay with one key that is watched."""
        stack = Plain(self, {"a": list(acts)}, keys=[{"key": KEY, "name": "main"}])
        service = KeyWatchService(lambda: stack.upstreams, stack.clock, stack.wall)
        service.startService()
        self.addCleanup(service.stopService)
        return stack

    def test_refused(self) -> None:
        """A key that its provider does not know is told once, and its return as well."""
        stack = self.watched(Refuses(401))
        stack.ask()
        stack.go(5)
        of = {"provider": "a", "key": "main", "model": ""}
        self.assertEqual(self.lines, [("key out of use", of | {"why": "invalid", "for_s": None})])
        stack.upstreams["a"].backend.pool.keys[0].validated()
        stack.go(1)
        self.assertEqual(self.lines[1:], [("key usable again", of | {"was": "invalid"})])

    def test_without_credit(self) -> None:
        """A key without credit is told with the time it is left alone."""
        stack = self.watched(Refuses(402))
        stack.ask()
        stack.go(1)
        ((words, fields),) = self.lines
        self.assertEqual((words, fields["why"], fields["for_s"]), ("key out of use", "exhausted", 3599))
        stack.go(3600)
        self.assertEqual(self.lines[-1][0], "key usable again")

    def test_one_model(self) -> None:
        """A key that may not use one model is told with the model."""
        stack = self.watched(Refuses(403, "no access to model claude-sonnet-4-5"))
        stack.ask()
        stack.go(1)
        ((_, fields),) = self.lines
        self.assertEqual((fields["model"], fields["why"]), ("claude-sonnet-4-5", "not permitted"))

    def test_long_and_short_waits(self) -> None:
        """A wait of more than a minute is told, a shorter one is the business of the day."""
        stack = self.watched(Refuses(429, headers=SHORT))
        stack.ask()
        stack.go(1)
        self.assertEqual(self.lines, [])
        stack = self.watched(Refuses(429, headers=LONG))
        stack.ask()
        stack.go(1)
        self.assertEqual([words for words, _ in self.lines], ["key out of use"])

    def test_nothing(self) -> None:
        """Of keys that work nothing is said; after the stop, of none."""
        stack = self.watched(Says("x"))
        stack.ask(body())
        stack.go(5)
        self.assertEqual(self.lines, [])
        self.assertIsInstance(stack.clock, Clock)

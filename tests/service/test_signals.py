"""Signals: the first one stops, the second one ends, and SIGHUP is no reason to die."""

import os
import signal
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.service.signals import heed

HEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Reactor:
    """A reactor that runs when it is told to."""

    def __init__(self) -> None:
        self.hooks: list[Any] = []
        self.from_threads: list[Any] = []

    def callWhenRunning(self, hook: Any) -> None:
        self.hooks.append(hook)

    def callFromThread(self, call: Any) -> None:
        self.from_threads.append(call)


class SignalTests(SynchronousTestCase):
    """Signals to this very process, with handlers of the test's own in the place of Twisted's."""

    def setUp(self) -> None:
        """Put what Twisted would do in place, and heed signals."""
        self.done: list[Any] = []
        for number in HEEDED:
            before = signal.signal(number, lambda number, _frame: self.done.append(("stop", number)))
            self.addCleanup(signal.signal, number, before)
        self.reactor = _Reactor()
        heed(self.reactor, lambda: self.done.append("hung up"), leave=self.done.append)

    def run_reactor(self) -> None:
        """Let the reactor run, as far as what waits for that."""
        for hook in self.reactor.hooks:
            hook()

    def test_not_before_the_reactor_runs(self) -> None:
        """Twisted sets its handlers when the reactor starts; ours come after them, or would be lost."""
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(self.done, [("stop", signal.SIGTERM)] * 2)

    def test_the_first(self) -> None:
        """One SIGTERM or SIGINT does what it always did: stop in order."""
        for number in HEEDED[:2]:
            self.setUp()
            self.run_reactor()
            os.kill(os.getpid(), number)
            self.assertEqual(self.done, [("stop", number)])

    def test_the_second(self) -> None:
        """A second one, the same or the other, ends the process at once with the status shells expect."""
        for first, second, status in (
            (signal.SIGTERM, signal.SIGTERM, 143),
            (signal.SIGINT, signal.SIGINT, 130),
            (signal.SIGTERM, signal.SIGINT, 130),
        ):
            self.setUp()
            self.run_reactor()
            os.kill(os.getpid(), first)
            os.kill(os.getpid(), second)
            self.assertEqual(self.done, [("stop", first), status])

    def test_nothing_to_do_first(self) -> None:
        """Where a signal did nothing before, the first one does nothing, and the second one ends."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.run_reactor()
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual(self.done, [])
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual(self.done, [130])

    def test_hang_up_early(self) -> None:
        """A SIGHUP that comes before the reactor runs does not end the process; it is heeded then."""
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(len(self.reactor.from_threads), 1)

    def test_hang_up(self) -> None:
        """SIGHUP is heeded as often as it comes, in the reactor's own turn, and stops nothing."""
        self.run_reactor()
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(self.done, [])
        for call in self.reactor.from_threads:
            call()
        self.assertEqual(self.done, ["hung up"] * 2)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(self.done[2:], [("stop", signal.SIGTERM)])

"""The relay as a process: `twistd ccrelay` or `ccrelay serve`, its output, and its end."""

import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.live.relay import reactor
from tests.live.watch import Watch

ROOT = Path(__file__).parents[2]

TWISTD = ("-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile=", "ccrelay")
CCRELAY = ("-m", "ccrelay.cli.main")
SERVE = (*CCRELAY, "serve")


class RelayProcess(ProcessProtocol):
    """
    A process that a test started; it ends with the test at the latest, and then by its pid.

    @ivar status: its exit status, or the signal that ended it as a negative number; None while it runs.
    """

    transport: Any

    def __init__(self, test: TestCase, command: Sequence[str], *arguments: str,
                 descriptors: Sequence[int] = (), **variables: str) -> None:  # fmt: skip
        """
        @param command: L{TWISTD}, L{SERVE} or L{CCRELAY}.
        @param descriptors: handed over, as number 3 and so on.
        @param variables: of its environment, beside the usual.
        """
        folder = Path(test.mktemp()).absolute()
        folder.mkdir(parents=True)
        self.out, self.err = "", ""
        self.status: int | None = None
        self.exit: int | None = None
        self._watch = Watch(lambda: f"{self.out}{self.err}(status {self.status})")
        words = [sys.executable, *command, *arguments]
        numbered: dict[int, Any] = {0: "w", 1: "r", 2: "r", **dict(enumerate(descriptors, 3))}
        environ = {**environment(folder), **variables}
        reactor.spawnProcess(self, sys.executable, words, environ, str(folder), childFDs=numbered)
        test.addCleanup(self._end)

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed that, and return the match."""
        await self._watch.when(lambda: re.search(pattern, self.out))
        found = re.search(pattern, self.out)
        assert found is not None
        return found

    async def serving(self) -> str:
        """Wait until it serves, and return the URL."""
        return (await self.says(r"serving on (http://127\.0\.0\.1:\d+)"))[1]

    async def ended(self) -> int:
        """Wait for its end, and return its status."""
        await self._watch.when(lambda: self.status is not None)
        assert self.status is not None
        return self.status

    async def exited(self) -> int:
        """Wait until it is gone, though another process may still write where it did; return its status."""
        await self._watch.when(lambda: self.exit is not None)
        assert self.exit is not None
        return self.exit

    def signal(self, name: str) -> None:
        """Send a signal: C{TERM}, C{USR2}."""
        self.transport.signalProcess(getattr(signal, f"SIG{name}"))

    def outReceived(self, data: bytes) -> None:
        self.out += data.decode()
        self._watch.look()

    def errReceived(self, data: bytes) -> None:
        self.err += data.decode()

    def processExited(self, reason: Failure) -> None:
        ended: Any = reason.value
        self.exit = ended.exitCode if ended.signal is None else -ended.signal
        self._watch.look()

    def processEnded(self, reason: Failure) -> None:
        self.status = self.exit
        self._watch.look()
        self._watch.end()

    async def _end(self) -> None:
        if self.exit is None:
            self.signal("KILL")
        await self.ended()


def config_file(test: TestCase, text: str) -> str:
    """Return the path of a configuration file that nobody else may read."""
    path = Path(test.mktemp()).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def environment(home: Path) -> Mapping[str, str]:
    """Return a user's environment without keys, in which the clone can be run, and is measured."""
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    return {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **measured}

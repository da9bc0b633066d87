"""Commands of ccrelay as processes, waited for by whoever started them; each ends with its test."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(found: Callable[[], Any], what: str) -> Any:
    """Return what is found as soon as it is true; fail if that takes too long."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    msg = f"{what}: not within {PATIENCE_S:g} s"
    raise AssertionError(msg)


class Command:
    """A process of C{ccrelay}, whose output is kept."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
        environ = {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **measured}
        self._log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ccrelay.cli.main", *arguments],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environ, cwd=folder,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def said(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def says(self, pattern: str) -> None:
        """Wait until it has printed that."""
        until(lambda: re.search(pattern, self.said), f"{pattern} in {self.said}")

    def end(self) -> None:
        """End it, and wait for that."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

"""A relay and a provider as processes, and Chromium; all of them end with the test."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
TOKEN = "test-token-of-the-operator"
MISSING = "Chromium is not installed: tests/live/setup-debian.sh installs it"


def missing() -> str | None:
    """Return why there can be no browser, or None."""
    return None if shutil.which("chromium") and shutil.which("chromedriver") else MISSING


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


class Scene:
    """
    A relay with a provider of its own that can die, and one inside that cannot.

    @ivar url: of the operators' listener.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ccrelay-test-"))
        self._provider, self._clients, operators = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{operators}"
        keys = [
            {"key": "sk-test-of-the-far-1111", "name": "main", "rpm_limit": 10, "itpm_limit": 50_000},
            {"key": "sk-test-of-the-far-2222", "name": "spare", "rpm_limit": 10},
        ]
        there = f"http://127.0.0.1:{self._provider}"
        far = {"name": "far", "type": "anthropic", "base_url": there, "priority": 2}
        written = {
            "server": {"listen": f"127.0.0.1:{self._clients}", "drain_ms": 100},
            "metrics": {"listen": f"127.0.0.1:{operators}"},
            "admin": {"token": TOKEN},
            "health": {
                "health_check": {"interval_ms": 200, "timeout_ms": 500, "unhealthy_after": 1},
                "circuit_breaker": {"open_duration_ms": 500},
            },
            "providers": [far | {"keys": keys}, {"name": "near", "type": "simulator", "pace_ms": 1}],
        }
        config = self.folder / "config.yaml"
        config.write_text(json.dumps(written))
        config.chmod(0o600)
        self._simulator: Command | None = None
        self.revive()
        self.relay = Command(self.folder, "serve", "--config", str(config))
        self.relay.says(r"serving on http")

    def revive(self) -> None:
        """Let the provider be there."""
        self._simulator = Command(
            self.folder, "simulate", "--listen", f"127.0.0.1:{self._provider}", "--pace-ms", "1"
        )
        self._simulator.says(r"http")

    def kill(self) -> None:
        """Let the provider be gone."""
        if self._simulator is not None:
            self._simulator.end()
            self._simulator = None

    def ask(self, model: str = "claude-sonnet-4-5", **fields: Any) -> int:
        """Ask for a message, and return the status."""
        said = [{"role": "user", "content": f"Hello {time.time()}"}]
        asked = {"model": model, "max_tokens": 50, "messages": said}
        request = Request(
            f"http://127.0.0.1:{self._clients}/v1/messages",
            json.dumps(asked | fields).encode(),
            {"content-type": "application/json", "anthropic-version": "2023-06-01"},
        )
        with urlopen(request, timeout=PATIENCE_S) as answer:
            answer.read()
            return int(answer.status)

    def end(self) -> None:
        """End everything."""
        self.kill()
        self.relay.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def browser(folder: Path) -> Any:
    """Return a Chromium that talks to nobody but this machine."""
    os.environ["SE_OFFLINE"] = "true"
    from selenium.webdriver import Chrome, ChromeOptions  # noqa: PLC0415  slow to load, and not always needed
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415

    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-extensions",
        "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage",
        f"user-data-dir={folder / 'chromium'}", "window-size=1280,1000",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return Chrome(options, Service(str(shutil.which("chromedriver"))))

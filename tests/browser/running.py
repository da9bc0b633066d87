"""A relay and a provider as processes, and Chromium; all of them end with the test."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.live.command import PATIENCE_S, Command, free_port

TOKEN = "test-token-of-the-operator"
MISSING = "Chromium is not installed: tests/live/setup-debian.sh installs it"


def missing() -> str | None:
    """Return why there can be no browser, or None."""
    return None if shutil.which("chromium") and shutil.which("chromedriver") else MISSING


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
            {"key": "sk-test-of-the-far-1111", "name": "main", "rpm_limit": 500, "itpm_limit": 50_000},
            {"key": "sk-test-of-the-far-2222", "name": "spare", "rpm_limit": 500},
        ]
        there = f"http://127.0.0.1:{self._provider}"
        far = {"name": "far", "type": "anthropic", "base_url": there, "priority": 2}
        written = {
            "server": {"listen": f"127.0.0.1:{self._clients}", "drain_ms": 100},
            "metrics": {"listen": f"127.0.0.1:{operators}"},
            "admin": {"token": TOKEN},
            "health": {
                "health_check": {"interval_ms": 200, "timeout_ms": 2000, "unhealthy_after": 1},
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

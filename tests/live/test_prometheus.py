"""Prometheus itself reads a relay that runs: what it counts, and an alert that fires when a provider dies."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import SkipTest
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from twisted.trial.unittest import SynchronousTestCase

from tests.live.command import PATIENCE_S, Command, free_port, until

ROOT = Path(__file__).parents[2]
RULES = ROOT / "etc/prometheus/ccrelay.rules.yml"
MISSING = "Prometheus is not installed: tests/live/setup-debian.sh installs it"


class Scene:
    """A relay, a provider that can die, and Prometheus; everything ends with the test."""

    def __init__(self, test: SynchronousTestCase) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ccrelay-test-"))
        test.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self._test = test
        self._provider, self._clients, self._operators, self._prometheus = (free_port() for _ in range(4))
        far = {"name": "far", "type": "anthropic", "base_url": f"http://127.0.0.1:{self._provider}"}
        self.written: dict[str, Any] = {
            "server": {"listen": f"127.0.0.1:{self._clients}", "drain_ms": 100},
            "metrics": {"listen": f"127.0.0.1:{self._operators}"},
            "health": {
                "health_check": {"interval_ms": 200, "timeout_ms": 2000, "unhealthy_after": 1},
                "circuit_breaker": {"open_duration_ms": 300, "half_open_probes": 1},
            },
            "providers": [
                far | {"priority": 2, "keys": [{"key": "sk-test-of-the-far-1111", "rpm_limit": 100}]},
                {"name": "near", "type": "simulator", "pace_ms": 1},
            ],
        }
        self.config = self.folder / "config.yaml"
        self.write()
        self.provider: Command | None = None
        self.revive()
        test.addCleanup(self.kill)
        self.relay = Command(self.folder, "serve", "--config", str(self.config))
        test.addCleanup(self.relay.end)
        self.relay.says("serving on http")

    def write(self) -> None:
        """Write the configuration."""
        self.config.write_text(json.dumps(self.written))
        self.config.chmod(0o600)

    def revive(self) -> None:
        """Let the provider be there."""
        self.provider = Command(
            self.folder, "simulate", "--listen", f"127.0.0.1:{self._provider}", "--pace-ms", "1"
        )
        self.provider.says("http")

    def kill(self) -> None:
        """Let the provider be gone."""
        if self.provider is not None:
            self.provider.end()
            self.provider = None

    def ask(self, **fields: Any) -> None:
        """Ask for a message."""
        said = [{"role": "user", "content": "x"}]
        asked = {"model": "claude-sonnet-4-5", "max_tokens": 20, "messages": said}
        request = Request(
            f"http://127.0.0.1:{self._clients}/v1/messages",
            json.dumps(asked | fields).encode(),
            {"content-type": "application/json", "anthropic-version": "2023-06-01"},
        )
        with urlopen(request, timeout=PATIENCE_S) as answer:
            answer.read()

    def metrics(self) -> str:
        """Return what Prometheus reads."""
        with urlopen(f"http://127.0.0.1:{self._operators}/metrics", timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    def prometheus(self) -> None:
        """Start Prometheus, with the rules as they come, but in seconds rather than minutes."""
        rules = re.sub(r"for: \d+m", "for: 1s", RULES.read_text())
        (self.folder / "rules.yml").write_text(rules)
        (self.folder / "prometheus.yml").write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
                    "rule_files": ["rules.yml"],
                    "scrape_configs": [
                        {
                            "job_name": "ccrelay",
                            "scrape_timeout": "400ms",
                            "static_configs": [{"targets": [f"127.0.0.1:{self._operators}"]}],
                        }
                    ],
                }
            )
        )
        with (self.folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    str(shutil.which("prometheus")), "--config.file=prometheus.yml",
                    "--storage.tsdb.path=data",
                    f"--web.listen-address=127.0.0.1:{self._prometheus}",
                ],
                cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self._test.addCleanup(process.wait, PATIENCE_S)
        self._test.addCleanup(process.terminate)

    def query(self, path: str, **asked: str) -> Any:
        """Return what Prometheus answers; None while it does not."""
        url = f"http://127.0.0.1:{self._prometheus}/api/v1/{path}?{urlencode(asked)}"
        try:
            with urlopen(url, timeout=PATIENCE_S) as answer:
                return json.loads(answer.read())["data"]
        except OSError:
            return None

    def value(self, expression: str) -> float | None:
        """Return the value of an expression that has one."""
        found = self.query("query", query=expression)
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    def firing(self) -> set[str]:
        """Return the alerts that fire."""
        found = self.query("alerts") or {"alerts": []}
        return {one["labels"]["alertname"] for one in found["alerts"] if one["state"] == "firing"}


class PrometheusTests(SynchronousTestCase):
    """Debian's Prometheus and a relay."""

    def setUp(self) -> None:
        """See whether it is there."""
        if shutil.which("prometheus") is None:
            raise SkipTest(MISSING)

    def test_an_outage(self) -> None:
        """Prometheus counts what was asked; when a provider dies an alert fires, and ends when it returns."""
        scene = Scene(self)
        scene.prometheus()
        until(lambda: scene.value('up{job="ccrelay"}') == 1.0, "the relay is read")
        for stream in (True, False, True):
            scene.ask(stream=stream)
        until(lambda: scene.value("sum(ccrelay_requests_total)") == 3.0, "the requests are counted")
        self.assertEqual(scene.value('ccrelay_requests_total{stream="true",code="2xx",provider="far"}'), 2.0)
        self.assertEqual(scene.value('ccrelay_key_used{provider="far",kind="requests"}'), 3.0)
        self.assertGreater(scene.value("sum(ccrelay_cost_usd_total)") or 0.0, 0.0)
        self.assertNotIn("CcrelayProviderCircuitOpen", scene.firing())
        scene.kill()
        until(lambda: "CcrelayProviderCircuitOpen" in scene.firing(), "the alert fires")
        scene.ask()
        self.assertNotIn("CcrelayNotReady", scene.firing())
        near = 'sum(ccrelay_requests_total{provider="near"})'
        until(lambda: (scene.value(near) or 0) >= 1, "another serves")
        scene.revive()
        until(lambda: "CcrelayProviderCircuitOpen" not in scene.firing(), "the alert ends")

    def test_promtool(self) -> None:
        """Prometheus's own tool finds no fault with what it reads."""
        scene = Scene(self)
        for fields in ({}, {"stream": True}, {"model": 'a"b\\c\nd'}):
            scene.ask(**fields)
        done = subprocess.run(
            [str(shutil.which("promtool")), "check", "metrics"], input=scene.metrics(),
            capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_reading_while_reloading(self) -> None:
        """However often the configuration is read anew, Prometheus is answered, and counts stay."""
        scene = Scene(self)
        scene.ask()
        for number in range(10):
            scene.written["server"]["max_concurrent"] = number + 100
            scene.write()
            os.kill(scene.relay.pid, signal.SIGHUP)
            for _ in range(5):
                self.assertIn('ccrelay_attempts_total{outcome="ok",provider="far"} 1.0', scene.metrics())
                time.sleep(0.01)
        until(lambda: "ccrelay_config_reload_ok 1.0" in scene.metrics(), "it was taken over")
        reloads = re.search(r'ccrelay_reloads_total\{result="ok"\} (\S+)', scene.metrics())
        assert reloads is not None
        self.assertGreaterEqual(float(reloads[1]), 1.0)

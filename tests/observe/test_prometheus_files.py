"""What comes for Prometheus and Grafana: it speaks of metrics that there are, with labels that they have."""

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import SkipTest

import yaml
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.metrics import METRICS, NAMES

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "etc/prometheus"
GRAFANA = ROOT / "etc/grafana"
RULES = PROMETHEUS / "ccrelay.rules.yml"
TESTS = PROMETHEUS / "ccrelay.rules.test.yml"
PAGE = ROOT / "docs/metrics.md"
OTHERS = {"up", "ALERTS", "label_values", "process_cpu_seconds_total", "process_resident_memory_bytes",
          "process_open_fds", "process_max_fds"}  # fmt: skip
"""Names that are Prometheus's, Grafana's or prometheus-client's."""
OF_PROMETHEUS = {"job", "instance", "le", "alertname", "alertstate", "severity", "__name__"}
MISSING = "promtool is not installed: tests/live/setup-debian.sh installs it"


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric of an expression with the labels that it is narrowed by."""
    for name, inside in re.findall(r"\b(ccrelay[a-z0-9_:]+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside))


def base(name: str) -> tuple[str, set[str]]:
    """Return the metric that a sample is of, and the labels that samples of this name have."""
    for suffix in ("_bucket", "_count", "_sum"):
        found = name.removesuffix(suffix)
        if found != name and METRICS.get(found, METRICS["ccrelay_ready"]).kind == "histogram":
            return found, {*NAMES[found], *({"le"} if suffix == "_bucket" else ())}
    return name, set(NAMES.get(name, ()))


def dashboard_module() -> ModuleType:
    """Return the script that writes the dashboard."""
    spec = importlib.util.spec_from_file_location("make_dashboard", GRAFANA / "make_dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FileTests(SynchronousTestCase):
    """Rules, alerts and the dashboard."""

    def setUp(self) -> None:
        """Read the rules."""
        groups = yaml.safe_load(RULES.read_text())["groups"]
        self.rules: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
        self.recorded = {rule["record"] for rule in self.rules if "record" in rule}
        self.alerts = {rule["alert"]: rule for rule in self.rules if "alert" in rule}

    def expressions(self) -> dict[str, str]:
        """Return every expression, by where it stands."""
        found = {rule.get("record") or rule["alert"]: rule["expr"] for rule in self.rules}
        dashboard = json.loads((GRAFANA / "ccrelay.json").read_text())
        for panel in dashboard["panels"]:
            for number, target in enumerate(panel.get("targets", ())):
                found[f"panel {panel['title']}, {number}"] = target["expr"]
        for one in dashboard["templating"]["list"]:
            found[f"variable {one['name']}"] = one["query"]
        for case in yaml.safe_load(TESTS.read_text())["tests"]:
            for number, one in enumerate(case["input_series"]):
                found[f"test {case['name']}, {number}"] = one["series"]
        return found

    def test_they_speak_of_what_there_is(self) -> None:
        """Every metric that is named is exported or recorded, and has the labels that it is asked by."""
        found = False
        for where, expression in self.expressions().items():
            for name, labels in selectors(expression):
                if name in self.recorded:
                    continue
                metric, known = base(name)
                self.assertIn(metric, NAMES, f"{where}: {name}")
                self.assertLessEqual(labels - OF_PROMETHEUS, known, f"{where}: {name}")
                found = True
        self.assertTrue(found)

    def test_groupings(self) -> None:
        """What is grouped by is a label of some metric."""
        known = OF_PROMETHEUS | {label for labels in NAMES.values() for label in labels}
        for where, expression in self.expressions().items():
            for names in re.findall(r"\b(?:by|on|without) \(([^)]*)\)", expression):
                self.assertLessEqual({name.strip() for name in names.split(",")}, known, where)

    def test_everything_is_seen(self) -> None:
        """Every metric that is exported is on the dashboard."""
        text = (GRAFANA / "ccrelay.json").read_text()
        shown = {base(name)[0] for name, _ in selectors(text)}
        recorded = " ".join(rule["expr"] for rule in self.rules if rule.get("record", "-") in text)
        shown |= {base(name)[0] for name, _ in selectors(recorded)}
        self.assertEqual(set(NAMES) - shown, set())

    def test_the_dashboard_is_what_is_written(self) -> None:
        """The dashboard is what its script makes; each panel has its own place and number."""
        module = dashboard_module()
        self.assertEqual((GRAFANA / "ccrelay.json").read_text(), module.text())
        panels = module.dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        squares = set()
        for panel in panels:
            place = panel["gridPos"]
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), squares, panel["title"])
                    squares.add((x, y))
        self.assertEqual(max(x for x, _ in squares), 23)

    def test_alerts_say_what_to_do(self) -> None:
        """Every alert has a severity, a summary and a description, and a test."""
        tested = TESTS.read_text()
        for name, rule in self.alerts.items():
            self.assertIn(rule["labels"]["severity"], {"critical", "warning", "info"})
            for words in ("summary", "description"):
                self.assertTrue(rule["annotations"][words], name)
            self.assertIn(f'alertname="{name}"', tested)

    def test_the_page_knows_all(self) -> None:
        """The page on metrics tells each metric with its labels, and each alert."""
        text = PAGE.read_text()
        for name, labels in NAMES.items():
            row = re.search(rf"^\| `{name}` \| (.*?) \|", text, re.MULTILINE)
            self.assertIsNotNone(row, name)
            assert row is not None
            self.assertEqual(re.findall(r"`(\w+)`", row[1]), list(labels), name)
        for alert in self.alerts:
            self.assertIn(f"| `{alert}` |", text)
        for record in self.recorded:
            self.assertIn(f"| `{record}` |", text)

    def promtool(self, *arguments: str, content: str | None = None) -> str:
        """Return what promtool says when all is well."""
        if shutil.which("promtool") is None:
            raise SkipTest(MISSING)
        done = subprocess.run(
            [str(shutil.which("promtool")), *arguments], input=content, capture_output=True, text=True,
            check=False, cwd=PROMETHEUS, timeout=60,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_promtool_checks_the_rules(self) -> None:
        """Prometheus's own tool finds no fault with rules and example."""
        self.assertIn("SUCCESS", self.promtool("check", "rules", RULES.name))
        self.assertIn("SUCCESS", self.promtool("check", "config", "prometheus.yml"))

    def test_promtool_tests_the_rules(self) -> None:
        """Each alert fires when it should, and keeps still when it should."""
        self.assertIn("SUCCESS", self.promtool("test", "rules", TESTS.name))

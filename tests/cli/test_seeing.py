"""What the commands that show a running relay write, and what those that change it ask for."""

import io
import json
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import main, showing
from tests.cli.standin import KEY, NOW, PROVIDER, Standin, status


class SeeingTests(SynchronousTestCase):
    """One relay, and what is said of it."""

    def setUp(self) -> None:
        """Let there be a relay."""
        self.there = Standin(self)

    def ccrelay(self, *arguments: str, said: str = "") -> tuple[int, str, str]:
        """Run a command line; return its status, its output and what it complained of."""
        out, err = io.StringIO(), io.StringIO()
        with mock.patch("sys.stdin", io.StringIO(said)):
            try:
                code = main.run((*arguments, "--url", self.there.url), out, err, {}, Path("/nonexistent"))
            except SystemExit as end:
                code = int(end.code or 0)
        for line in out.getvalue().splitlines():
            if "--json" not in arguments:
                self.assertLessEqual(len(line), 80, line)
        return code, out.getvalue(), err.getvalue()

    def show(self, **other: Any) -> None:
        """Let the relay stand so."""
        self.there.answers["/status"] = (200, status(**other))

    def test_status(self) -> None:
        """The status is one screen: ready, since when, how much, and how each provider stands."""
        code, out, _ = self.ccrelay("status")
        self.assertEqual(code, 0)
        for words in (
            "ready\n", "ccrelay 1.2.3, up for 2 h, /etc/ccrelay/config.yaml",
            "strategy failover, 3 in flight",
            "1.2k requests, 5 failed, 4.1M tokens in, 75% of the cache read, 200k out, $12.50",
            "far       ready    1/1          3      912 ms   1.2k       5  $12.50",
        ):  # fmt: skip
            self.assertIn(words, out)

    def test_not_ready(self) -> None:
        """While no request could be served the exit status says so, and the first line why."""
        self.show(ready="the circuit of far is open", changes=["provider near disabled"])
        code, out, _ = self.ccrelay("status")
        self.assertEqual(code, 1)
        self.assertTrue(out.startswith("not ready: the circuit of far is open\n"))
        self.assertIn("changed, not in the file: provider near disabled", out)

    def test_for_programs(self) -> None:
        """With C{--json} everything comes as it is."""
        self.assertEqual(json.loads(self.ccrelay("status", "--json")[1]), status())
        self.assertEqual(json.loads(self.ccrelay("providers", "--json")[1]), [PROVIDER])
        self.assertEqual(json.loads(self.ccrelay("keys", "--json")[1]), {"far": [KEY]})

    def test_providers(self) -> None:
        """Each provider has a line, and another for each thing that is wrong with it."""
        out_of_it = PROVIDER | {
            "name": "a-name-that-is-longer-than-there-is-room-for", "standing": "open", "changed": ["keys"],
            "base_url": "https://a-very-long-address-of-a-server.example/with/a/path",
            "circuit": {"state": "open", "due": NOW + 29.6, "failures": 5, "degraded": True},
            "models_out": [{"model": "\x1b[31mm", "state": "half_open", "due": None, "failures": 0}],
            "probe": {"at": NOW, "healthy": False, "status": 0, "reason": "connection refused", "key": "-"},
            "credential": {"held": False, "expires": None, "problem": "the token could not be" + "x" * 99},
        }  # fmt: skip
        self.show(providers=[PROVIDER, out_of_it])
        code, out, _ = self.ccrelay("providers")
        self.assertEqual(code, 0)
        for words in (
            "circuit open, tried again in 30 s", "circuit of �[31mm: half open", "probe: connection refused",
            "the token could not be", "changed at run time: keys",
        ):  # fmt: skip
            self.assertIn(words, out)
        self.assertNotIn("\x1b", out)

    def test_no_providers(self) -> None:
        """Without providers there are only the heads of the tables."""
        self.show(providers=[])
        for command in ("status", "providers", "keys"):
            self.assertEqual(self.ccrelay(command)[0], 0)

    def test_keys(self) -> None:
        """Each key has a line for each of its limits, with a bar, and how long it stands so."""
        used = [
            {"kind": "requests", "limit": 50, "used": 25},
            {"kind": "input-tokens", "limit": 20_000, "used": 20_000},
        ]
        waiting = KEY | {"name": "spare", "standing": "waiting", "until": NOW + 45, "usage": used}
        self.show(providers=[PROVIDER | {"keys": [KEY, waiting]}])
        _, out, _ = self.ccrelay("keys", "far")
        self.assertIn("█████·····    25/50", out)
        self.assertIn("██████████  20k/20k", out)
        self.assertIn("told to wait 45 s", out)
        code, _, err = self.ccrelay("keys", "near")
        self.assertEqual(code, 1)
        self.assertIn("there is no provider 'near'; there are: far", err)

    def test_strategy(self) -> None:
        """The strategies there are, with a mark at the one in use."""
        self.assertEqual(self.ccrelay("strategy")[1], "* failover\n  round_robin\n")

    def test_orders(self) -> None:
        """Each order asks for what it says, and the relay's words are the answer."""
        limits = {"rpm_limit": 5, "itpm_limit": 0, "otpm_limit": 0, "tpm_limit": 0}
        new = {"provider": "far", "key": "sk-test-1", "name": "n"} | limits
        for arguments, action, asked in (
            (("providers", "enable", "far"), "enable", {"provider": "far"}),
            (("providers", "disable", "far"), "disable", {"provider": "far"}),
            (("providers", "drain", "far"), "drain", {"provider": "far"}),
            (("providers", "reset", "far"), "reset_breaker", {"provider": "far"}),
            (("keys", "add", "far", "--name", "n", "--rpm", "5"), "add_key", new),
            (("keys", "remove", "far", "…1234"), "remove_key", {"provider": "far", "name": "…1234"}),
            (("keys", "reset", "far", "main"), "reset_key", {"provider": "far", "name": "main"}),
            (("strategy", "round_robin"), "strategy", {"strategy": "round_robin"}),
            (("reload",), "reload", {}),
            (("revert",), "revert", {}),
        ):
            given = self.ccrelay(*arguments, said="sk-test-1\n")
            self.assertEqual(given, (0, "it is done\n", ""), arguments)
            method, path, _, told = self.there.asked[-1]
            self.assertEqual((method, path, told), ("POST", f"/admin/{action}", asked))

    def test_half_an_order(self) -> None:
        """What lacks something is wrong usage, and nothing is asked."""
        for arguments in (
            ("providers", "disable"), ("providers", "explode", "far"), ("keys", "add"),
            ("keys", "remove", "far"), ("keys", "far", "main"), ("keys", "add", "far", "sk-test-in-sight"),
        ):  # fmt: skip
            self.assertEqual(self.ccrelay(*arguments)[0], 2, arguments)
        self.assertEqual(self.ccrelay("keys", "add", "far", said="\n")[0], 2)
        self.assertEqual(self.there.asked, [])

    def test_colours(self) -> None:
        """Colours are for terminals, whose user has not said no; the words stay without them."""

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            out = Terminal()
            main.run(("status", "--url", self.there.url), out, io.StringIO(), environ, Path("/nonexistent"))
            self.assertEqual("\x1b[32mready\x1b[0m" in out.getvalue(), coloured)
            self.assertIn("ready", out.getvalue())


class TextTests(SynchronousTestCase):
    """Numbers and bars in few characters."""

    def test_numbers(self) -> None:
        """Amounts, times and money as people read them."""
        self.assertEqual([showing.count(n) for n in (0, 999, 1234, 45_678, 1.2e6, 3e9)],
                         ["0", "999", "1.2k", "46k", "1.2M", "3.0G"])  # fmt: skip
        self.assertEqual([showing.lasting(s) for s in (0, 89, 600, 7200, 300_000)],
                         ["0 s", "89 s", "10 min", "2 h", "3 d"])  # fmt: skip
        money = [showing.dollars(d) for d in (None, 0, 0.00123, 12.3)]
        self.assertEqual(money, ["-", "$0.00", "$0.0012", "$12.30"])
        self.assertEqual([showing.milliseconds(m) for m in (None, 12.3, 4567.0)], ["-", "12 ms", "4.6 s"])

    def test_bars(self) -> None:
        """A bar is as wide as it is told, whatever is used."""
        for used, limit in ((0, 10), (1, 10), (5, 10), (10, 10), (50, 10), (5, 0)):
            self.assertEqual(len(showing.bar(used, limit)), 10)
        self.assertEqual(showing.bar(5, 10), "█████·····")
        self.assertEqual(showing.sparkline([1, 8, 4], 10), "▂█▅")
        self.assertEqual(showing.sparkline([], 10), "")

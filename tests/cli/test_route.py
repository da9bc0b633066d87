"""C{ccrelay route --explain}: from a file, from standard input, for a model; by a relay or without one."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import main
from tests.cli.standin import Standin

CONFIG = """
server: {auth: {clients: [{name: ann, key: sk-test-of-ann-01, providers: [two]}]}}
metrics: {listen: "127.0.0.1:1"}
providers:
- {name: one, type: simulator, priority: 2}
- {name: two, type: anthropic, keys: [{key: sk-test-0123456789ab}, {key: sk-test-ba9876543210}]}
- {name: off, type: simulator, enabled: false}
"""
BODY = json.dumps({"model": "claude-opus-5", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]})
TOLD = {
    "model": "m", "strategy": "failover", "place": "far/main",
    "candidates": [
        {"rank": 1, "provider": "far", "type": "anthropic", "model": "\x1b[31mm", "key": None,
         "reason": "a reason that is longer than the column is wide"},
    ],
    "left_out": [{"provider": "near", "reason": "disabled"}], "notes": ["what else there is to know"],
}  # fmt: skip


class RouteTests(SynchronousTestCase):
    """What is explained, and what cannot be."""

    def setUp(self) -> None:
        """Write a configuration."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.config = self.folder / "config.yaml"
        self.config.write_text(CONFIG)
        self.config.chmod(0o600)

    def ccrelay(self, *arguments: str, said: bytes = b"") -> tuple[int, str, str]:
        """Run the command; return its status, its output and what it complained of."""
        out, err = io.StringIO(), io.StringIO()
        whole = ("route", "--explain", *arguments, "--config", str(self.config))
        with mock.patch("sys.stdin", SimpleNamespace(buffer=io.BytesIO(said))):
            try:
                status = main.run(whole, out, err, {}, Path("/nonexistent"))
            except SystemExit as end:
                status = int(end.code or 0)
        for line in out.getvalue().splitlines():
            self.assertLessEqual(len(line), 80, line)
        return status, out.getvalue(), err.getvalue()

    def test_a_model(self) -> None:
        """For a model, without a relay: the candidates in order, and who is left out."""
        status, out, err = self.ccrelay("claude-sonnet-4-5")
        self.assertEqual((status, err), (0, ""))
        self.assertIn(
            "claude-sonnet-4-5, strategy failover; by the configuration alone, all being well\n", out
        )
        self.assertIn("1  one       claude-sonnet-4-5  -      priority 2\n", out)
        self.assertIn("2  two       claude-sonnet-4-5  …89ab  priority 1\n", out)
        self.assertIn("3  two       claude-sonnet-4-5  …3210  its next key\n", out)
        self.assertIn("  off: disabled\n", out)

    def test_a_body(self) -> None:
        """For a body, of a file or of standard input."""
        (self.folder / "body").write_text(BODY)
        for given, said in ((str(self.folder / "body"), b""), ("-", BODY.encode())):
            status, out, _ = self.ccrelay(given, said=said)
            self.assertEqual(status, 0)
            self.assertTrue(out.startswith("claude-opus-5, "))

    def test_for_a_client(self) -> None:
        """As a client: what it may use; one that is not there is told."""
        self.assertIn("  one: this client may not use it\n", self.ccrelay("m", "--client", "ann")[1])
        status, _, err = self.ccrelay("m", "--client", "bob")
        self.assertEqual((status, err), (1, "ccrelay: there is no client 'bob'; there are: ann\n"))

    def test_nobody(self) -> None:
        """Where nobody could take it the exit status says so."""
        self.config.write_text("providers: [{name: a, type: simulator, enabled: false}]\n")
        status, out, _ = self.ccrelay("m")
        self.assertEqual(status, 1)
        self.assertIn("nobody could take it", out)

    def test_bad_input(self) -> None:
        """What is no request, no file or no configuration is told, each with its own exit status."""
        bad = self.folder / "bad.json"
        for content in (b"", b"nonsense", b"[]", b'{"messages": []}', b'{"model": 5}', b"\xff"):
            bad.write_bytes(content)
            status, out, err = self.ccrelay(str(bad))
            self.assertEqual((status, out), (65, ""), content)
            self.assertIn("bad.json: ", err)
        self.assertEqual(self.ccrelay("./none")[0], 66)
        self.assertEqual(self.ccrelay("none.json")[0], 66)
        self.assertEqual(self.ccrelay()[0], 2)
        self.config.write_text("providers: 5\n")
        self.assertEqual(self.ccrelay("m", "--offline")[0], 78)

    def test_a_relay_is_asked(self) -> None:
        """A relay that runs is asked, with the body, the session and the client, and its answer is shown."""
        there = Standin(self)
        there.answers["/admin/explain"] = (200, TOLD)
        arguments = ("-", "--url", there.url, "--client", "ann", "--session", "s1")
        status, out, _ = self.ccrelay(*arguments, said=BODY.encode())
        self.assertEqual(status, 0)
        asked = {"request": json.loads(BODY), "headers": {"x-claude-code-session-id": "s1"}, "client": "ann"}
        self.assertEqual(there.asked[-1][3], asked)
        for words in (
            "its conversation is at far/main",
            "own login",
            "a reason that is longer than the column",
        ):
            self.assertIn(words, out)
        self.assertNotIn("\x1b", out)
        self.assertEqual(json.loads(self.ccrelay(*arguments, "--json", said=BODY.encode())[1] or "{}"), TOLD)

    def test_a_relay_that_says_no(self) -> None:
        """A relay that refuses is not gone around, nor one that is named and away; offline none is asked."""
        there = Standin(self)
        there.answers["/admin/explain"] = (401, {"error": {"message": "no"}})
        self.assertEqual(self.ccrelay("m", "--url", there.url)[0], 77)
        self.assertEqual(self.ccrelay("m", "--url", "127.0.0.1:1")[0], 69)
        self.assertEqual(self.ccrelay("m", "--url", there.url, "--offline")[0], 0)

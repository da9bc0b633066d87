"""The rules of C{ccrelay check}."""

import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import check, main

GOOD = """
server:
  listen: ['127.0.0.1:8787', ':8788']
  auth:
    api_key: sk-test-of-the-relay
    clients: [{name: ci, key: sk-test-of-a-client}]
state: {interval_ms: 200}
metrics: {listen: '127.0.0.1:9200'}
admin: {token: sk-test-of-operators, socket: /run/x.sock}
cache: {mode: single}
providers:
- name: main
  type: anthropic
  priority: 2
  keys: [{name: first, key: sk-test-0123456789}, {key: sk-test-abcdefghij}]
- {name: own, type: anthropic, passthrough: true}
- {name: local, type: ollama, base_url: 'http://127.0.0.1:11434'}
- {name: later, type: bedrock, enabled: false}
"""


class CheckTests(SynchronousTestCase):
    """A configuration is judged before it is used."""

    def setUp(self) -> None:
        """Choose a place for the file."""
        self.home = Path(self.mktemp()).absolute()
        self.home.mkdir()
        self.path = self.home / "relay.yaml"

    def check(
        self, *arguments: str, text: str, environ: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Check a configuration; return the status and what was printed."""
        self.path.write_text(text)
        self.path.chmod(0o600)
        out, err = io.StringIO(), io.StringIO()
        status = check.run(arguments, out, err, environ or {}, self.home)
        return status, out.getvalue(), err.getvalue()

    def test_problems(self) -> None:
        """Every problem is printed, a line each, and the status is that of a broken configuration."""
        status, out, err = self.check(
            "--config", str(self.path), text="server: {drain_ms: x}\nproviders: [{name: a, type: zai}]\n"
        )
        self.assertEqual((status, out), (78, ""))
        first, second, count = err.splitlines()
        self.assertTrue(first.startswith(f"{self.path}:1: server.drain_ms: found 'x'; allowed: "))
        self.assertTrue(second.startswith(f"{self.path}:2: providers[0].keys: found no key; "))
        self.assertEqual(count, "2 problems")

    def test_one_problem(self) -> None:
        """A file that is not there is one problem."""
        out, err = io.StringIO(), io.StringIO()
        self.assertEqual(check.run(["-c", str(self.path)], out, err, {}, self.home), 78)
        self.assertEqual(
            err.getvalue(), f"{self.path}: it cannot be read: No such file or directory\n1 problem\n"
        )

    def test_report(self) -> None:
        """What is configured is printed, with the notes and what does nothing yet."""
        status, out, err = self.check("-c", str(self.path), text=GOOD)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(
            out.splitlines(),
            [
                f"{self.path}: no problems",
                "listen: 127.0.0.1:8787 (this machine alone)",
                "listen: :8788 (other machines reach it)",
                "clients show: api_key, client ci",
                "metrics and status page: 127.0.0.1:9200 (this machine alone)",
                "changes at run time: by admin.token and admin.socket",
                "providers:",
                "  main   anthropic, keys first, …ghij, priority 2",
                "  own    anthropic, passthrough, priority 1",
                "  local  ollama, http://127.0.0.1:11434, priority 1",
                "  later  bedrock, disabled",
                f"note: {self.path}:10: cache: accepted, and without effect: nothing is cached",
                "not in effect in this version: state",
            ],
        )

    def test_secrets(self) -> None:
        """No secret is printed."""
        _, out, _ = self.check("-c", str(self.path), text=GOOD)
        self.assertNotIn("sk-test", out)

    def test_usual_places(self) -> None:
        """Without --config the file is the one that would be used."""
        text = "providers: [{name: a, type: simulator}]"
        status, out, _ = self.check(text=text, environ={"CCRELAY_CONFIG": str(self.path)})
        self.assertEqual((status, out.splitlines()[0]), (0, f"{self.path}: no problems"))
        self.assertIn("clients show: nothing, anybody is let in", out)

    def test_command(self) -> None:
        """It is a command of `ccrelay`."""
        self.path.write_text("providers: [{name: a, type: simulator}]")
        arguments = ["check", "-c", str(self.path)]
        self.assertEqual(main.run(arguments, io.StringIO(), io.StringIO(), {}, self.home), 0)

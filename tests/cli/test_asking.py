"""How the command line finds a relay that runs, and what it says when there is none."""

import io
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import main
from tests.cli.standin import Standin

TOKEN = "test-token-of-the-operator"
SIMULATOR = "providers: [{name: a, type: simulator}]\n"
BAD = {"type": "error", "error": {"type": "x", "message": "The token is wrong."}}


class AskingTests(SynchronousTestCase):
    """Which relay is asked."""

    def ccrelay(self, *arguments: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Run a command line; return its status, its output and what it complained of."""
        out, err = io.StringIO(), io.StringIO()
        try:
            status = main.run(arguments, out, err, environ or {}, Path("/nonexistent"))
        except SystemExit as end:
            status = int(end.code or 0)
        return status, out.getvalue(), err.getvalue()

    def config(self, text: str) -> str:
        """Return the path of a configuration."""
        path = Path(self.mktemp())
        path.write_text(text + SIMULATOR)
        path.chmod(0o600)
        return str(path)

    def test_as_the_options_say(self) -> None:
        """A URL or a socket that is named is asked; over the socket no token goes."""
        there = Standin(self)
        for url in (there.url, there.url.removeprefix("http://"), there.url + "/"):
            self.assertEqual(self.ccrelay("reload", "--url", url)[0], 0)
        path = Path("options.sock")  # relative, as the path of a socket must be short
        over = Standin(self, path)
        done = self.ccrelay("reload", "--socket", str(path), environ={"CCRELAY_ADMIN_TOKEN": TOKEN})
        self.assertEqual(done, (0, "it is done\n", ""))
        self.assertNotIn("Authorization", over.asked[0][2])

    def test_as_the_configuration_says(self) -> None:
        """The listener and the token of the configuration are used; the environment's token goes first."""
        there = Standin(self)
        listen = there.url.removeprefix("http://")
        config = self.config(f'metrics: {{listen: "{listen}"}}\nadmin: {{token: {TOKEN}}}\n')
        self.assertEqual(self.ccrelay("reload", "--config", config)[0], 0)
        self.ccrelay("reload", "--config", config, environ={"CCRELAY_ADMIN_TOKEN": "test-other"})
        shown = [headers["Authorization"] for _, _, headers, _ in there.asked]
        self.assertEqual(shown, [f"Bearer {TOKEN}", "Bearer test-other"])

    def test_the_socket_goes_first(self) -> None:
        """A socket of the configuration that can be opened is asked rather than the listener."""
        path = Path("configured.sock")
        over = Standin(self, path)
        config = self.config(f"admin: {{socket: {path}}}\n")
        self.assertEqual(self.ccrelay("reload", "-c", config)[0], 0)
        self.assertEqual([asked[1] for asked in over.asked], ["/admin/reload"])

    def test_a_socket_that_is_not_there(self) -> None:
        """Where the socket cannot be opened the listener is asked."""
        there = Standin(self)
        listen = there.url.removeprefix("http://")
        config = self.config(f'metrics: {{listen: "{listen}"}}\nadmin: {{socket: /nonexistent/s}}\n')
        self.assertEqual(self.ccrelay("status", "-c", config)[0], 0)

    def test_nobody_can_ask(self) -> None:
        """A configuration without any way to ask says so."""
        status, _, err = self.ccrelay("status", "-c", self.config("metrics: {enabled: false}\n"))
        self.assertEqual(status, 69)
        self.assertIn("neither metrics.enabled nor admin.socket", err)

    def test_not_running(self) -> None:
        """Where nothing listens that is said, with what to do."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            status, out, err = self.ccrelay("status", "--url", url)
        self.assertEqual((status, out), (69, ""))
        self.assertEqual(err, f"ccrelay: nothing listens at {url}: is ccrelay running? (`ccrelay serve`)\n")
        status, _, err = self.ccrelay("reload", "--socket", "/nonexistent/admin.sock")
        self.assertEqual(status, 69)
        self.assertIn("nothing listens at /nonexistent/admin.sock", err)

    def test_something_else(self) -> None:
        """What answers and is no relay is told as such."""
        there = Standin(self)
        for told in (b"<html>", {"x": 1}, b"[]", b"\xff", b""):
            there.answers["/status"] = (200, told)
            status, _, err = self.ccrelay("status", "--url", there.url)
            self.assertEqual(status, 69)
            self.assertIn("is not ccrelay", err)

    def test_refused(self) -> None:
        """A refusal is told in the relay's own words, with its own exit status."""
        there = Standin(self)
        for code, status in ((401, 77), (403, 77), (404, 1), (409, 1), (503, 1)):
            there.answers["/admin/reload"] = (code, BAD)
            given = self.ccrelay("reload", "--url", there.url)
            self.assertEqual((given[0], given[1]), (status, ""))
            self.assertIn("The token is wrong.", given[2])
        there.answers["/admin/reload"] = (401, BAD)
        self.assertIn("Set CCRELAY_ADMIN_TOKEN", self.ccrelay("reload", "--url", there.url)[2])

    def test_bad_url(self) -> None:
        """What is no URL of a listener is wrong usage."""
        for url in ("ftp://127.0.0.1:1", "http://127.0.0.1", "127.0.0.1:x", "http://:1"):
            status, _, err = self.ccrelay("status", "--url", url)
            self.assertEqual(status, 2, url)
            self.assertIn("write it like http://127.0.0.1:9100", err)

    def test_nothing_it_says_is_obeyed(self) -> None:
        """Words from the relay do nothing to the terminal."""
        there = Standin(self)
        there.answers["/admin/reload"] = (200, {"done": "\x1b[2Jgone\x07"})
        _, out, _ = self.ccrelay("reload", "--url", there.url)
        self.assertNotIn("\x1b", out)
        self.assertIn("gone", out)

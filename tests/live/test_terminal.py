"""The command line and a relay that runs: over its unix socket, over TCP with a token, and in a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.command import PATIENCE_S, ROOT, Command, free_port, until

TOKEN = "test-token-of-the-operator"


class Scene:
    """A relay with a unix socket and a token, and the command line beside it."""

    def __init__(self, test: SynchronousTestCase) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ccrelay-test-"))
        test.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        clients, operators = free_port(), free_port()
        self.url = f"http://127.0.0.1:{operators}"
        self.socket = self.folder / "admin.sock"
        self.written: dict[str, Any] = {
            "server": {"listen": f"127.0.0.1:{clients}", "drain_ms": 100},
            "metrics": {"listen": f"127.0.0.1:{operators}"},
            "admin": {"token": TOKEN, "socket": str(self.socket)},
            "providers": [
                {"name": "one", "type": "simulator"},
                {"name": "far", "type": "anthropic", "base_url": "http://127.0.0.1:1",
                 "keys": [{"key": "sk-test-0123456789abcdef", "name": "main"}]},
            ],
        }  # fmt: skip
        self.config = self.folder / "config.yaml"
        self.write()
        self.relay = Command(self.folder, "serve", "--config", str(self.config))
        test.addCleanup(self.relay.end)
        self.relay.says("serving on http")

    def write(self) -> None:
        """Write the configuration."""
        self.config.write_text(json.dumps(self.written))
        self.config.chmod(0o600)

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment of a command."""
        measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
        home = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        return home | measured | more

    def ccrelay(self, *arguments: str, said: str = "", **environ: str) -> tuple[int, str]:
        """Run a command; return its status and what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "ccrelay.cli.main", *arguments], input=said, capture_output=True,
            text=True, check=False, env=self.environ(**environ), cwd=self.folder, timeout=PATIENCE_S,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def status(self) -> Any:
        """Return what the relay says."""
        return json.loads(self.ccrelay("status", "--json", "--socket", str(self.socket))[1])


class CommandTests(SynchronousTestCase):
    """Commands, one after the other."""

    def test_over_the_socket(self) -> None:
        """The socket is for its owner alone, needs no token, and does all there is to do."""
        scene = Scene(self)
        self.assertEqual(stat.S_IMODE(scene.socket.stat().st_mode), 0o600)
        over = ("--socket", str(scene.socket))
        self.assertEqual(scene.ccrelay("status", *over)[0], 0)
        self.assertEqual(scene.ccrelay("providers", "disable", "one", *over)[0], 0)
        self.assertEqual(scene.ccrelay("keys", "add", "far", *over, said="sk-test-of-a-new-one-99\n")[0], 0)
        self.assertEqual(scene.ccrelay("keys", "reset", "far", "main", *over)[0], 0)
        self.assertEqual(scene.ccrelay("keys", "remove", "far", "main", *over)[0], 0)
        self.assertEqual(scene.ccrelay("strategy", "round_robin", *over)[0], 0)
        self.assertEqual(len(scene.status()["changes"]), 4)
        self.assertIn("…e-99", scene.ccrelay("keys", *over)[1])
        self.assertEqual(scene.ccrelay("route", "--explain", "m", *over)[0], 0)
        self.assertEqual(scene.ccrelay("revert", *over)[0], 0)
        self.assertEqual(scene.status()["changes"], [])
        self.assertRegex(
            scene.relay.said, r'admin action=strategy strategy=round_robin .*by="unix socket, uid \d+"'
        )
        self.assertNotIn("sk-test-of-a-new-one", scene.relay.said)

    def test_over_tcp(self) -> None:
        """Where it listens for operators the token is needed to act, and none to look."""
        scene = Scene(self)
        self.assertEqual(scene.ccrelay("status", "--url", scene.url)[0], 0)
        code, said = scene.ccrelay("reload", "--url", scene.url)
        self.assertEqual(code, 77)
        self.assertIn("Show admin.token", said)
        code, said = scene.ccrelay("reload", "--url", scene.url, CCRELAY_ADMIN_TOKEN="wrong")
        self.assertEqual(code, 77)
        self.assertIn("is not admin.token", said)
        done = scene.ccrelay("reload", "--url", scene.url, CCRELAY_ADMIN_TOKEN=TOKEN)
        self.assertEqual(done, (0, "the configuration is reloaded\n"))

    def test_as_the_configuration_says(self) -> None:
        """Whoever has the configuration says no more; a broken file is told, and the old one serves."""
        scene = Scene(self)
        where = ("--config", str(scene.config))
        self.assertEqual(scene.ccrelay("providers", "drain", "one", *where)[0], 0)
        good = scene.config.read_text()
        scene.config.write_text(good.replace('"simulator"', '"simulater"'))
        code, said = scene.ccrelay("reload", "--socket", str(scene.socket))
        self.assertEqual(code, 1)
        self.assertIn("the old configuration stays in use", said)
        self.assertIn("did you mean 'simulator'?", said)
        scene.write()
        self.assertEqual(scene.ccrelay("reload", *where)[0], 0)
        self.assertEqual(scene.status()["changes"], ["provider one draining"])

    def test_the_socket_comes_and_goes(self) -> None:
        """The socket is put away at the end, and one that a killed relay left is taken over."""
        scene = Scene(self)
        scene.relay.end()
        self.assertFalse(scene.socket.exists())
        again = Command(scene.folder, "serve", "--config", str(scene.config))
        again.says("serving on http")
        os.kill(again.pid, 9)
        again.end()
        self.assertTrue(scene.socket.exists())
        code, said = scene.ccrelay("status", "--socket", str(scene.socket))
        self.assertEqual(code, 69)
        self.assertIn("is ccrelay running?", said)
        third = Command(scene.folder, "serve", "--config", str(scene.config))
        self.addCleanup(third.end)
        third.says("serving on http")
        self.assertEqual(scene.ccrelay("status", "--socket", str(scene.socket))[0], 0)


class TopTests(SynchronousTestCase):
    """C{ccrelay top} in a terminal of 80 x 24."""

    def test_top(self) -> None:
        """It draws a relay, acts on it, survives its going away, and leaves the terminal as it was."""
        scene = Scene(self)
        pid, terminal = pty.fork()
        if not pid:
            environ = scene.environ(TERM="xterm-256color")
            os.execve(  # noqa: S606
                sys.executable,
                [sys.executable, "-m", "ccrelay.cli.main", "top", "--config", str(scene.config)],
                environ,
            )
        self.addCleanup(os.close, terminal)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        drawn = b""

        def shows(words: str) -> bool:
            nonlocal drawn
            while select.select([terminal], [], [], 0)[0]:
                try:
                    drawn += os.read(terminal, 65536)
                except OSError:  # it has ended
                    break
            # What is drawn is drawn in pieces; between them the cursor moves.
            return words in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()].", "", drawn.decode("utf-8", "replace"))

        until(lambda: shows("live"), "it is live")
        self.assertTrue(shows("far"))
        os.write(terminal, b"d")
        until(lambda: shows("disable one? y/n"), "it asks")
        os.write(terminal, b"y")
        until(lambda: scene.status()["changes"] == ["provider one disabled"], "it is done")
        scene.relay.end()
        until(lambda: shows("away for"), "it says that the relay is away")
        os.write(terminal, b"q")
        end = time.monotonic() + PATIENCE_S
        status = None
        while status is None and time.monotonic() < end:
            shows("")
            done, code = os.waitpid(pid, os.WNOHANG)
            status = code if done else None
            time.sleep(0.05)
        self.assertEqual(status, 0)
        shows("")
        self.assertIn(b"\x1b[?1049l", drawn)  # the screen that was there before
        self.assertIn(b"\x1b[?25h", drawn)  # and its cursor

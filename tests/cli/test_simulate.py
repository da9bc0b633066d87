"""The rules of C{ccrelay simulate}."""

from __future__ import annotations

import argparse
import io
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import simulate
from ccrelay.simulator.default import FAULTS
from ccrelay.simulator.scenarios import SCENARIOS

COMMAND = [sys.executable, "-m", "ccrelay.cli.main", "simulate"]
ROOT = Path(__file__).parents[2]


class ServeTests(SynchronousTestCase):
    """Where it listens, and how."""

    def serve(self, **more: object) -> tuple[int, str, str, MemoryReactorClock]:
        """Serve on a reactor in memory; return the status, what was printed, and the reactor."""
        reactor = MemoryReactorClock()
        usual = {"listen": ("127.0.0.1", 8788), "scenario": "default", "pace_ms": 20.0, "error_rate": 0.0}
        out, err = io.StringIO(), io.StringIO()
        status = simulate.serve(reactor, argparse.Namespace(**{**usual, **more}), out, err)
        return status, out.getvalue(), err.getvalue(), reactor

    def test_where(self) -> None:
        """It listens where it is told to, and says so in one line."""
        status, out, err, reactor = self.serve(listen=("::1", 9000), scenario="slow", pace_ms=5.0)
        ((port, _, _, interface),) = reactor.tcpServers
        self.assertEqual((status, port, interface, err), (0, 9000, "::1", ""))
        self.assertTrue(reactor.hasRun)
        self.assertEqual(out.count("\n"), 1)
        self.assertIn("scenario slow, 5 ms an event", out)

    def test_nothing_is_remembered(self) -> None:
        """However long it runs, it keeps no request."""
        *_, reactor = self.serve()
        site = reactor.tcpServers[0][1]
        self.assertEqual(site.resource._app._instance._remember, 0)

    def test_wrong_scenario(self) -> None:
        """A scenario that there is not is wrong usage, told with the nearest name; nobody listens."""
        status, out, err, reactor = self.serve(scenario="flakey")
        self.assertEqual((status, out, reactor.tcpServers), (2, "", []))
        self.assertEqual(
            err, "ccrelay simulate: scenario: there is none called 'flakey': did you mean 'flaky'?\n"
        )

    def test_addresses(self) -> None:
        """An address is host:port, an IPv6 one in brackets."""
        for text, found in (
            ("127.0.0.1:8788", ("127.0.0.1", 8788)),
            ("localhost:0", ("127.0.0.1", 0)),
            ("[::1]:80", ("::1", 80)),
            (":8788", ("", 8788)),
        ):
            self.assertEqual(simulate.address(text), found)
        for text in ("", "8788", "127.0.0.1", "::1:80", "a:b", "a:65536", "[::1]"):
            self.assertRaises(argparse.ArgumentTypeError, simulate.address, text)


class ProcessTests(SynchronousTestCase):
    """The command as a process."""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it; it is gone in the end."""
        process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_until_a_signal(self) -> None:
        """It answers until SIGINT or SIGTERM, and then has done its work."""
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start("--listen", "127.0.0.1:0", "--pace-ms", "0")
            assert process.stdout is not None
            url = process.stdout.readline().split()[2]
            with urllib.request.urlopen(f"{url}/v1/models/some-model", timeout=30) as response:
                self.assertEqual(json.load(response)["display_name"], "some-model (simulated)")
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
            self.assertEqual((process.returncode, out, err), (0, "", ""))

    def test_a_port_that_is_taken(self) -> None:
        """Where another program listens already, one line says so, and the status is 69."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            process = self.start("--listen", f"127.0.0.1:{port}")
            out, err = process.communicate(timeout=30)
        self.assertEqual((process.returncode, out), (69, ""))
        self.assertEqual(
            err,
            f"ccrelay simulate: cannot listen on 127.0.0.1:{port}: Address already in use;"
            " choose another with --listen\n",
        )

    def test_help(self) -> None:
        """Its help names the scenarios and the faults."""
        out, _ = self.start("--help").communicate(timeout=30)
        for word in ("--error-rate", *SCENARIOS, *FAULTS):
            self.assertIn(word, "".join(out.split()))

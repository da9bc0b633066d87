"""C{ccrelay doctor} against providers on real sockets: well, dead, refusing, and behind TLS."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.command import PATIENCE_S, ROOT, Command, free_port
from tests.upstream.authority import Authority

KEYS = [{"key": "sk-test-0123456789abcdef", "name": "main"}]


class DoctorTests(SynchronousTestCase):
    """The command, as a process of its own."""

    def setUp(self) -> None:
        """Make a place for configurations."""
        self.folder = Path(tempfile.mkdtemp(prefix="ccrelay-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, name: str, **written: Any) -> str:
        """Write a configuration, and return its path."""
        path = self.folder / name
        path.write_text(json.dumps(written))
        path.chmod(0o600)
        return str(path)

    def doctor(self, *arguments: str, **providers: dict[str, Any]) -> tuple[int, str]:
        """Return the exit status, and what was written."""
        listed = [{"name": name, "type": "anthropic", "keys": KEYS} | one for name, one in providers.items()]
        config = self.write("doctor.yaml", providers=listed)
        done = subprocess.run(
            [sys.executable, "-m", "ccrelay.cli.main", "doctor", "--config", config, *arguments],
            capture_output=True, text=True, check=False, timeout=PATIENCE_S, cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        said = done.stdout + done.stderr
        self.assertNotIn(KEYS[0]["key"], said)
        for line in said.splitlines():
            if "--json" not in arguments and "doctor.yaml:" not in line:
                self.assertLessEqual(len(line), 80, line)
        return done.returncode, said

    def simulated(self, *arguments: str) -> str:
        """Start a simulated provider, and return its URL."""
        url = f"127.0.0.1:{free_port()}"
        simulator = Command(self.folder, "simulate", "--listen", url, "--pace-ms", "1", *arguments)
        self.addCleanup(simulator.end)
        simulator.says("http")
        return f"http://{url}"

    def test_well(self) -> None:
        """Where all works each thing has its line, and the exit status is 0."""
        status, said = self.doctor(a={"base_url": self.simulated()}, b={"type": "simulator", "keys": []})
        self.assertEqual(status, 0, said)
        for words in ("a (anthropic), http://127.0.0.1", "key main", "stream", "tools", "count", "all works"):
            self.assertIn(words, said)

    def test_what_does_not_work(self) -> None:
        """A port where nobody is, a name that is none and a key that is refused: told, with what to do."""
        status, said = self.doctor(
            dead={"base_url": f"http://127.0.0.1:{free_port()}"},
            nowhere={"base_url": "https://nowhere.invalid"},
            refusing={"base_url": self.simulated("--scenario", "unauthorized")},
        )
        self.assertEqual(status, 1)
        for words in (
            "connection refused", "the host name cannot be resolved", "401: ", "-> replace the key",
            "3 of 5 do not work",
        ):  # fmt: skip
            self.assertIn(words, said)

    def test_chosen(self) -> None:
        """One provider is examined alone, be it disabled; for programs there is JSON."""
        off = {"type": "simulator", "keys": [], "enabled": False}
        status, said = self.doctor("off", "--json", "--model", "m", off=off, dead={"base_url": "http://127.0.0.1:1"})
        self.assertEqual(status, 0, said)
        found = json.loads(said)
        self.assertEqual({one["provider"] for one in found}, {"off"})
        self.assertIn("m", [one["subject"] for one in found if one["check"] == "model"])
        status, said = self.doctor("other", off=off)
        self.assertEqual((status, said), (2, "ccrelay: there is no provider 'other'; there are: off\n"))
        self.assertEqual(self.doctor(off=off)[0], 2)

    def test_a_bad_configuration(self) -> None:
        """A configuration that cannot be used is told as ever."""
        status, said = self.doctor(a={"type": "anthropic", "keys": []})
        self.assertEqual(status, 78)
        self.assertIn("providers[0].keys", said)

    def test_encrypted(self) -> None:
        """An authority that nobody knows is refused; with C{ca_file} it is told how long it is good."""
        authority = Authority()
        pem, trusted = self.folder / "server.pem", self.folder / "ca.pem"
        pem.write_bytes(authority.certified("127.0.0.1"))
        trusted.write_bytes(authority.pem)
        port = free_port()
        listen = f"ssl:{port}:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
        served = self.write(
            "server.yaml", server={"listen": listen}, metrics={"enabled": False},
            providers=[{"name": "s", "type": "simulator", "pace_ms": 1}],
        )  # fmt: skip
        server = Command(self.folder, "serve", "--config", served)
        self.addCleanup(server.end)
        server.says("serving on")
        there = {"base_url": f"https://127.0.0.1:{port}"}
        status, said = self.doctor(a=there)
        self.assertEqual(status, 1)
        self.assertIn("FAIL TLS", said)
        self.assertIn("certificate verify failed", said)
        self.assertIn("set", said)
        status, said = self.doctor(a=there | {"ca_file": str(trusted)})
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"TLSv1\.3, certificate good until 20\d\d-\d\d-\d\d")

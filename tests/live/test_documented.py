"""The rule of the documentation: every command in it was run, as it stands, and did what it should."""

import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from tests.live.process import SERVE, RelayProcess, config_file, environment
from tests.stack import body

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
USUAL = "127.0.0.1:8787"

ELSEWHERE = {
    "make run": ".ci/run, by make test on a fresh clone; tests/live/test_process.py for what it then does",
    "make test": ".ci/run",
    "ccrelay serve": "tests/live/test_process.py: it runs until it is told to stop",
    "twistd --nodaemon --pidfile= ccrelay [--config FILE]": "tests/live/test_process.py",
    "ccrelay top": "tests/live/test_terminal.py: it needs a terminal",
    "apt install ./ccrelay_*_amd64.deb": ".ci/debian/prove.py",
    "systemctl restart ccrelay": ".ci/debian/prove.py",
    "install -m 600 /dev/stdin /etc/ccrelay/credentials/anthropic": ".ci/debian/prove.py",
    "editor /etc/ccrelay/config.yaml": "somebody edits",
    "python3 -m venv ~/.local/share/ccrelay": ".ci/wheel",
    "~/.local/share/ccrelay/bin/pip install .": ".ci/wheel, tests/live/test_install.py",
    "~/.local/share/ccrelay/bin/ccrelay serve": ".ci/wheel",
    "claude": "Claude Code is somebody else's program",
    f"ANTHROPIC_BASE_URL=http://{USUAL} ANTHROPIC_AUTH_TOKEN=any claude": "likewise",
}
"""Commands that are run elsewhere, or by nobody, each with where or why."""


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of the documentation, without remarks, with its page."""
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text("utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"\s+# .*", "", line).strip()
                if command:
                    yield page.name, command


class DocumentedTests(TestCase):
    """What stands in README.md and docs/."""

    timeout = 120

    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        (self.home / "bin").mkdir(parents=True)
        script = self.home / "bin/ccrelay"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m ccrelay.cli.main "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        (self.home / "request.json").write_bytes(body())

    def run_it(self, command: str, config: str) -> tuple[int, str]:
        """Run a command as it stands; return its status and what it printed."""
        own = environment(self.home)
        environ = {**own, "PATH": f"{self.home}/bin:{own['PATH']}", "CCRELAY_CONFIG": config}
        done = subprocess.run(
            ["/bin/bash", "-c", command], cwd=self.home, env=environ, text=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout

    async def test_commands(self) -> None:
        """Each that is not run elsewhere succeeds, in the order of its page, beside a running relay."""
        named = "".join(
            f"- {{name: {name}, type: simulator, pace_ms: 0}}\n" for name in ("anthropic", "bedrock", "zai")
        )
        folder = tempfile.mkdtemp()  # a path that is short enough
        self.addCleanup(shutil.rmtree, folder)
        config = config_file(
            self,
            f"server: {{listen: '127.0.0.1:0'}}\nmetrics: {{enabled: false}}\nproviders:\n{named}"
            f"admin: {{socket: {folder}/admin.sock}}\n",
        )
        # Whoever is named in a dry run must be known; that relay does not run, so its configuration answers.
        known = "server: {auth: {clients: [{name: ann, key: test-key-of-ann}]}}"
        other = config_file(self, f"{known}\nmetrics: {{listen: '127.0.0.1:1'}}\nproviders:\n{named}")
        relay = RelayProcess(self, SERVE, "--config", config)
        place = (await relay.serving()).removeprefix("http://")
        ran = []
        for page, command in commands():
            if command in ELSEWHERE:
                continue
            own = other if "--client" in command else config
            status, said = await deferToThread(self.run_it, command.replace(USUAL, place), own)
            self.assertEqual(status, 0, f"{page}: {command}\n{said}")
            if command.startswith("curl"):
                self.assertIn("event: message_stop", said)
            ran.append(command)
        self.assertGreater(len(ran), 12)

    async def test_programs(self) -> None:
        """The programs that show how an SDK is used get an answer."""
        config = config_file(
            self,
            "server: {listen: '127.0.0.1:0'}\nmetrics: {enabled: false}\n"
            "providers: [{name: sim, type: simulator, pace_ms: 0}]\n",
        )
        relay = RelayProcess(self, SERVE, "--config", config)
        place = (await relay.serving()).removeprefix("http://")
        text = (ROOT / "docs/using.md").read_text("utf-8").replace(USUAL, place)
        (python,), (javascript,) = (
            re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
            for language in ("python", "js")
        )
        status, said = await deferToThread(self.run_it, f"{sys.executable} - <<'EOF'\n{python}EOF\n", config)
        self.assertEqual(status, 0, said)
        self.assertIn("simulated", said)
        modules = ROOT / "tests/live/node/node_modules"
        if not modules.is_dir():
            msg = "@anthropic-ai/sdk is not here: sh tests/live/setup-node.sh fetches it"
            raise SkipTest(msg)
        (self.home / "node_modules").symlink_to(modules)
        (self.home / "shown.mjs").write_text(javascript, "utf-8")
        status, said = await deferToThread(self.run_it, "node shown.mjs", config)
        self.assertEqual(status, 0, said)
        self.assertIn("simulated", said)

    def test_elsewhere(self) -> None:
        """What is said to be run elsewhere is a command of the documentation, and the place is there."""
        there = {command for _, command in commands()}
        self.assertEqual(set(ELSEWHERE) - there, set())
        for why in ELSEWHERE.values():
            for path in re.findall(r"(?:\.ci|tests)/[\w/.]*\w", why):
                self.assertTrue((ROOT / path).exists(), path)

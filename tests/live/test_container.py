"""The rules of the container's files: what they name is there, and what they configure can be used."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SkipTest, TestCase

from ccrelay.config.read import read
from tests.live.caller import call
from tests.live.process import SERVE, RelayProcess, config_file
from tests.network import http_request
from tests.stack import HEADERS, body

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "etc/compose"
CONFIG = ROOT / "etc/container/config.yaml"
KEY = "test-relay-key-0123456789"


class ContainerTests(TestCase):
    """Containerfile, and the configuration of its image."""

    timeout = 60

    def secret(self, text: str) -> str:
        """Return the path of a file that holds a secret."""
        path = Path(self.mktemp()).absolute()
        path.write_text(text + "\n")
        return str(path)

    def test_copied(self) -> None:
        """What is copied into the image is there, and is not kept from the build by .dockerignore."""
        allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
        copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
        sources = [source for line in copied for source in line.split()]
        self.assertGreater(len(sources), 5)
        for source in sources:
            self.assertTrue((ROOT / source).exists(), source)
            self.assertTrue(any(source == each or source.startswith(f"{each}/") for each in allowed), source)

    def test_configuration(self) -> None:
        """It wants the relay's key, from a variable or a file, and takes a provider when it is told to."""
        environ = {"CCRELAY_API_KEY_FILE": self.secret(KEY)}
        settings = read(CONFIG, environ).settings
        self.assertEqual([p.name for p in settings.providers if p.enabled], ["simulator"])
        self.assertEqual(settings.server.auth.api_key.reveal(), KEY)
        environ |= {"ANTHROPIC": "true", "SIMULATOR": "false"}
        environ["ANTHROPIC_API_KEY_FILE"] = self.secret("sk-test-1")
        settings = read(CONFIG, environ).settings
        self.assertEqual([p.name for p in settings.providers if p.enabled], ["anthropic"])

    async def test_serves(self) -> None:
        """With it a relay serves who shows that key, and nobody else."""
        config = config_file(self, re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", CONFIG.read_text()))
        relay = RelayProcess(self, SERVE, "--config", config, CCRELAY_API_KEY_FILE=self.secret(KEY))
        url = await relay.serving()
        for shown, status in ((KEY, 200), ("another", 401)):
            caller = await call(self, url)
            headers = [(n, v) for n, v in HEADERS if n.lower() != "x-api-key"]
            caller.send(http_request("POST", "/v1/messages", [*headers, ("x-api-key", shown)], body()))
            self.assertEqual((await caller.whole()).status, status)


class ComposeTests(TestCase):
    """etc/compose/."""

    def setUp(self) -> None:
        self.compose: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
        self.services: dict[str, Any] = self.compose["services"]

    def test_files(self) -> None:
        """What is mounted is there, and of two things with one name each is declared."""
        for service in self.services.values():
            for volume in service.get("volumes", ()):
                source = volume.partition(":")[0]
                named = source in self.compose["volumes"]
                there = (COMPOSE / source).is_file() if source[0] == "." else named
                self.assertTrue(there, source)
            for secret in service.get("secrets", ()):
                self.assertIn(secret, self.compose["secrets"])
        build = self.services["ccrelay"]["build"]
        self.assertTrue((COMPOSE / build["context"] / build["dockerfile"]).is_file())

    def test_secrets(self) -> None:
        """The image's configuration finds each secret where it is mounted; none is in the tree."""
        environ = self.services["ccrelay"]["environment"]
        named = {f"/run/secrets/{name}" for name in self.services["ccrelay"]["secrets"]}
        self.assertEqual({value for name, value in environ.items() if name.endswith("_FILE")}, named)
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for name in self.services["ccrelay"]["secrets"]:
            (folder / name).write_text(f"test-{name}")
        read(CONFIG, {name: value.replace("/run/secrets", str(folder)) for name, value in environ.items()})
        self.assertIn("/etc/compose/secrets/", (ROOT / ".gitignore").read_text())

    def test_reach(self) -> None:
        """Nothing is open to other machines."""
        for service in self.services.values():
            for port in service["ports"]:
                self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_prometheus(self) -> None:
        """Prometheus can use its configuration, and asks the relay under a name that it answers to."""
        promtool = shutil.which("promtool")
        if promtool is None:
            msg = "promtool is not here: sh tests/live/setup-debian.sh installs it"
            raise SkipTest(msg)
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for path in (COMPOSE / "prometheus.yml", ROOT / "etc/prometheus/ccrelay.rules.yml"):
            shutil.copy(path, folder)
        done = subprocess.run(
            [promtool, "check", "config", str(folder / "prometheus.yml")], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        written = yaml.safe_load((folder / "prometheus.yml").read_text())
        host = written["scrape_configs"][0]["static_configs"][0]["targets"][0].partition(":")[0]
        self.assertIn(host, read(CONFIG, {"CCRELAY_API_KEY": KEY}).settings.metrics.allowed_hosts)

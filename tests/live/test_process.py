"""The rules of the relay as a process: where it serves, what it says, and why it does not start."""

import json
import socket
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.trial.unittest import SkipTest, TestCase

from tests.live.caller import call
from tests.live.process import SERVE, TWISTD, RelayProcess, config_file
from tests.live.relay import until
from tests.stack import body

SIMULATOR = "providers: [{name: sim, type: simulator, pace_ms: 0}]"
USUAL = 8787
OLLAMA = 11434


def listens(port: int) -> bool:
    """Return whether something of this machine listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ProcessTests(TestCase):
    """`twistd ccrelay` and `ccrelay serve`."""

    timeout = 60

    async def refused(self, *arguments: str) -> list[tuple[int, list[str]]]:
        """Return the status and the lines on stderr of both ways to start, which print nothing else."""
        found = []
        for command in (TWISTD, SERVE):
            relay = RelayProcess(self, command, *arguments)
            status = await relay.ended()
            self.assertEqual(relay.out, "")
            found.append((status, relay.err.splitlines()))
        return found

    async def test_serves(self) -> None:
        """It says where it serves, answers there, and ends by the SIGTERM it gets."""
        config = config_file(self, f"server: {{listen: '127.0.0.1:0'}}\n{SIMULATOR}")
        relay = RelayProcess(self, TWISTD, "--config", config)
        caller = await call(self, await relay.serving())
        caller.ask(body())
        answer = await caller.whole()
        self.assertEqual(answer.status, 200)
        self.assertEqual(json.loads(answer.body)["type"], "message")
        self.assertIn(f"configuration: {config}; providers: sim (simulator)", relay.out)
        relay.signal("TERM")
        self.assertEqual(await relay.ended(), -15)
        self.assertNotIn("Traceback", relay.out + relay.err)

    async def test_first_run(self) -> None:
        """With no file and no key it serves simulated answers, says so, and what to do for real ones."""
        for port in (USUAL, OLLAMA):
            if listens(port):
                msg = f"something listens on port {port} here, which a first run would meet"
                raise SkipTest(msg)
        relay = RelayProcess(self, SERVE)
        url = await relay.serving()
        self.assertEqual(url, f"http://127.0.0.1:{USUAL}")
        await relay.says("to use it from Claude Code: .*")
        self.assertIn("provider simulator, whose answers are simulated", relay.out)
        self.assertIn("for real answers set ANTHROPIC_API_KEY", relay.out)
        self.assertIn(f"ccrelay claude setup --url {url}", relay.out)
        caller = await call(self, url)
        caller.ask(body())
        answer = await caller.whole()
        self.assertIn("simulated", json.loads(answer.body)["content"][0]["text"])

    async def test_port_taken(self) -> None:
        """Where the port is taken one line says so and what to do, and the status is 69."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            config = config_file(self, f"server: {{listen: '{address}'}}\n{SIMULATOR}")
            for command in (TWISTD, SERVE):
                relay = RelayProcess(self, command, "--config", config)
                self.assertEqual(await relay.ended(), 69)
                [line] = relay.err.splitlines()
                self.assertIn(f"cannot listen on {address}: Address already in use.", line)
                self.assertIn("set server.listen to another address", line)
                self.assertNotIn("Traceback", relay.out)

    async def test_broken_configuration(self) -> None:
        """Each problem of the configuration is one line with its place, and the status is 78."""
        text = "server:\n  listn: x\n  drain_ms: -1\nproviders:\n  - {name: a, type: nope}\n"
        config = config_file(self, text)
        for status, lines in await self.refused("--config", config):
            self.assertEqual(status, 78)
            self.assertEqual(
                [line.split(": ")[:3] for line in lines],
                [
                    ["ccrelay", f"{config}:2", "server.listn"],
                    ["ccrelay", f"{config}:3", "server.drain_ms"],
                    ["ccrelay", f"{config}:5", "providers[0].type"],
                ],
            )

    async def test_no_configuration(self) -> None:
        """A file that is missing, or is none, is one line and the status 78."""
        for path, reason in (("/nowhere/c.yaml", "No such file or directory"), ("/", "Is a directory")):
            for found in await self.refused("--config", path):
                self.assertEqual(found, (78, [f"ccrelay: {path}: it cannot be read: {reason}"]))

    async def test_log_file(self) -> None:
        """Over a unix socket, too, each request is a line of JSON in the log file; SIGHUP opens it anew."""
        folder = Path(tempfile.mkdtemp())  # the path of a socket must be short
        self.addCleanup(rmtree, folder)
        log = folder / "log"
        logging = f"logging: {{output: {log}, format: json}}"
        config = config_file(self, f"server: {{listen: 'unix:{folder}/s'}}\n{logging}\n{SIMULATOR}")
        relay = RelayProcess(self, TWISTD, "--config", config)
        await until(lambda: log.exists() and f"serving on unix:{folder}/s" in log.read_text())
        caller = await call(self, f"unix:{folder}/s")
        caller.ask(body())
        self.assertEqual((await caller.whole()).status, 200)

        def requests() -> list[dict[str, object]]:
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            return [line for line in lines if line["message"] == "request"]

        await until(requests)
        log.rename(folder / "log.1")
        relay.signal("HUP")
        await until(log.exists)
        other = await call(self, f"unix:{folder}/s")
        other.ask(body())
        await other.whole()
        await until(requests)
        [line] = requests()
        self.assertEqual((line["path"], line["status"], line["ended"]), ("/v1/messages", 200, "complete"))
        self.assertEqual((line["provider"], line["model"]), ("sim", "claude-sonnet-4-5"))
        self.assertEqual((relay.out, relay.err), ("", ""))

    async def test_reactor(self) -> None:
        """It runs on its own reactor, or on the one that twistd was told to use."""
        quiet = "server: {listen: '127.0.0.1:0'}\nmetrics: {enabled: false}\n"
        config = config_file(self, quiet + SIMULATOR)
        own = RelayProcess(self, SERVE, "--config", config)
        await own.serving()
        self.assertIn("reactor class: ccrelay.service.reactor.PromptReactor", own.out)
        code, *options = TWISTD[1:]
        other = RelayProcess(self, ("-c", code, "--reactor=poll", *options), "--config", config)
        caller = await call(self, await other.serving())
        self.assertIn("reactor class: twisted.internet.pollreactor.PollReactor", other.out)
        caller.ask(body())
        self.assertEqual((await caller.whole()).status, 200)

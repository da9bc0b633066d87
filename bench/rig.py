"""What the measurements share: providers on loopback ports, a relay as a process, and a client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import treq
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

reactor: Any = _reactor

ROOT = Path(__file__).parents[1]
HEADERS = {"content-type": "application/json", "anthropic-version": "2023-06-01"}


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Provider:
    """A simulated provider on a loopback port."""

    def __init__(self, acts: Sequence[Any] | Callable[..., Any] = (), pace: float = 0.0) -> None:
        """@param acts: of its script; none, and it behaves as the simulator does by itself."""
        self.simulator = Simulator(reactor, script=Script(acts) if acts else None, pace=pace, remember=1)
        self._port = reactor.listenTCP(0, self.simulator.site, backlog=4096, interface="127.0.0.1")
        self.url = f"http://127.0.0.1:{self._port.getHost().port}"


class Relay:
    """
    `ccrelay serve` as a process of its own, with its log read at the end.

    @ivar config: the path of its configuration, to be written anew for a reload.
    """

    def __init__(self, config: str) -> None:
        """@param config: YAML; C{{port}} and C{{log}} in it are replaced."""
        self._folder = Path(tempfile.mkdtemp(prefix="ccrelay-bench-"))
        self.port = free_port()
        self.log = self._folder / "relay.jsonl"
        self.config = self._folder / "relay.yaml"
        self.write(config)
        environ = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "ccrelay.cli.main", "serve", "--config", str(self.config)]
        self._output = (self._folder / "output").open("w")
        self.process = subprocess.Popen(command, env=environ, stdout=self._output, stderr=self._output)
        self.url = f"http://127.0.0.1:{self.port}"
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit(f"the relay does not serve:\n{(self._folder / 'output').read_text()}")

    def write(self, config: str) -> None:
        """Write the configuration, the way editors do: a new file over the old one."""
        text = config.replace("{port}", str(self.port)).replace("{log}", str(self.log))
        fresh = self.config.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.rename(self.config)

    def hang_up(self) -> None:
        """Tell it to reload."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Return the lines of its log with that message."""
        read = (json.loads(line) for line in self.log.read_text().splitlines())
        return [line for line in read if line["message"] == message]


class Client:
    """A client that keeps its connections."""

    def __init__(self, url: str) -> None:
        pool = HTTPConnectionPool(reactor)
        pool.maxPersistentPerHost = 256
        pool.retryAutomatically = False
        self._agent = Agent(reactor, connectTimeout=10, pool=pool)
        self._url = url

    async def ask(self, content: bytes, **headers: str) -> tuple[int, bytes]:
        """Return status and body of the answer to a request for a message."""
        fields = Headers({name: [value] for name, value in HEADERS.items()})
        for name, value in headers.items():
            fields.setRawHeaders(name.replace("_", "-"), [value])
        answer = await treq.post(
            f"{self._url}/v1/messages",
            data=content,
            headers=fields,
            agent=self._agent,
            reactor=reactor,
            unbuffered=True,
        )
        return answer.code, await treq.content(answer)


def body(*, stream: bool = False, model: str = "claude-sonnet-4-5", text: str = "Hello") -> bytes:
    """Return a request for a message."""
    asked = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}]}
    return json.dumps(asked | ({"stream": True} if stream else {})).encode()


def run(measure: Callable[[], Any]) -> None:
    """Run a measurement on the reactor, and exit with 1 if it misses what is wanted."""
    outcome: list[Any] = []

    def begin() -> None:
        done = Deferred.fromCoroutine(measure())
        done.addBoth(outcome.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    failure = outcome[0]
    if hasattr(failure, "printTraceback"):
        failure.printTraceback(file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if failure else 1)


def verdict(what: str, value: str, wanted: str, *, met: bool) -> bool:
    """Print a line of a result, and return whether it is what was wanted."""
    print(f"{what:<58} {value:>14}   wanted {wanted:<22} {'yes' if met else 'NO'}")
    return met


async def pause(seconds: float) -> None:
    """Wait."""
    await deferLater(reactor, seconds)

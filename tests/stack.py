"""The whole relay in memory: clients in front, scripted providers behind, one clock over all."""

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.model import Settings
from ccrelay.observe.log import json_line
from ccrelay.observe.request_log import RequestLog
from ccrelay.relay.events import AttemptEnded, RequestEnded
from ccrelay.relay.in_flight import InFlight
from ccrelay.service.assembly import serving_of, site_of, upstreams_of
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from ccrelay.web.door import Door
from tests import HTTP
from tests.credentials.hands import at_once
from tests.network import Answer, Network, Peer, http_request, parse, sse

WALL = 1_800_000_000.0
RANDOM = Random()
KEY = "sk-test-0123456789abcdef"
HEADERS = (
    ("host", "localhost:8787"),
    ("content-type", "application/json"),
    ("anthropic-version", "2023-06-01"),
    ("x-api-key", "sk-test-of-the-client-0000"),
)


def body(*, stream: bool = False, **fields: Any) -> bytes:
    """Return a request for a message."""
    asked: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    if stream:
        asked["stream"] = True
    return json.dumps(asked | fields).encode()


def scripted(acts: Any) -> Script:
    """Return the script of these acts, or itself."""
    return acts if isinstance(acts, Script) else Script(acts)


class Told:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.attempts: list[AttemptEnded] = []
        self.requests: list[RequestEnded] = []

    def attempt_ended(self, attempt: AttemptEnded) -> None:
        self.attempts.append(attempt)

    def request_ended(self, request: RequestEnded) -> None:
        self.requests.append(request)


class Stack:
    """
    A relay with its providers.

    At the end of the test everything is hung up, and then nothing may be left:
    no connection, no slot, no timer, no request in flight, and no prompt or
    key in the log.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        providers: Mapping[str, Sequence[Any] | Callable[..., Any] | Script | Simulator],
        settings: Mapping[str, Any] | None = None,
        in_thread: Callable[..., Any] = at_once,
        *,
        chance: Callable[[], float] = RANDOM.random,
        **provider: Any,
    ) -> None:
        """
        @param providers: by name: the acts of its script, or the script.
        @param in_thread: where credentials are fetched.
        @param settings: sections of the configuration; C{providers} there overrides fields, by name.
        @param chance: decides what is left to chance.
        @param provider: fields of every provider.
        """
        self.test = test
        self.clock = Clock()
        self.clock.advance(1000)
        self.network = Network(self.clock)
        self.told = Told()
        self.peers: list[Peer] = []
        self.simulators: dict[str, Simulator] = {}
        given = dict(settings or {})
        fields = given.pop("providers", {})
        listed = []
        for name, acts in providers.items():
            own = {"name": name, "type": "anthropic", "base_url": f"http://{name}", "keys": [{"key": KEY}]}
            listed.append(own | provider | fields.get(name, {}))
            made = acts if isinstance(acts, Simulator) else Simulator(self.clock, script=scripted(acts))
            self.simulators[name] = made
            self.network.listen(name, made.site)
        given["server"] = {"http": HTTP, **given.get("server", {})}
        self.settings = Settings.model_validate(given | {"providers": listed})
        self.upstreams = upstreams_of(
            self.settings, self.clock, lambda _provider: self.network, chance, in_thread=in_thread
        )
        self.in_flight = InFlight(self.settings.server.max_concurrent)
        self.serving = serving_of(self.settings, self.upstreams, self.clock, self.wall)
        self.door = Door(self.serving, self.in_flight, self.clock, self.wall)
        self.site = site_of(self.settings, self.door, self.clock, [self.told, RequestLog()])
        self.network.listen("relay", self.site)
        self.lines: list[str] = []
        globalLogPublisher.addObserver(self._note)
        test.addCleanup(self._end)

    def wall(self) -> float:
        """Return the time of day, which runs with the clock."""
        return WALL + self.clock.seconds()

    def connect(self, *, unix: bool = False) -> Peer:
        """Return a client's connection to the relay."""
        if unix and "socket" not in self.network.ports:
            self.network.listen("socket", self.site, UNIXAddress(b"/run/ccrelay.sock"))
        peer = self.network.connect("socket" if unix else "relay")
        self.peers.append(peer)
        self.go()
        return peer

    def send(
        self,
        content: bytes = b"",
        method: str = "POST",
        path: str = "/v1/messages",
        headers: Sequence[tuple[str, str]] = HEADERS,
    ) -> Peer:
        """Send a request on a connection of its own, and let what is due at once happen."""
        peer = self.connect()
        peer.send(http_request(method, path, headers, content))
        self.go()
        return peer

    def get(self, path: str, method: str = "GET", headers: Sequence[tuple[str, str]] = HEADERS) -> Answer:
        """Return the answer to a request without a body."""
        return self.answer(self.send(b"", method, path, headers), head=method == "HEAD")

    def ask(self, content: bytes | None = None, seconds: float = 0, **how: Any) -> Answer:
        """Return the answer to a request for a message."""
        peer = self.send(body() if content is None else content, **how)
        self.go(seconds)
        return self.answer(peer)

    def answer(self, peer: Peer, *, head: bool = False) -> Answer:
        """Return what a client has received so far."""
        return parse(peer.received, closed=peer.closed, head=head)

    def events(self, peer: Peer) -> list[str]:
        """Return the names of the events that a client has received so far."""
        return [name for name, _ in sse(self.answer(peer).body)]

    def go(self, seconds: float = 0) -> None:
        """Let time pass."""
        self.network.go(seconds)

    def asked(self, name: str) -> list[Any]:
        """Return what a provider was asked."""
        return self.simulators[name].asked

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The log's lines about requests and attempts."""
        return [
            line for line in map(json.loads, self.lines) if line["message"] in ("request", "attempt failed")
        ]

    @property
    def why(self) -> str:
        """Why the last request ended."""
        return self.told.requests[-1].why

    def _note(self, event: Any) -> None:
        self.lines.append(json_line(event))

    def _end(self) -> None:
        for peer in self.peers:
            if not peer.closed:
                peer.resume()
                peer.reset()
        self.go()
        closing = [upstream.client.close() for upstream in self.upstreams.listed]
        self.site.close()
        for port in list(self.network.ports.values()):
            port.stopListening()
        self.go(3)
        globalLogPublisher.removeObserver(self._note)
        self.test.assertTrue(all(closed.called for closed in closing))
        self.test.assertEqual(len(self.in_flight), 0)
        self.test.assertEqual(self.network.connections, [])
        for upstream in self.upstreams.listed:
            self.test.assertEqual(upstream.client.free, upstream.client.limit, upstream.name)
        self.test.assertEqual([call for call in self.clock.getDelayedCalls() if call.active()], [])
        self.test.assertNotIn(KEY, "".join(self.lines))


class Plain(Stack):
    """A relay that goes on, and nowhere twice: no conversation has a place, nothing is repeated."""

    def __init__(
        self,
        test: SynchronousTestCase,
        providers: Mapping[str, Sequence[Any] | Callable[..., Any] | Script | Simulator],
        settings: Mapping[str, Any] | None = None,
        **provider: Any,
    ) -> None:
        """Take what a L{Stack} takes."""
        given = dict(settings or {})
        routing = {"max_wait_ms": 0, "affinity": {"enabled": False}}
        super().__init__(test, providers, given | {"routing": routing | given.get("routing", {})}, **provider)

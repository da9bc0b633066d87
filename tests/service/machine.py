"""The relay as one service on a machine in memory, with its providers behind it."""

import errno
import json
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from ccrelay.config.model import Settings
from ccrelay.config.read import Loaded
from ccrelay.observe.log import FIELDS, json_line
from ccrelay.service.root import Ccrelay
from ccrelay.simulator.app import Simulator
from tests.network import Answer, Network, Peer, http_request, parse, sse
from tests.stack import HEADERS, KEY, WALL, body, scripted

ANY = "0.0.0.0"  # noqa: S104  nothing listens for real
USUAL = "127.0.0.1:8787"
OPERATORS = "127.0.0.1:9100"
TOKEN = "test-token-of-the-operator"
OPERATOR = (
    ("host", "localhost:9100"),
    ("content-type", "application/json"),
    ("authorization", f"Bearer {TOKEN}"),
)


@implementer(IListeningPort)
class Bound:
    """A port that listens; as with a real one, its address is free a turn after it was told to stop."""

    def __init__(self, machine: "Machine", host: str, port: int) -> None:
        self.host, self.port = host, port
        self._machine = machine

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, self.port)

    def stopListening(self) -> Deferred[None]:
        return deferLater(self._machine, 0, self._machine.release, self)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Machine(MemoryReactorClock):
    """
    A reactor, with a network for its addresses.

    @ivar bound: the ports that listen.
    @ivar taken: those that something else has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.advance(1000)
        self.network = Network(self)
        self.bound: list[Bound] = []
        self.taken: set[int] = set()

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Bound:
        host = interface or ANY
        others = [b for b in self.bound if b.port == port and (b.host == host or ANY in {b.host, host})]
        if others or port in self.taken:
            raise CannotListenError(interface, port, OSError(errno.EADDRINUSE, "taken"))
        bound = Bound(self, host, port)
        self.bound.append(bound)
        self.network.listen(str(bound), factory, bound.getHost())
        return bound

    def release(self, bound: Bound) -> None:
        """Free the address of a port."""
        if bound in self.bound:
            self.bound.remove(bound)
            self.network.ports[str(bound)].stopListening()


class Running:
    """
    A relay that runs, and can be told to reload.

    At the end of the test it stops, and then nothing may be left of it: no
    connection, no timer, no request, no open door.

    @ivar written: the sections of the configuration, as an operator writes them, without the providers.
    @ivar providers: those, by name.
    @ivar broken: raised instead of the configuration when it is read, unless None.
    @ivar reads: how often it was read anew.
    @ivar reach: returns how a provider is reached.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        providers: Mapping[str, Sequence[Any] | Callable[..., Any] | Simulator],
        fields: Mapping[str, Any] | None = None,
        elsewhere: Callable[..., Deferred[Any]] = maybeDeferred,
        files: tuple[Path, ...] = (),
        early: Callable[[], object] = lambda: None,
        taken: Collection[int] = (),
        **sections: Any,
    ) -> None:
        """
        @param providers: by name: the acts of its script.
        @param fields: of each provider, by name.
        @param elsewhere: see L{Reloader}.
        @param files: that the configuration says to be read from.
        @param early: called before the relay starts.
        @param taken: the ports that something else has.
        """
        self.test = test
        self.machine = Machine()
        self.machine.taken.update(taken)
        self.network = self.machine.network
        self.log = Path(test.mktemp())
        self.broken: Exception | None = None
        self.reads = 0
        self.reach: Callable[[Any], Any] = lambda _provider: self.network
        self.files = files
        self.simulators: dict[str, Simulator] = {}
        self.providers: dict[str, dict[str, Any]] = {}
        for name, acts in providers.items():
            self.provide(name, acts, **(fields or {}).get(name, {}))
        self.written: dict[str, Any] = {
            "health": {"health_check": {"enabled": False}},
            "logging": {"output": str(self.log)},
            "metrics": {"enabled": False},
        } | sections
        self.peers: list[Peer] = []
        self.lines: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self._note)
        self.relay = Ccrelay(
            self._loaded(), self.machine, self.wall, self._reread,
            endpoints=self._reach, elsewhere=elsewhere,
        )  # fmt: skip
        test.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        early()
        self.relay.privilegedStartService()
        self.relay.startService()
        test.addCleanup(self._end)

    def wall(self) -> float:
        """Return the time of day, which runs with the clock."""
        return WALL + self.machine.seconds()

    def provide(self, name: str, acts: Any = (), **fields: Any) -> None:
        """Let there be a provider; it is used from the next reload on."""
        own = {"name": name, "type": "anthropic", "base_url": f"http://{name}", "keys": [{"key": KEY}]}
        self.providers[name] = own | fields
        made = acts if isinstance(acts, Simulator) else Simulator(self.machine, script=scripted(acts))
        self.simulators[name] = made
        self.network.listen(name, made.site)

    def reload(self, **sections: Any) -> None:
        """Reload with these sections in the place of what was there."""
        self.written |= sections
        self.relay.reload()
        self.go()

    def go(self, seconds: float = 0) -> None:
        """Let time pass."""
        self.network.go(seconds)

    def connect(self, port: str = USUAL) -> Peer:
        """Return a client's connection."""
        peer = self.network.connect(port)
        self.peers.append(peer)
        self.go()
        return peer

    def send(
        self, content: bytes | None = None, headers: Sequence[tuple[str, str]] = HEADERS, port: str = USUAL
    ) -> Peer:
        """Send a request for a message on a connection of its own."""
        peer = self.connect(port)
        content = body() if content is None else content
        peer.send(http_request("POST", "/v1/messages", headers, content))
        self.go()
        return peer

    def ask(self, content: bytes | None = None, **how: Any) -> Answer:
        """Return the answer to a request for a message."""
        return self.answer(self.send(content, **how))

    def get(self, path: str) -> Answer:
        """Return the answer to a request without a body."""
        peer = self.connect()
        peer.send(http_request("GET", path, HEADERS))
        self.go()
        return self.answer(peer)

    def look(self, path: str, headers: Sequence[tuple[str, str]] = OPERATOR[:1]) -> Answer:
        """Return the answer to an operator's request without a body."""
        peer = self.connect(OPERATORS)
        peer.send(http_request("GET", path, headers))
        self.go()
        return self.answer(peer)

    def order(
        self, action: str, headers: Sequence[tuple[str, str]] = OPERATOR, **asked: Any
    ) -> tuple[int, str]:
        """Return status and words of the answer to an operator's order."""
        peer = self.connect(OPERATORS)
        peer.send(http_request("POST", f"/admin/{action}", headers, json.dumps(asked).encode()))
        self.go()
        answer = self.answer(peer)
        told = json.loads(answer.body)
        return answer.status, told["done"] if "done" in told else told["error"]["message"]

    @property
    def status(self) -> Any:
        """What C{/status} tells."""
        return json.loads(self.look("/status").body)

    def metrics(self, *names: str) -> dict[str, float]:
        """Return the samples whose names begin so, by name and labels."""
        lines = self.look("/metrics").body.decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if line.startswith(names))
        return {name: float(value) for name, _, value in samples}

    def answer(self, peer: Peer) -> Answer:
        """Return what a client has received so far."""
        return parse(peer.received, closed=peer.closed)

    def events(self, peer: Peer) -> list[str]:
        """Return the names of the events that a client has received so far."""
        return [name for name, _ in sse(self.answer(peer).body)]

    def asked(self, name: str, path: str = "/v1/messages") -> list[Any]:
        """Return what a provider was asked."""
        return [asked for asked in self.simulators[name].asked if asked.path == path]

    def backend(self, name: str) -> Any:
        """Return a provider as routing sees it."""
        return self.relay.upstreams[name].backend

    def breaker(self, name: str) -> Any:
        """Return a provider's breaker."""
        return self.relay.upstreams.routing.breakers.of(name)

    def kept(self, name: str) -> int:
        """Return how many connections to a provider there are."""
        return sum(connection.name == name for connection in self.network.connections)

    def said(self, *words: str) -> list[str]:
        """Return the messages of the log that have any of these words in them."""
        messages = [line["message"] for line in self.lines]
        return [message for message in messages if any(word in message for word in words)]

    @property
    def doors(self) -> list[str]:
        """The addresses that are listened on."""
        return sorted(map(str, self.machine.bound))

    def _loaded(self) -> Loaded:
        written = self.written | {"providers": list(self.providers.values())}
        return Loaded(Settings.model_validate(written), (), "a file", (), self.files)

    def _reread(self) -> Loaded:
        self.reads += 1
        if self.broken is not None:
            raise self.broken
        return self._loaded()

    def _reach(self, provider: Any) -> Any:
        return self.reach(provider)

    def _note(self, event: Any) -> None:
        self.lines.append(json.loads(json_line(event)) | {"fields": event.get(FIELDS, {})})

    def stop(self) -> Deferred[None]:
        """Begin to stop."""
        stopping: Deferred[None] = maybeDeferred(self.relay.stopService)
        return stopping

    def _end(self) -> None:
        for peer in self.peers:
            if not peer.closed:
                peer.resume()
                peer.reset()
        self.go()
        stopping = self.stop()
        self.go(40)
        globalLogPublisher.removeObserver(self._note)
        self.test.successResultOf(stopping)
        self.test.assertEqual(self.doors, [])
        self.test.assertEqual(self.network.connections, [])
        self.test.assertEqual([call for call in self.machine.getDelayedCalls() if call.active()], [])
        for upstream in self.relay.upstreams.listed:
            self.test.assertEqual(upstream.client.free, upstream.client.limit, upstream.name)
        self.test.assertNotIn(KEY, json.dumps([line["message"] for line in self.lines]))

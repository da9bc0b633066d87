"""A cell of the matrix: one real request through the whole relay, and everything that was seen of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Act, Says
from ccrelay.simulator.asked import Asked
from ccrelay.upstream.tls import TrustPolicy
from tests.matrix.fault import Blame, Effect, Row, Scope
from tests.network import Answer
from tests.stack import WALL, Stack, body

STEP_S: Final = 0.25
LONGEST_S: Final = 700
MODEL: Final = "claude-sonnet-4-5"
_CLEAR: Final = "speaks-in-the-clear"
_TRUST: Final = TrustPolicy()  # making one reads all authorities


@dataclass(frozen=True, slots=True)
class Topology:
    """
    Where a request could go: the keys of each provider, in the order of the file.

    @ivar open: the provider whose circuit is open when the request comes, and for minutes more.
    """

    name: str
    keys: dict[str, tuple[str, ...]]
    open: str = ""

    @property
    def places(self) -> list[tuple[str, int]]:
        """Each provider that may be asked, with the number of each of its keys; the open one comes last."""
        found = [(name, n) for name, keys in self.keys.items() for n in range(len(keys))]
        return sorted(found, key=lambda place: place[0] == self.open)


ONE_KEY: Final = Topology("one key", {"a": ("a1",)})
TWO_KEYS: Final = Topology("two keys", {"a": ("a1", "a2")})
TWO_PROVIDERS: Final = Topology("two providers", {"a": ("a1",), "b": ("b1",)})
ONE_OPEN: Final = Topology("three providers, the first open", {"a": ("a1",), "b": ("b1",), "c": ("c1",)}, "a")
OTHER_OPEN: Final = Topology("two providers, the second open", {"a": ("a1",), "b": ("b1",)}, "b")


@dataclass(slots=True)
class Met:
    """
    One attempt, as it reached a provider or failed to.

    @ivar key: the name of the key; empty where no connection came about.
    @ivar asked: what the provider was asked; None likewise.
    """

    at: float
    provider: str
    faulty: bool
    key: str = ""
    asked: Asked | None = None


def secret(key: str) -> str:
    """Return the secret of the key of that name."""
    return f"sk-test-of-{key}-0123456789abcdef"


class _Greets(Protocol):
    """A server that knows no TLS."""

    def connectionMade(self) -> None:
        self.transport.write(b"220 mail.example ESMTP\r\n")


@dataclass(slots=True)
class _Hanging:
    """A way on which nothing ever happens."""

    def connect(self, _factory: object) -> Deferred[Any]:
        return Deferred()


@dataclass(slots=True)
class _Failing:
    """A way that ends at once."""

    why: type[Exception]

    def connect(self, _factory: object) -> Deferred[Any]:
        return fail(self.why())


@dataclass(slots=True)
class _Deciding:
    """A way to a provider that the cell decides about when it is gone."""

    cell: Cell
    provider: str

    def connect(self, factory: Any) -> Deferred[Any]:
        network = self.cell.stack.network
        if not self.cell.meets(self.provider).faulty:
            return network.endpoint(self.provider).connect(factory)
        ways: dict[str, Any] = {
            "refused": _Failing(Refused),
            "unknown": _Failing(DNSLookupError),
            "hangs": _Hanging(),
            # A real handshake, with what speaks something else, and first.
            "tls": wrapClientTLS(_TRUST.creatorForNetloc(b"a", 443), network.endpoint(_CLEAR)),
        }
        return ways[self.cell.row.way].connect(factory)


@dataclass(slots=True, repr=False, eq=False)
class Cell:
    """
    A request, sent when the cell is made; it is over when the client knows the end of it.

    @ivar met: every attempt, in order.
    @ivar answer: what the client received; C{closed}: whether its connection was ended, too.
    @ivar began: the clock's seconds when the request was sent; C{now}: when it was over, or a little later.
    """

    test: SynchronousTestCase
    row: Row
    topology: Topology
    scope: Scope
    stream: bool
    met: list[Met] = field(default_factory=list)
    stack: Stack = field(init=False)
    answer: Answer = field(init=False)
    received: bytes = field(init=False)
    closed: bool = field(init=False)
    began: float = field(init=False)
    now: float = field(init=False)

    def __post_init__(self) -> None:
        """Build the relay and send the request."""
        own = {
            name: {"keys": [{"key": secret(key), "name": key} for key in keys], **self.row.fields}
            for name, keys in self.topology.keys.items()
        }
        self.stack = stack = Stack(self.test, dict.fromkeys(own, self._act), {"providers": own})
        if self.row.way:
            stack.network.endpointForURI = lambda uri: _Deciding(self, uri.host.decode())  # type: ignore[method-assign]
            stack.network.listen(_CLEAR, Factory.forProtocol(_Greets))
        self._open()
        self.began = stack.clock.seconds()
        peer = stack.send(body(stream=self.stream))
        while not stack.told.requests and stack.clock.seconds() < self.began + LONGEST_S:
            stack.go(STEP_S)
        self.now = stack.clock.seconds()
        self.answer = stack.answer(peer)
        self.received, self.closed = peer.received, peer.closed

    @property
    def effect(self) -> Effect:
        """What follows from the fault."""
        effect = self.row.effect(stream=self.stream)
        assert effect is not None
        return effect

    @property
    def lasted(self) -> float:
        """The seconds from the request to its end."""
        return self.stack.told.requests[-1].duration

    @property
    def wall(self) -> float:
        """The time of day when it was over."""
        return WALL + self.now

    def meets(self, provider: str, asked: Asked | None = None) -> Met:
        """Take note of an attempt and say whether it fails."""
        key = "" if asked is None else shown(asked)
        first = self.met[0] if self.met else None
        here = first is None or (
            key == first.key if self.effect.blame is Blame.KEY else provider == first.provider
        )
        faulty = {
            Scope.ONCE: not self.met,
            Scope.TWICE: len(self.met) < 2,
            Scope.THERE: here,
            Scope.EVERYWHERE: True,
        }[self.scope]
        met = Met(self.stack.clock.seconds(), provider, faulty, key, asked)
        self.met.append(met)
        return met

    def _act(self, asked: Asked) -> Act:
        provider = asked.header("host") or ""
        answer = Says(f"from {provider}", pieces=2)
        if not self.row.way:
            act = self.row.act if self.meets(provider, asked).faulty else answer
            assert act is not None
            return act
        if not self.met or self.met[-1].asked is not None or self.met[-1].provider != provider:
            self.meets(provider, asked)  # on a connection that was kept
        self.met[-1].key, self.met[-1].asked = shown(asked), asked
        return answer

    def _open(self) -> None:
        """Let the circuit of one provider open, and stay open for minutes."""
        if not self.topology.open:
            return
        breaker = self.stack.upstreams.routing.breakers.of(self.topology.open)
        wall = self.stack.wall()
        for _ in range(9):
            wall = breaker.due(wall)
            leave = breaker.enter(wall)
            assert leave is not None
            leave.failed(wall)


def shown(asked: Asked) -> str:
    """Return the name of the key that a provider was shown; the whole of what was shown if it is none."""
    bearer = (asked.header("authorization") or "").removeprefix("Bearer ")
    value = asked.header("x-api-key") or bearer
    return value.removeprefix("sk-test-of-").removesuffix("-0123456789abcdef")

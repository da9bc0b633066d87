"""An HTTP proxy on loopback that knows CONNECT alone, and that can be told to misbehave."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

reactor: Any = _reactor
OPEN = b"HTTP/1.1 200 Connection established\r\nVia: a\r\n\r\n"


class _Far(Protocol):
    """The proxy's connection to where it was asked for."""

    transport: Any

    def __init__(self, near: _Near) -> None:
        self.near = near

    def dataReceived(self, data: bytes) -> None:
        self.near.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.near.transport.loseConnection()
        self.near.far_gone.callback(None)


class _Near(Protocol):
    """A connection to the proxy."""

    transport: Any

    def __init__(self, proxy: ConnectProxy) -> None:
        self.proxy = proxy
        self.heard = b""
        self.far: Any = None
        self.gone: Deferred[None] = Deferred()
        self.far_gone: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        if self.far is not None:
            self.far.transport.write(data)
            return
        self.heard += data
        head, end, rest = self.heard.partition(b"\r\n\r\n")
        if end:
            assert not rest, "nothing may follow before the proxy has answered"
            self.proxy.ask(self, head)

    def open(self, far: Any) -> None:
        self.far = far
        self.transport.write(self.proxy.answer)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.far is not None:
            self.far.transport.abortConnection()
        self.gone.callback(None)


class ConnectProxy:
    """
    A proxy that connects every host to a port of loopback.

    @ivar heads: what it was asked, each head in lines.
    @ivar answer: what it answers; anything but L{OPEN} connects nobody.
    @ivar port: its own.
    """

    def __init__(
        self, test: TestCase, target: int, answer: bytes | None = OPEN, *, ends: bool = False
    ) -> None:
        """
        @param target: the port that it connects to.
        @param answer: None for none at all.
        @param ends: whether it hangs up after its answer.
        """
        self.heads: list[list[str]] = []
        self.answer = answer
        self.asked: Deferred[None] = Deferred()
        self._target = target
        self._ends = ends
        self._made: list[_Near] = []
        listening = reactor.listenTCP(0, Factory.forProtocol(self._build), interface="127.0.0.1")
        self.port = listening.getHost().port
        self.url = f"http://127.0.0.1:{self.port}"
        test.addCleanup(self._all_gone)
        test.addCleanup(lambda: maybeDeferred(listening.stopListening))

    @property
    def targets(self) -> list[str]:
        """The hosts and ports that it was asked for."""
        return [re.findall(r"CONNECT (\S+) HTTP/1\.1", head[0])[0] for head in self.heads]

    def ask(self, near: _Near, head: bytes) -> None:
        self.heads.append(head.decode("latin-1").split("\r\n"))
        if not self.asked.called:
            self.asked.callback(None)
        if self.answer is not None and self.answer.startswith(OPEN):
            to = TCP4ClientEndpoint(reactor, "127.0.0.1", self._target)
            to.connect(Factory.forProtocol(lambda: _Far(near))).addCallback(near.open)
            return
        if self.answer is not None:
            near.transport.write(self.answer)
        if self._ends:
            near.transport.loseConnection()

    def _build(self) -> _Near:
        self._made.append(_Near(self))
        return self._made[-1]

    def _all_gone(self) -> Deferred[Any]:
        """Wait until each connection has ended: a test in which one does not runs into its time limit."""
        gone = [near.gone for near in self._made]
        return DeferredList([*gone, *(near.far_gone for near in self._made if near.far is not None)])

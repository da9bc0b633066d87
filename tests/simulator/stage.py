"""A simulator on the network in memory, and raw clients of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.task import Clock

from ccrelay.simulator.app import Simulator
from ccrelay.simulator.asked import Asked
from tests.network import Answer, Network, Peer, http_request, parse

if TYPE_CHECKING:
    from ccrelay.simulator.script import Script

MESSAGE: Final = {
    "model": "claude-opus-5-5",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "Good morning"}],
}
STREAM: Final = {**MESSAGE, "stream": True}
VERSION: Final = ("anthropic-version", "2026-10-21")


class Stage:
    """
    A simulator that listens on a L{Network}, whose clock only the test moves.

    @ivar peer: the client that asked last.
    """

    def __init__(self, script: Script | None = None, **more: Any) -> None:
        self.clock = Clock()
        self.network = Network(self.clock)
        self.simulator = Simulator(self.clock, script=script, **{"pace": 0.0, **more})
        self.network.listen("upstream", self.simulator.site)
        self.peer = Peer(self.clock)

    def ask(self, body: Any = STREAM, target: str = "/v1/messages", method: str = "POST") -> Asked:
        """Ask over a new connection, let things settle, and return the simulator's record."""
        self.peer = self.network.connect("upstream")
        self.ask_again(body, target, method)
        return self.simulator.asked[-1]

    def ask_again(self, body: Any = STREAM, target: str = "/v1/messages", method: str = "POST") -> None:
        """Ask over the connection that is there."""
        whole = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.peer.send(http_request(method, target, [VERSION], whole))
        self.network.go()

    def answer(self) -> Answer:
        """Return what there is of the answer to the first request of the last connection."""
        return parse(self.peer.received, closed=self.peer.closed)

    @property
    def waiting(self) -> int:
        """How many timers are set."""
        return len(self.clock.getDelayedCalls())


def asked(
    body: Any = STREAM, *, target: str = "/v1/messages", number: int = 7, version: bool = True
) -> Asked:
    """Return a record of a request that nobody made."""
    whole = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = ((b"anthropic-version", b"2023-06-01"),) if version else ()
    return Asked(number, 0.0, "POST", target, headers, whole)

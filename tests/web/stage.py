"""What the tests of the door share: refusals judged from all sides, chunks, and a provider made of bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from tests.network import Answer, Peer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ccrelay.simulator.acts import Act
    from tests.stack import Stack

HOST = ("host", "localhost:8787")
JSON = ("content-type", "application/json")
VERSION = ("anthropic-version", "2023-06-01")
LONGEST_LINE = 256  # characters of a reason that the log shows
NOT_HTTP = "This is not a valid HTTP/1.1 request: check its request line, header fields and body framing."


def chunk(data: bytes) -> bytes:
    """Return bytes framed as a chunk; none as the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def error_body(kind: str, message: str, request_id: str) -> bytes:
    """Return Anthropic's envelope, to the byte."""
    said = {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()


class DoorTestCase(SynchronousTestCase):
    """A test of the door."""

    def assert_refused(self, stack: Stack, answer: Answer, status: int, kind: str, message: str) -> None:
        """Assert what the client sees of a refusal, to the byte, and that the log has the same story."""
        request_id = answer.headers.get("x-ccrelay-request-id", "")
        body = error_body(kind, message, request_id)
        self.assertEqual((answer.status, answer.body, answer.complete), (status, body, True))
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["content-length"], str(len(body)))
        self.assertEqual(answer.headers["request-id"], request_id)
        told = [
            (line["status"], line["ended"][:LONGEST_LINE])
            for line in stack.logged
            if (line["message"], line["id"]) == ("request", request_id)
        ]
        self.assertEqual(told, [(status, message[:LONGEST_LINE])])


def scripted(stack: Stack, name: str, paths: Mapping[str, Sequence[Act]]) -> None:
    """Let a provider answer other paths than that of messages by a script."""
    stack.simulators[name] = Simulator(stack.clock, script=Script((), paths))
    stack.network.listen(name, stack.simulators[name].site)


class Provider:
    """
    A provider that is one raw connection after the other, in the place of a simulator.

    @ivar peers: its connections, the oldest first.
    """

    def __init__(self, stack: Stack, name: str = "a") -> None:
        self.peers: list[Peer] = []
        stack.network.listen(name, Factory.forProtocol(lambda: self._made(Peer(stack.clock))))

    def _made(self, peer: Peer) -> Peer:
        self.peers.append(peer)
        return peer

    @property
    def peer(self) -> Peer:
        """The latest connection."""
        return self.peers[-1]

    @property
    def body(self) -> bytes:
        """What has come after the head of the latest request."""
        return self.peer.received.partition(b"\r\n\r\n")[2]

    def answers(self, status: str, body: bytes = b"", **headers: Any) -> None:
        """Send an answer with its length."""
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.peer.send(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{fields}\r\n".encode() + body)

"""A client made of bytes, over real sockets."""

from typing import Any

from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.live.relay import reactor
from tests.live.watch import Watch
from tests.network import Answer, Peer, http_request, parse, sse
from tests.stack import HEADERS


class Caller(Peer):
    """Says what a test has it say, and waits for what it is to hear."""

    transport: Any

    def __init__(self) -> None:
        super().__init__(reactor)
        self._watch = Watch(lambda: self.received)

    async def events(self, number: int) -> None:
        """Wait until so many events have arrived."""
        await self._watch.when(lambda: len(self.names) >= number)

    async def whole(self) -> Answer:
        """Wait for all of the answer, and return it."""
        await self._watch.when(lambda: self.answer.complete)
        return self.answer

    async def end(self) -> None:
        """Wait for the end of the connection."""
        await self._watch.when(lambda: self.closed)

    @property
    def answer(self) -> Answer:
        """What has arrived of the answer."""
        return parse(self.received, closed=self.closed)

    @property
    def names(self) -> list[str]:
        """The names of the events that have arrived."""
        return [name for name, _ in sse(self.answer.body)]

    def ask(self, content: bytes = b"", method: str = "POST", path: str = "/v1/messages") -> None:
        """Send a request, for a message unless it says otherwise."""
        self.send(http_request(method, path, HEADERS, content))

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self._watch.look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._watch.look()
        self._watch.end()


async def call(test: TestCase, where: str) -> Caller:
    """
    Return a connection, which ends with the test at the latest.

    @param where: a URL, or C{unix:} and a path.
    """
    place = "tcp:host=" + where.removeprefix("http://").replace(":", ":port=") if "//" in where else where
    caller: Any = await connectProtocol(clientFromString(reactor, place), Caller())

    async def hang_up() -> None:
        if not caller.closed:
            caller.reset()
            await caller.end()

    test.addCleanup(hang_up)
    return caller

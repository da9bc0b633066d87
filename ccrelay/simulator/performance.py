"""A performance: one act on its way to one peer, step by step and no faster than the peer reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater
from zope.interface import implementer

from ccrelay.simulator.acts import phrase
from ccrelay.simulator.site import SimulatorRequest
from ccrelay.simulator.steps import Chunk, Cut, End, Head, Raw, Reset, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.server import Request

    from ccrelay.simulator.asked import Asked
    from ccrelay.simulator.steps import Step


@implementer(IPushProducer)
class Performance:
    """The answer to one request; cancelling it, as Klein does when the peer leaves, ends all it waits for."""

    def __init__(self, clock: IReactorTime, request: Request, asked: Asked) -> None:
        self._clock = clock
        self._request: Any = request  # most of its methods are not typed
        self._asked = asked
        self._paused = False
        self._room: Deferred[None] | None = None
        # Else Twisted calls an answer HTML that has no content-type.
        request.defaultContentType = None
        request.responseHeaders.removeHeader(b"server")

    async def play(self, steps: Iterator[Step]) -> None:
        """
        Take each step; return when the response may be finished.

        After a step that ends the connection this never returns: the loss of the connection cancels it.
        """
        self._request.registerProducer(self, streaming=True)
        try:
            for step in steps:
                if isinstance(step, End):
                    break
                await self._take(step)
                if self._paused:
                    self._room = Deferred()
                    await self._room
            await self._end()
        finally:
            # After a disconnect Twisted has neither a channel nor a producer to forget.
            if self._request.channel is not None:
                self._request.unregisterProducer()

    async def _take(self, step: Step) -> None:
        match step:
            case Head():
                self._head(step)
            case Chunk():
                self._request.write(step.data)
            case Raw():
                self._request.channel.write(step.data)
            case Wait():
                await deferLater(self._clock, step.seconds)
            case _:
                await self._stop(step)

    def _head(self, head: Head) -> None:
        request = self._request
        request.setResponseCode(head.status, phrase(head.status).encode("ascii"))
        for name, value in head.headers:
            request.responseHeaders.addRawHeader(name, value)
        if head.length is not None:
            request.setHeader(b"content-length", b"%d" % head.length)
        if head.until_close:
            # Twisted frames in chunks whatever is not HTTP/1.0, and closes whatever is not persistent.
            request.clientproto = b"HTTP/1.0"
            request.channel.persistent = False
        request.write(b"")

    async def _stop(self, step: Step) -> None:
        if isinstance(step, Cut | Reset):
            self._asked.broken = True
        if isinstance(step, Cut):
            self._request.channel.loseConnection()
        elif isinstance(step, Reset):
            self._request.channel.transport.abortConnection()
        await Deferred()

    async def _end(self) -> None:
        """Finish the body; where the request's own has not come yet, wait for that as well."""
        request = self._request
        if not request.startedWriting:
            request.write(b"")
        rest = request.rest if isinstance(request, SimulatorRequest) else None
        if rest is not None:
            if request.chunked:
                request.channel.write(b"0\r\n\r\n")
                request.chunked = 0
            await rest

    def pauseProducing(self) -> None:
        """Take no further step: what was written has not gone out."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Go on."""
        self._paused = False
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """Nothing to do: the loss of the connection cancels the performance."""

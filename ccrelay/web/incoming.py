"""The body of a client's request while it arrives: gathered, passed on, or dropped."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, fail
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from ccrelay.errors import TooLarge, TooSlow

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IConsumer, IDelayedCall, IReactorTime

    from ccrelay.errors import RelayError
    from ccrelay.relay.interfaces import IPausable

_PACE_S: Final = 15.0
_PACE_BYTES: Final = 8 * 1024
"""A body must bring so many bytes in so many seconds, or be refused as too slow."""
_LARGE_BYTES: Final = 2 * 1024 * 1024
_HELD_BYTES: Final = 256 * 1024
"""How much of a body is kept before there is a provider to pass it on to."""


@implementer(IBodyProducer)
class IncomingBody:
    """
    A body that arrives while its request is already being answered.

    @ivar length: bytes announced, or C{UNKNOWN_LENGTH} for a chunked one.
    @ivar over: whether all of it has arrived.
    @ivar paused: whether the client is held back, because the reader of the body is slow.
    """

    def __init__(self, length: int | None, clock: IReactorTime, source: IPausable) -> None:
        """@param source: what is held back when the reader of the body is slow."""
        self.length: int | str = UNKNOWN_LENGTH if length is None else length
        self.over = length == 0
        self.paused = False
        self.on_wanted: Callable[[], None] | None = None
        self._clock = clock
        self._source = source
        self._parts: list[bytes] = []
        self._large: BytesIO | None = None
        self._size = 0
        self._limit: int | None = None
        self._keep = True
        self._gathered: Deferred[bytes] | None = None
        self._timer: IDelayedCall | None = None
        self._seen = 0
        self._consumer: IConsumer | None = None
        self._produced: Deferred[None] | None = None
        self._broken: RelayError | None = None

    def gather(self, limit: int, *, keep: bool = True) -> Deferred[bytes]:
        """
        Return the whole body.

        @param limit: bytes; a longer body is refused before it is kept.
        @param keep: False to drop it as it comes, for answers that do not depend on it.
        @return: a Deferred that fails with L{TooLarge} or L{TooSlow}.
        """
        self._gathered = Deferred(lambda _: self._stop_timing())
        result = self._gathered
        self._limit, self._keep = limit, keep
        if self._broken is not None:
            self._refuse(self._broken)
        elif self._size > limit or (isinstance(self.length, int) and self.length > limit):
            self._refuse(_too_large(limit))
        elif self.over:
            self._give()
        else:
            self.resumeProducing()
            self._want()
            self._timer = self._clock.callLater(_PACE_S, self._pace)
        return result

    def taken(self, limit: int) -> bytes | None:
        """Return the whole body if it has come and is no longer than C{limit}; else None: L{gather} it."""
        if not self.over or self._size > limit or self._broken is not None:
            return None
        return self._joined()

    def _joined(self) -> bytes:
        parts, self._parts = self._parts, []
        large, self._large = self._large, None
        if large is not None:
            return large.getvalue()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def received(self, data: bytes) -> None:
        """The channel has the next bytes."""
        self._size += len(data)
        if self._consumer is not None:
            self._consumer.write(data)
        elif self._limit is not None and self._size > self._limit:
            self._parts.clear()
            self._large = None
            self._refuse(_too_large(self._limit))
        elif self._keep:
            if self._large is not None:
                self._large.write(data)
                return
            self._parts.append(data)
            if self._limit is not None and self._size > _LARGE_BYTES:
                # Its buffer is handed out as it is: to join 30 MB at once would hold all others up for 8 ms.
                self._large = BytesIO()
                for part in self._parts:
                    self._large.write(part)
                self._parts.clear()
            if self._limit is None and self._size > _HELD_BYTES:
                self.pauseProducing()

    def ended(self) -> None:
        """The channel has the last bytes."""
        self.over = True
        self.resumeProducing()
        if self._gathered is not None:
            self._give()
        produced, self._produced = self._produced, None
        if produced is not None:
            self._consumer = None
            produced.callback(None)

    def broken(self, error: RelayError) -> None:
        """No more will come of it; the connection is of no more use after this request."""
        self._broken = error
        produced, self._produced = self._produced, None
        self._refuse(error)
        if produced is not None:
            self._consumer = None
            produced.errback(error)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Pass the body on to a provider as it comes (L{IBodyProducer}).

        @return: a Deferred that fails with the L{RelayError} of a body that broke off.
        """
        if self._broken is not None:
            return fail(self._broken)
        self.resumeProducing()
        self._produced = Deferred(lambda _: self.stopProducing())
        produced = self._produced
        self._consumer = consumer
        for part in self._parts:
            consumer.write(part)
        self._parts.clear()
        if self.over:
            self.ended()
        else:
            self._want()
        return produced

    def pauseProducing(self) -> None:
        """The provider is behind: take no more from the client."""
        if not self.over:
            self.paused = True
            self._source.pauseProducing()

    def resumeProducing(self) -> None:
        """The provider has caught up."""
        if self.paused:
            self.paused = False
            self._source.resumeProducing()

    def stopProducing(self) -> None:
        """The provider takes no more; what still comes is dropped, and its Deferred never fires."""
        self._consumer = None
        self._produced = None
        self._keep = False
        self.resumeProducing()

    def _want(self) -> None:
        wanted, self.on_wanted = self.on_wanted, None
        if wanted is not None:
            wanted()

    def _pace(self) -> None:
        if self._size - self._seen < _PACE_BYTES:
            self._timer = None
            self._refuse(too_slow())
            return
        self._seen = self._size
        self._timer = self._clock.callLater(_PACE_S, self._pace)

    def _give(self) -> None:
        gathered, self._gathered = self._gathered, None
        self._stop_timing()
        if gathered is not None:
            gathered.callback(self._joined())

    def _refuse(self, error: RelayError) -> None:
        gathered, self._gathered = self._gathered, None
        self._keep = False
        self._stop_timing()
        if gathered is not None:
            gathered.errback(error)

    def _stop_timing(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


def too_slow() -> TooSlow:
    """Return the error for a body that does not keep coming."""
    return TooSlow("The request's body arrives too slowly; send it in one go.")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The request is larger than the {limit} bytes that ccrelay takes (server.max_body_bytes); "
        "send less, or raise that limit."
    )

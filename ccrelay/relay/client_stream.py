"""The client's side of one streamed answer: its head, its pings, and an end that is never silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccrelay.wire.error_json import envelope
from ccrelay.wire.sse import PING, render

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from ccrelay.relay.exchange import Exchange
    from ccrelay.relay.interfaces import IClientResponse, IPausable
    from ccrelay.wire.http import Pairs

_HEAD: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx in front would hold events back
)


class ClientStream:
    """
    Server-sent events on their way to the client.

    While nothing is sent for C{ping} seconds it sends C{event: ping}, with the
    head first if need be: clients hang up on a connection that stays silent.

    @ivar opened: whether the head was sent.
    @ivar started: whether C{message_start} was sent; a further attempt's must not follow it.
    @ivar split: whether the last bytes sent were a piece of an unfinished event.
    """

    def __init__(
        self, response: IClientResponse, exchange: Exchange, clock: IReactorTime, ping: float
    ) -> None:
        """@param ping: seconds of silence; 0 for no pings."""
        self._response = response
        self._exchange = exchange
        self._clock = clock
        self._ping = ping
        self._last = clock.seconds()
        self._paused = False
        self.split = False
        self.started = False
        self._timer: IDelayedCall | None = clock.callLater(ping, self._silent) if ping else None

    @property
    def opened(self) -> bool:
        """Whether the head was sent, after which no other status can be."""
        return self._response.begun

    def open(self, headers: Pairs) -> None:
        """Send the head, if it was not sent, with the provider's header fields."""
        if not self._response.begun:
            kept = tuple(pair for pair in headers if pair[0] != b"content-type")
            self._response.begin(200, _HEAD + kept)

    def send(self, data: bytes, *, split: bool) -> None:
        """
        Send bytes of events.

        @param split: whether they end within an event.
        """
        self._last = self._clock.seconds()
        self.split = split
        self._response.write(data)

    def follow(self, source: IPausable | None) -> None:
        """Let the client's pace hold C{source} back; None to let go of it."""
        if source is None:
            self._response.unregister()
        else:
            self._response.register(source)

    def pausing(self, *, paused: bool) -> None:
        """Note whether the client is behind; it needs no pings then."""
        self._paused = paused

    def complete(self) -> None:
        """End the stream; its last event was sent."""
        self.close()
        self._response.finish()

    def fail(self, kind: str, message: str) -> None:
        """
        End the stream so that no client takes it for whole.

        An C{error} event says why; where an event was cut in two the
        connection is cut instead, as nothing can be said within an event.
        """
        self.fail_with(envelope(kind, message, self._exchange.id))

    def fail_with(self, error: bytes) -> None:
        """
        End the stream like L{fail}, with an error that is worded already.

        @param error: JSON of Anthropic's envelope.
        """
        self.close()
        if self.split:
            self._response.abort()
        else:
            self._response.write(render(b"error", b" ".join(error.splitlines())))
            self._response.finish()

    def abort(self) -> None:
        """Cut the connection."""
        self.close()
        self._response.abort()

    def close(self) -> None:
        """Stop pinging."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _silent(self) -> None:
        due = self._last + self._ping - self._clock.seconds()
        if due <= 0:
            if not self.split and not self._paused:
                self.open(())
                self.send(PING, split=False)
            due = self._ping
        self._timer = self._clock.callLater(due, self._silent)

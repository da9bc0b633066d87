"""The body of one streamed answer, from the provider through its translator to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from ccrelay.errors import Broken, Stalled, UpstreamError
from ccrelay.providers.interfaces import Stage
from ccrelay.wire.sse import unfinished, without

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from ccrelay.providers.interfaces import ITranslator
    from ccrelay.relay.client_stream import ClientStream
    from ccrelay.upstream.body import ResponseBody
    from ccrelay.upstream.client import UpstreamResponse
    from ccrelay.wire.http import Pairs

_GRACE_S: Final = 2.0
"""Seconds a provider may take to end a body whose last event has come."""


class ClientStalled(Exception):
    """The client took nothing for as long as a provider may be silent."""


@implementer(IPushProducer)
class BodyRelay:
    """
    The provider's body is the producer, the client's response the consumer, and this is all between them.

    Nothing is queued here but the unfinished tail of one event. When the
    client is slow the provider is paused, and its silence is not counted
    against it then.

    @ivar began: when its first bytes came, in seconds of the clock, or None.
    """

    def __init__(
        self,
        translator: ITranslator,
        stream: ClientStream,
        clock: IReactorTime,
        idle: float,
        *,
        headers: Pairs,
        hiding: Callable[[bytes], bytes],
        answering: Callable[[], None],
        watching: Callable[[bytes], None],
    ) -> None:
        """
        @param idle: seconds without a byte after which either side counts as stalled.
        @param headers: of the provider's answer, for the head of the client's.
        @param watching: called with all events of the answer.
        @param answering: called once, as soon as a real answer has begun.
        @param hiding: takes out of an error what the client must not see: our key, should it be repeated.
        """
        self._translator = translator
        self._hiding = hiding
        self._watching = watching
        self._answering: Callable[[], None] | None = answering
        self._stream = stream
        self._clock = clock
        self._idle = idle
        self._headers = headers
        self._body: ResponseBody | None = None
        self._last = clock.seconds()
        self.began: float | None = None
        self._paused = False
        self._timer: IDelayedCall | None = None
        self._result: Deferred[None] = Deferred(lambda _: self._release())

    def run(self, response: UpstreamResponse) -> Deferred[None]:
        """
        Relay the body.

        @return: a Deferred that fires when the message is whole, or when an
            C{error} event of the provider's was relayed or came first (see
            the translator for which). It fails with L{UpstreamError} if the
            provider was lost, and with L{ClientStalled}. Cancelling it hangs
            up on the provider.
        """
        self._timer = self._clock.callLater(self._idle, self._silent)
        self._stream.follow(self)
        self._body = response.deliver(self)
        if self._result.called:
            self._body.stop()
        elif self._paused:
            self._body.pause()
        return self._result

    def received(self, data: bytes) -> None:
        """Take the provider's next bytes."""
        if self._result.called:
            return
        self._last = self._clock.seconds()
        if self.began is None:
            self.began = self._last
        translator = self._translator
        whole = translator.feed(data)
        if not whole:
            return
        if self._answering is None and translator.stage == Stage.CONTENT and translator.error is None:
            self._watching(whole)  # nearly always: content is flowing
            self._stream.send(whole, split=translator.split)
            return
        if translator.error_first:
            self._done()
            return
        self._watching(whole)
        if translator.error is not None:
            whole = self._hiding(whole)
        if self._stream.started and self._answering is not None:
            whole = without(whole, b"message_start")
            if translator.split and unfinished(whole) in {b"", b"message_start"}:
                self._done(Broken("its first event is too long to be continued with"))
                return
        if self._answering is not None and translator.stage > Stage.NOTHING:
            answering, self._answering = self._answering, None
            answering()
            self._stream.started = True
        self._stream.open(self._headers)
        if whole:
            self._stream.send(whole, split=translator.split)
        if translator.stage == Stage.STOPPED or translator.error is not None:
            self._shorten()

    def ended(self, error: UpstreamError | None) -> None:
        """The provider's body is over."""
        if self._result.called:
            return
        if self._translator.stage == Stage.STOPPED or self._translator.error is not None:
            self._done()
        elif error is not None:
            self._done(error)
        elif self._translator.stage == Stage.NOTHING:
            self._done(Broken("the stream ended without an event"))
        else:
            self._done(Broken("the stream ended before message_stop"))

    def pauseProducing(self) -> None:
        """The client is behind."""
        self._last = self._clock.seconds()
        self._paused = True
        self._stream.pausing(paused=True)
        if self._body is not None:
            self._body.pause()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self._last = self._clock.seconds()
        self._paused = False
        self._stream.pausing(paused=False)
        if self._body is not None:
            self._body.resume()

    def stopProducing(self) -> None:
        """The client has gone; the cancellation that follows releases everything."""

    def _shorten(self) -> None:
        """Nothing more is due: do not wait for the end of the body as long as for an event."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.callLater(_GRACE_S, self._done)

    def _silent(self) -> None:
        due = self._last + self._idle - self._clock.seconds()
        if due > 0:
            self._timer = self._clock.callLater(due, self._silent)
            return
        self._timer = None
        if self._paused:
            self._done(ClientStalled(f"the client took nothing for {self._idle:g} s"))
        else:
            self._done(Stalled(f"nothing came for {self._idle:g} s in the middle of the answer"))

    def _done(self, problem: Exception | None = None) -> None:
        if self._result.called:
            return
        self._release()
        if problem is None:
            self._result.callback(None)
        else:
            self._result.errback(problem)

    def _release(self) -> None:
        """Let go of timer, client and provider."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        self._stream.follow(None)
        if self._body is not None:
            self._body.stop()

"""Asks one provider tiny things, and says what it answered: what C{ccrelay doctor} is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec
from twisted.internet.defer import Deferred

from ccrelay.errors import Broken, ClientError, FirstByteTimeout, Stalled, UpstreamError
from ccrelay.policy.route import Route
from ccrelay.policy.verdict import Verdict
from ccrelay.providers.interfaces import Stage
from ccrelay.relay.fitting import Fitting
from ccrelay.relay.hiding import Hiding
from ccrelay.wire import headers as fields
from ccrelay.wire.http import media_type
from ccrelay.wire.request import MessagesRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from twisted.internet.interfaces import IReactorTime

    from ccrelay.policy.keys import Key
    from ccrelay.providers.interfaces import ITranslator
    from ccrelay.relay.upstreams import Upstream
    from ccrelay.upstream.client import UpstreamResponse
    from ccrelay.wire.http import Pairs

T = TypeVar("T")

_SUCCESS: Final = range(200, 300)
_MESSAGES: Final = [{"role": "user", "content": "Hi"}]


@dataclass(frozen=True, slots=True)
class Said:
    """
    What came of asking.

    @ivar verdict: C{OK}, or whose fault it is.
    @ivar status: of the answer; 0 where there was none.
    @ivar words: the provider's own, or what was wrong with its answer.
    @ivar dropped: what the request was sent without, since this provider would refuse it.
    """

    verdict: Verdict
    status: int = 0
    words: str = ""
    dropped: tuple[str, ...] = ()


class Asking:
    """Sends requests of one token to a provider, the way the relay does."""

    def __init__(
        self, upstream: Upstream, clock: IReactorTime, wall: Callable[[], float], within: float
    ) -> None:
        """
        @param wall: returns seconds since the epoch.
        @param within: seconds that each may take in all.
        """
        self._upstream = upstream
        self._clock = clock
        self._wall = wall
        self._within = within

    async def message(self, key: Key | None, model: str, headers: Pairs = (), **more: Any) -> Said:  # noqa: ANN401
        """
        Ask for a message of one token.

        @param key: to be shown; None for what is fetched.
        @param model: as the provider calls it.
        @param more: members of the body.
        """
        asked = {"model": model, "max_tokens": 1, "messages": _MESSAGES, **more}
        return await self._said(asked, key, model, headers, counting=False)

    async def count(self, key: Key | None, model: str) -> Said:
        """Ask for a count of tokens."""
        asked = {"model": model, "messages": _MESSAGES}
        return await self._said(asked, key, model, (), counting=True)

    async def models(self, key: Key | None) -> tuple[str, ...]:
        """Return the names of the models that the provider lists; none where it does not."""
        request = self._upstream.provider.models()
        if request is None:
            return ()

        async def ask() -> tuple[str, ...]:
            credential = self._upstream.key_credential(key)
            sent = await credential.authorize(request.adding(*self._upstream.headers), self._wall())
            answer = await self._upstream.client.send(sent, self._within)
            return tuple(m.id for m in self._upstream.provider.read_models(await answer.whole()))

        try:
            return await self._in_time(ask())
        except UpstreamError:
            return ()

    async def _said(
        self, asked: dict[str, Any], key: Key | None, model: str, headers: Pairs, *, counting: bool
    ) -> Said:
        try:
            request = MessagesRequest.parse(msgspec.json.encode(asked))
            route = Route(self._upstream.name, key, model)
            usual = ((b"anthropic-version", b"2023-06-01"), (b"content-type", b"application/json"))
            fitting = Fitting(request, (*usual, *headers), route, self._upstream)
            return await self._in_time(self._ask(fitting, key, request, counting=counting))
        except UpstreamError as error:
            return Said(Verdict.BROKEN, words=error.message)
        except ClientError as error:
            return Said(Verdict.UNFIT, words=error.message)

    async def _ask(
        self, fitting: Fitting, key: Key | None, request: MessagesRequest, *, counting: bool
    ) -> Said:
        upstream = self._upstream
        credential, hiding = upstream.key_credential(key), Hiding()
        while True:
            sent = fitting.composed(b"", self._wall(), counting=counting)
            sent = await credential.authorize(sent, self._wall())
            hiding.shown = fields.secrets_in(sent.headers)
            answer = await upstream.client.send(sent, self._within)
            status = answer.head.status
            if status in _SUCCESS:
                if request.stream:
                    return await self._streamed(answer, fitting)
                return self._whole(await answer.whole(), status, fitting, counting=counting)
            body = hiding.in_body(await answer.complaint())
            complaint = upstream.provider.classify(answer.head, body, self._wall(), mapped=False)
            if not fitting.mends(complaint, sent, credential, self._wall(), counting=counting):
                return Said(complaint.verdict, complaint.status, complaint.message, fitting.dropped)

    def _whole(self, body: bytes, status: int, fitting: Fitting, *, counting: bool) -> Said:
        provider = self._upstream.provider
        message = provider.counted(body) if counting else provider.message(body)
        if message is None:
            wanted = "a count of tokens" if counting else "a message"
            return Said(Verdict.BROKEN, status, f"what came is not {wanted}", fitting.dropped)
        return Said(Verdict.OK, status, dropped=fitting.dropped)

    async def _streamed(self, answer: UpstreamResponse, fitting: Fitting) -> Said:
        provider, status = self._upstream.provider, answer.head.status
        kind = media_type(answer.head.headers)
        if kind != provider.capabilities.stream_type:
            answer.drop()
            what = kind.decode("ascii", "replace") or "something untyped"
            return Said(Verdict.BROKEN, status, f"what came is {what}, not a stream", fitting.dropped)
        reading = _Reading(provider.translator())
        body = answer.deliver(reading)
        try:
            await reading.over
        finally:
            body.stop()
        translator = reading.translator
        if translator.error is not None:
            return Said(Verdict.BROKEN, status, translator.error.message, fitting.dropped)
        return Said(Verdict.OK, status, dropped=fitting.dropped)

    async def _in_time(self, work: Coroutine[Deferred[Any], Any, T]) -> T:
        def too_late(_result: object, seconds: float) -> NoReturn:
            msg = f"no answer within {seconds:g} s"
            raise FirstByteTimeout(msg)

        working: Deferred[T] = Deferred.fromCoroutine(work)
        return await working.addTimeout(self._within, self._clock, too_late)


class _Reading:
    """Reads a stream to the end of its message."""

    def __init__(self, translator: ITranslator) -> None:
        self.translator = translator
        self.over: Deferred[None] = Deferred()

    def received(self, data: bytes) -> None:
        """Take the next bytes."""
        self.translator.feed(data)
        if self.translator.stage == Stage.STOPPED or self.translator.error is not None:
            self._end(None)

    def ended(self, error: UpstreamError | None) -> None:
        """The body is over."""
        stage = self.translator.stage
        self._end(error or (Stalled("no event came") if stage == Stage.NOTHING else Broken("it broke off")))

    def _end(self, error: UpstreamError | None) -> None:
        if not self.over.called:
            if error is None:
                self.over.callback(None)
            else:
                self.over.errback(error)

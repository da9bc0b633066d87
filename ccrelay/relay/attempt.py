"""One attempt: one provider asked with one key, and what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from ccrelay.errors import Broken, ClientError, FirstByteTimeout, UpstreamError
from ccrelay.policy.moment import Moment
from ccrelay.policy.outcome import Outcome
from ccrelay.policy.verdict import Verdict
from ccrelay.providers.interfaces import Stage
from ccrelay.relay.body import BodyRelay, ClientStalled
from ccrelay.relay.events import AttemptEnded
from ccrelay.relay.fitting import Fitting, headers_for
from ccrelay.relay.hiding import Hiding
from ccrelay.upstream.body import COMPLAINT_LIMIT
from ccrelay.wire import headers as fields
from ccrelay.wire import usage
from ccrelay.wire.error_json import read_error
from ccrelay.wire.http import ResponseHead, first, media_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from ccrelay.policy.tries import Try
    from ccrelay.policy.verdict import Complaint
    from ccrelay.relay.client_stream import ClientStream
    from ccrelay.relay.exchange import Exchange
    from ccrelay.relay.interfaces import IClientResponse
    from ccrelay.relay.upstreams import Upstream
    from ccrelay.upstream.client import UpstreamResponse
    from ccrelay.wire.error_json import ErrorBody
    from ccrelay.wire.http import Pairs, UpstreamRequest
    from ccrelay.wire.request import MessagesRequest

_JSON: Final = b"application/json"
_REFUSALS: Final = frozenset({401, 403})
_SUCCESS: Final = range(200, 300)
_COMPLAINT_S: Final = 10.0
"""Seconds that the body of a refusal is waited for; its status says enough."""


class Asked(msgspec.Struct, frozen=True):
    """
    What a client asked for, as every attempt needs it.

    @ivar counting: whether only its tokens are to be counted.
    @ivar deadline: when an answer that is not streamed must be whole, in seconds of the clock.
    """

    request: MessagesRequest
    headers: Pairs
    query: bytes
    counting: bool
    deadline: float


class Attempt:
    """
    One try at one route.

    It writes to the client only what cannot be taken back: the events of an
    answer, or an answer that is whole.
    """

    def __init__(
        self,
        trying: Try,
        upstream: Upstream,
        exchange: Exchange,
        clock: IReactorTime,
        wall: Callable[[], float],
    ) -> None:
        """
        @param clock: for durations.
        @param wall: returns seconds since the epoch.
        """
        self._trying = trying
        self._route = trying.route
        self._upstream = upstream
        self._exchange = exchange
        self._clock = clock
        self._wall = wall
        self._started = clock.seconds()
        self._head: ResponseHead | None = None
        self._usage = usage.NOTHING_KNOWN
        self._first_byte: float | None = None
        self._first_body: float | None = None
        self._fitting: Fitting | None = None
        self._hiding = Hiding()

    async def run(self, asked: Asked, response: IClientResponse, stream: ClientStream | None) -> Outcome:
        """Ask, and relay the answer or find out why there is none."""
        outcome: Outcome | None = None
        try:
            outcome = await self._ask(asked, response, stream)
        except UpstreamError as error:
            outcome = self._failed(error)
        except ClientError as error:
            # This kind of provider cannot take such a request; another may.
            outcome = Outcome(self._route, Verdict.UNFIT, self._now(), error=error)
        finally:
            self._trying.end(outcome, self._usage, self._wall())
            self._remember(asked)
            self._tell(outcome)
        return outcome

    async def _ask(self, asked: Asked, response: IClientResponse, stream: ClientStream | None) -> Outcome:
        """Ask, and once more where the provider has said how the same request would do."""
        self._exchange.trying(self._route)
        client, route = self._exchange.client, self._route
        headers = headers_for(asked.headers, pooled=client.bearer is not None and route.key is not None)
        fitting = self._fitting = Fitting(asked.request, headers, route, self._upstream)
        credential = self._upstream.credential(route, client)
        while True:
            request = fitting.composed(asked.query, self._wall(), counting=asked.counting)
            request = await credential.authorize(request, self._wall())
            if route.key is not None:  # else it is the client's own
                self._hiding.shown = fields.secrets_in(request.headers)
            outcome = await self._answered(request, asked, response, stream)
            complaint = outcome.complaint
            if complaint is None or not fitting.mends(
                complaint, request, credential, self._wall(), counting=asked.counting
            ):
                return outcome

    async def _answered(
        self, request: UpstreamRequest, asked: Asked, response: IClientResponse, stream: ClientStream | None
    ) -> Outcome:
        within = self._upstream.limits.first_byte if stream else self._left(asked)
        answer = await self._upstream.client.send(request, within)
        self._head = answer.head = self._hiding.in_head(answer.head)
        self._first_byte = self._clock.seconds() - self._started
        self._trying.learn(answer.head.headers, self._wall())
        if answer.head.status not in _SUCCESS:
            return await self._refused(answer, asked)
        if stream is not None:
            if media_type(answer.head.headers) != self._upstream.provider.capabilities.stream_type:
                return await self._not_asked_for(answer, "an event stream")
            return await self._stream(answer, stream)
        return await self._whole(answer, asked, response)

    async def _refused(self, answer: UpstreamResponse, asked: Asked) -> Outcome:
        body = self._hiding.in_body(await self._complaint(answer))
        provider = self._upstream.provider
        complaint = provider.classify(answer.head, body, self._wall(), mapped=self._route.mapped)
        # By its meaning: AWS says with a 403 that a token has expired, too.
        if asked.counting and complaint.status in provider.capabilities.uncountable:
            complaint = replace(complaint, verdict=Verdict.CLIENT)  # it cannot count; that is an answer
        return self._outcome(complaint.verdict, complaint)

    async def _not_asked_for(self, answer: UpstreamResponse, wanted: str) -> Outcome:
        """A success that is not one: a web page, an empty body, an error under status 200."""
        body = self._hiding.in_body(await self._complaint(answer))
        return self._misfit(answer.head, body, wanted)

    def _misfit(self, head: ResponseHead, body: bytes, wanted: str) -> Outcome:
        said = read_error(body)
        if said.kind.endswith("_error"):
            return self._error_within(head, said, body)
        what = (media_type(head.headers).decode("ascii", "replace") or "untyped") if body else "empty"
        return self._failed(Broken(f"answered {head.status} with a body that is {what}, not {wanted}"))

    def _error_within(self, head: ResponseHead, said: ErrorBody, data: bytes) -> Outcome:
        """An error in the place of an answer, with the fields that the answer's head had for the client."""
        complaint = self._upstream.provider.classify_event(said, data, self._wall())
        own = {b"content-type", *(name for name, _ in complaint.headers)}
        kept = tuple(pair for pair in fields.downward(head.headers) if pair[0] not in own)
        return self._outcome(complaint.verdict, replace(complaint, headers=kept + complaint.headers))

    async def _complaint(self, answer: UpstreamResponse) -> bytes:
        def enough(_result: object, _seconds: float) -> bytes:
            return b""

        return await answer.complaint().addTimeout(_COMPLAINT_S, self._clock, enough)

    async def _stream(self, answer: UpstreamResponse, stream: ClientStream) -> Outcome:
        upstream = self._upstream
        translator = upstream.provider.translator()
        down = fields.downward(answer.head.headers)
        idle = upstream.limits.idle

        def answering() -> None:
            self._trying.answering(self._wall(), translator.usage, self._first_byte)

        def watching(whole: bytes) -> None:
            upstream.lessons.provenance.note_events(whole, upstream.family)

        def hiding(whole: bytes) -> bytes:
            return self._hiding.in_events(whole, translator.error_data, upstream.provider, self._exchange.id)

        body = BodyRelay(
            translator, stream, self._clock, idle,
            headers=down, hiding=hiding, answering=answering, watching=watching,
        )  # fmt: skip
        try:
            await body.run(answer)
        except UpstreamError as error:
            if translator.stage < Stage.CONTENT and not stream.split:
                raise  # no content reached the client: the next candidate may do better
            stream.fail(error.kind, f"The provider {self._route.provider} was lost: {error.message}.")
            self._exchange.because(f"upstream lost: {error.message}")
            return self._failed(error, begun=True)
        except ClientStalled as stalled:
            stream.abort()
            self._exchange.because(str(stalled))
            return self._outcome(Verdict.OK, begun=True)
        finally:
            self._first_body = None if body.began is None else body.began - self._started
            self._usage = translator.usage
            self._exchange.usage = self._exchange.usage.updated(translator.usage)
        if translator.error_first and translator.error is not None:
            data = self._hiding.in_body(translator.error_data)
            return self._error_within(answer.head, read_error(data), data)
        stream.complete()
        if translator.error is None:
            return self._outcome(Verdict.OK, begun=True)
        # The provider itself said in the stream that it failed; the client has its words.
        self._exchange.because(f"upstream error: {translator.error.kind}")
        said = Broken(f"error event after the answer began: {translator.error.kind}")
        return self._failed(said, begun=True)

    async def _whole(self, answer: UpstreamResponse, asked: Asked, response: IClientResponse) -> Outcome:
        try:
            body = await answer.whole_within(self._left(asked))
        except FirstByteTimeout:
            limit = self._upstream.limits.whole
            msg = f"the answer was not whole within {limit:g} s"
            raise FirstByteTimeout(msg) from None
        self._first_body = self._clock.seconds() - self._started
        upstream = self._upstream
        message = upstream.provider.counted(body) if asked.counting else upstream.provider.message(body)
        if message is None:
            return self._misfit(answer.head, self._hiding.in_body(body[:COMPLAINT_LIMIT]), "a message")
        if not asked.counting:
            self._exchange.usage = self._usage = usage.of_message(message)
            self._trying.answering(self._wall(), self._usage, None)
            upstream.lessons.provenance.note_answer(message, upstream.family)
        down = fields.downward(answer.head.headers)
        if first(down, b"content-type") is None:
            down = (*down, (b"content-type", _JSON))
        response.whole(answer.head.status, down, message)
        return self._outcome(Verdict.OK, begun=True)

    def _left(self, asked: Asked) -> float:
        """Return the seconds left for an answer that is not streamed; never nothing at all."""
        return max(asked.deadline - self._clock.seconds(), 0.001)

    def _failed(self, error: UpstreamError, *, begun: bool = False) -> Outcome:
        return Outcome(self._route, Verdict.BROKEN, self._now(), begun, error=error)

    def _outcome(
        self, verdict: Verdict, complaint: Complaint | None = None, *, begun: bool = False
    ) -> Outcome:
        return Outcome(self._route, verdict, self._now(), begun, complaint)

    def _now(self) -> Moment:
        return Moment(self._clock.seconds(), self._wall())

    def _remember(self, asked: Asked) -> None:
        """Let the next turn of the conversation be estimated by what this one has cost."""
        conversation = self._exchange.conversation
        if asked.counting or conversation is None:
            return
        self._trying.remember(conversation.digest.hex(), self._exchange.weight, self._usage)

    def _tell(self, outcome: Outcome | None) -> None:
        head = self._head
        verdict = Verdict.CANCELLED if outcome is None else outcome.verdict
        reason = "cut short" if outcome is None else outcome.reason
        self._exchange.tried(
            AttemptEnded(
                self._exchange.id, self._route.provider, self._route.key_name, self._route.model, verdict,
                head.status if head else 0, fields.request_id(head.headers) if head else "",
                "" if verdict is Verdict.OK else reason,
                self._first_byte, self._clock.seconds() - self._started, self._trying.repeat,
                self._fitting.dropped if self._fitting else (), self._fitting.mended if self._fitting else (),
                _refusal(outcome), self._first_body, self._route.key is None,
            )
        )  # fmt: skip


def _refusal(outcome: Outcome | None) -> str:
    """Return a provider's words on a credential that it refused, for the log; others may quote a prompt."""
    said = None if outcome is None else outcome.complaint
    refusal = said is not None and said.verdict is Verdict.KEY and said.status in _REFUSALS
    return said.message if said is not None and refusal else ""

"""Drives the plan of one request: attempt by attempt, until there is an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import CancelledError

from ccrelay.errors import (
    AllFailed,
    FirstByteTimeout,
    Forbidden,
    KeysExhausted,
    NothingOpen,
    RelayError,
    Stalled,
)
from ccrelay.policy.plan import attempts, most_useful
from ccrelay.policy.verdict import Verdict
from ccrelay.relay.attempt import Asked, Attempt
from ccrelay.relay.client_stream import ClientStream
from ccrelay.relay.counting import NO_COUNTING, cannot_count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IReactorTime

    from ccrelay.policy.plan import Bounds, Outcome
    from ccrelay.policy.route import Route
    from ccrelay.policy.verdict import Complaint
    from ccrelay.relay.exchange import Exchange
    from ccrelay.relay.interfaces import IClientResponse
    from ccrelay.relay.upstreams import Upstreams
    from ccrelay.wire.http import Pairs
    from ccrelay.wire.request import MessagesRequest

_RETRY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Manners:
    """
    How requests are served, as the operator wants it.

    @ivar bounds: of a series of attempts.
    @ivar ping: seconds of silence after which a stream gets a ping; 0 for never.
    @ivar whole: seconds for an answer that is not streamed.
    @ivar debug: whether answers tell provider, key and attempts in C{x-ccrelay-*}.
    """

    bounds: Bounds
    ping: float = 15.0
    whole: float = 600.0
    debug: bool = False


class Relay:
    """Answers requests for messages by asking providers, one after the other if need be."""

    def __init__(
        self, upstreams: Upstreams, manners: Manners, clock: IReactorTime, wall: Callable[[], float]
    ) -> None:
        """
        @param clock: for durations and timers.
        @param wall: returns seconds since the epoch.
        """
        self.upstreams = upstreams
        self.manners = manners
        self._clock = clock
        self._wall = wall

    def routes(self, exchange: Exchange, model: str) -> tuple[Route, ...]:
        """
        Return where a request of this client for this model may go.

        @raise Forbidden: if the client may not ask for the model.
        @raise RelayUnavailable: if there is no way now.
        """
        client = exchange.client
        if not client.may_ask(model):
            msg = f"This client may not ask for the model {model}, only for: {', '.join(client.models)}."
            raise Forbidden(msg)
        now = self._wall()
        routes = self.upstreams.routes(model, client, now)
        if routes:
            return routes
        frees = self.upstreams.frees_at(client)
        if frees is not None:
            msg = "Every key that could serve this is exhausted; add one, or wait until the soonest is free."
            raise KeysExhausted(msg, retry_after=max(frees - now, 1.0))
        if not client.pooled:
            msg = (
                "No provider here takes a claude.ai login; mark one `passthrough: true`, or use a relay key."
            )
            raise Forbidden(msg)
        msg = "No provider is enabled that could serve this; enable one in the configuration of ccrelay."
        raise NothingOpen(msg, retry_after=_RETRY_S)

    async def answer(
        self,
        exchange: Exchange,
        request: MessagesRequest,
        headers: Pairs,
        query: bytes,
        response: IClientResponse,
        *,
        counting: bool = False,
    ) -> None:
        """
        Answer a request.

        @param headers: the client's.
        @param query: the client's, without the question mark.
        @param counting: whether only the tokens are to be counted.
        @raise RelayError: what to answer, if nothing was sent to the client yet.
        """
        routes = self.routes(exchange, request.model)
        if counting:
            upstream = self.upstreams[routes[0].provider]
            if not upstream.provider.capabilities.counts_tokens:
                return cannot_count(upstream, request, response)
            routes = tuple(
                r for r in routes if self.upstreams[r.provider].provider.capabilities.counts_tokens
            )
        asked = Asked(request, headers, query, counting, self._clock.seconds() + self.manners.whole)
        stream = None
        if request.stream and not counting:
            stream = ClientStream(response, exchange, self._clock, self.manners.ping)
        try:
            outcomes = await self._attempts(routes, exchange, asked, response, stream)
            self._conclude(outcomes, exchange, asked, response, stream)
        except CancelledError:
            if exchange.interrupted is None:
                raise  # the client has gone
            self._fail(exchange.interrupted, exchange, stream)
        except RelayError as error:
            self._fail(error, exchange, stream)
        finally:
            if stream is not None:
                stream.close()

    async def _attempts(
        self,
        routes: Sequence[Route],
        exchange: Exchange,
        asked: Asked,
        response: IClientResponse,
        stream: ClientStream | None,
    ) -> tuple[Outcome, ...]:
        plan = attempts(routes, self.manners.bounds, self._clock.seconds())
        try:
            route = next(plan)
            while True:
                attempt = Attempt(route, self.upstreams[route.provider], exchange, self._clock, self._wall)
                route = plan.send(await attempt.run(asked, response, stream))
        except StopIteration as done:
            outcomes: tuple[Outcome, ...] = done.value
            return outcomes

    def _conclude(
        self,
        outcomes: tuple[Outcome, ...],
        exchange: Exchange,
        asked: Asked,
        response: IClientResponse,
        stream: ClientStream | None,
    ) -> None:
        """Answer with the most useful failure, if no attempt has answered."""
        last = outcomes[-1]
        if last.begun:
            return
        chosen = last if last.verdict is Verdict.CLIENT else most_useful(outcomes)
        exchange.because(_attempts_in_words(outcomes))
        if chosen is None or chosen.complaint is None:
            raise _all_failed(outcomes)
        complaint = chosen.complaint
        if asked.counting and complaint.status in NO_COUNTING:
            cannot_count(self.upstreams[chosen.route.provider], asked.request, response)
        elif stream is not None and stream.opened:
            stream.fail(complaint.kind, complaint.message)
        else:
            response.whole(complaint.status, _headers_of(complaint), complaint.rendered(exchange.id))

    def _fail(self, error: RelayError, exchange: Exchange, stream: ClientStream | None) -> None:
        """Say it in the stream if there is one; else leave it to the web to say."""
        exchange.because(error.message)
        if stream is None or not stream.opened:
            raise error
        stream.fail(error.kind, error.message)


def _headers_of(complaint: Complaint) -> Pairs:
    if complaint.body is not None and any(name == b"content-type" for name, _ in complaint.headers):
        return complaint.headers
    return (*complaint.headers, (b"content-type", b"application/json"))


def _attempts_in_words(outcomes: Sequence[Outcome]) -> str:
    return "; ".join(f"{o.route.provider}: {o.reason}" for o in outcomes)


def _all_failed(outcomes: Sequence[Outcome]) -> AllFailed:
    """Return the error that lists every attempt; a gateway timeout if all of them were."""
    words = (
        f"No provider answered ({_attempts_in_words(outcomes)}); try again, or check their base_url and keys."
    )
    error = AllFailed(words)
    if all(isinstance(o.error, (FirstByteTimeout, Stalled)) for o in outcomes):
        error.status, error.kind = FirstByteTimeout.status, FirstByteTimeout.kind
    return error

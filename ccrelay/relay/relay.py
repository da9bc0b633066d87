"""Drives the plan of one request: attempt by attempt, until there is an answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from ccrelay.errors import Forbidden, RelayError
from ccrelay.policy.moment import Moment
from ccrelay.policy.plan import Pause, attempts, most_useful
from ccrelay.policy.verdict import Verdict
from ccrelay.relay.attempt import Asked, Attempt
from ccrelay.relay.client_stream import ClientStream
from ccrelay.relay.counting import cannot_count
from ccrelay.relay.refusals import all_failed, attempts_in_words, honest_headers, nothing_to_try
from ccrelay.relay.selecting import select

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from ccrelay.policy.outcome import Outcome
    from ccrelay.policy.plan import Bounds
    from ccrelay.policy.selection import Selection
    from ccrelay.relay.exchange import Exchange
    from ccrelay.relay.interfaces import IClientResponse
    from ccrelay.relay.upstreams import Upstreams
    from ccrelay.wire.http import Pairs
    from ccrelay.wire.request import MessagesRequest


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
        client, model = exchange.client, request.model
        if not client.may_ask(model):
            msg = f"This client may not ask for the model {model}, only for: {', '.join(client.models)}."
            raise Forbidden(msg)
        started = self._now()
        exchange.strategy = self.upstreams.routing.name
        selection = select(self.upstreams, exchange, request, headers, started.wall, counting=counting)
        lead = selection.lead(started.wall) if counting else None
        if lead is not None:
            upstream = self.upstreams[lead.name]
            if not upstream.provider.capabilities.counts_tokens:
                return cannot_count(upstream, request, response)
        asked = Asked(request, headers, query, counting, started.clock + self.manners.whole)
        stream = None
        if request.stream and not counting:
            stream = ClientStream(response, exchange, self._clock, self.manners.ping)
        try:
            outcomes = await self._attempts(selection, started, exchange, asked, response, stream)
            self._conclude(outcomes, selection, exchange, asked, response, stream)
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
        selection: Selection,
        started: Moment,
        exchange: Exchange,
        asked: Asked,
        response: IClientResponse,
        stream: ClientStream | None,
    ) -> tuple[Outcome, ...]:
        routing = self.upstreams.routing
        bounds = self.manners.bounds
        if asked.counting:
            bounds = replace(bounds, longest_wait=0.0)  # an estimate is there before a repeat would be
        plan = attempts(selection, bounds, routing.budget, routing.chance, started)
        try:
            step = next(plan)
            while True:
                if isinstance(step, Pause):
                    await deferLater(self._clock, step.seconds)
                    step = plan.send(self._now())
                else:
                    upstream = self.upstreams[step.route.provider]
                    attempt = Attempt(step, upstream, exchange, self._clock, self._wall)
                    step = plan.send(await attempt.run(asked, response, stream))
        except StopIteration as done:
            outcomes: tuple[Outcome, ...] = done.value
            return outcomes

    def _conclude(
        self,
        outcomes: tuple[Outcome, ...],
        selection: Selection,
        exchange: Exchange,
        asked: Asked,
        response: IClientResponse,
        stream: ClientStream | None,
    ) -> None:
        """Answer with the most useful failure, if no attempt has answered."""
        now = self._wall()
        if not outcomes:
            raise nothing_to_try(selection, exchange.client, now)
        last = outcomes[-1]
        if last.begun:
            return
        chosen = last if last.verdict is Verdict.CLIENT else most_useful(outcomes)
        if chosen is None and all(o.verdict is Verdict.UNFIT for o in outcomes):
            raise all_failed(outcomes)
        exchange.because(attempts_in_words(outcomes))
        if chosen is None or chosen.complaint is None:
            raise all_failed(outcomes)
        complaint = chosen.complaint
        exchange.answered, exchange.route = _place(outcomes, chosen), chosen.route
        upstream = self.upstreams[chosen.route.provider]
        if asked.counting and complaint.status in upstream.provider.capabilities.uncountable:
            cannot_count(upstream, asked.request, response)
        elif stream is not None and stream.opened:
            stream.fail_with(complaint.rendered(exchange.id))
        else:
            frees = selection.frees_at(now, but=chosen.route.key) if chosen.limited else None
            fields = honest_headers(complaint, frees, now)
            response.whole(complaint.status, fields, complaint.rendered(exchange.id))

    def _fail(self, error: RelayError, exchange: Exchange, stream: ClientStream | None) -> None:
        """Say it in the stream if there is one; else leave it to the web to say."""
        exchange.because(error.message)
        if stream is None or not stream.opened:
            raise error
        stream.fail(error.kind, error.message)

    def _now(self) -> Moment:
        return Moment(self._clock.seconds(), self._wall())


def _place(outcomes: tuple[Outcome, ...], chosen: Outcome) -> int:
    return next(place for place, outcome in enumerate(outcomes) if outcome is chosen)

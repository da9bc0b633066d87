"""Where a request would go, and why: the dry run of a selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ccrelay.policy.breaker import State
from ccrelay.policy.dry_run import DryRouting
from ccrelay.relay.exchange import Exchange
from ccrelay.relay.selecting import conversation_of, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ccrelay.policy.affinity import Place
    from ccrelay.policy.backend import Way
    from ccrelay.policy.client import Client
    from ccrelay.policy.keys import Key
    from ccrelay.policy.prices import Demand
    from ccrelay.policy.route import Found
    from ccrelay.policy.routing import Routing
    from ccrelay.relay.upstreams import Upstream, Upstreams
    from ccrelay.wire.http import Pairs
    from ccrelay.wire.request import MessagesRequest

_NOTES: Final = {
    "shuffle": "shuffle deals the next card by chance; the order behind it is that of the deck as it lies",
    "weighted_failover": "weighted_failover draws among equals by weight; this is the likeliest order",
    "latency_based": (
        "latency_based lets one new conversation in twenty begin elsewhere, "
        "and each provider that is not measured yet have one"
    ),
}
_STANDINGS: Final = {
    "invalid": "invalid", "exhausted": "exhausted", "waiting": "told to wait", "full": "at its limit",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A provider and one of its keys, in the order in which they would be asked.

    @ivar type: the provider's kind; C{model}: what it calls the model.
    @ivar key: its name; None for the client's own login.
    @ivar reason: why it stands here.
    """

    rank: int
    provider: str
    type: str
    model: str
    key: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A provider that would not be asked, and why."""

    provider: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explained:
    """
    What would become of a request.

    @ivar place: where its conversation is, as C{provider/key}; None for a new one.
    """

    model: str
    strategy: str
    place: str | None
    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def explain(
    upstreams: Upstreams,
    client: Client,
    request: MessagesRequest,
    headers: Pairs,
    now: float,
    disabled: tuple[str, ...] = (),
) -> Explained:
    """
    Return where a request of a client would go.

    @param headers: the client's: they may name its session.
    @param now: seconds since the epoch.
    @param disabled: the names of providers that are configured and not used.
    """
    routing = DryRouting(upstreams.routing)
    exchange = Exchange("-", "POST", "/v1/messages", now, ())
    exchange.client = client
    conversation = conversation_of(exchange, request, headers)
    places = routing.affinity.peek(conversation, now) if routing.affinity is not None else ()
    notes = [_NOTES[routing.name]] if routing.name in _NOTES else []
    found: list[Found] = []
    demand = None
    if client.may_ask(request.model):
        selection = select(upstreams, exchange, request, headers, now, counting=False, routing=routing)
        demand = selection.demand
        found = list(selection.preview(now))
    else:
        notes.append(f"this client may ask only for: {', '.join(client.models)}")
    if request.thread:
        notes.append("it goes on with what a provider keeps, so nobody else can take it")
    why = _Why(routing, places, demand, now)
    seen: set[str] = set()
    candidates = []
    for rank, one in enumerate(found, 1):
        kind = upstreams[one.way.name].provider.kind
        key = one.key.name if one.key is not None else None
        reason = why.candidate(one, again=one.way.name in seen)
        candidates.append(Candidate(rank, one.way.name, kind, one.way.model, key, reason))
        seen.add(one.way.name)
    left_out = [LeftOut(name, "disabled") for name in disabled]
    for upstream in upstreams.listed:
        if upstream.name not in seen:
            reason = _left_out(upstream, client, request, routing, now)
            left_out.append(LeftOut(upstream.name, reason))
    place = None if not places else f"{places[-1].provider}/{places[-1].key}"
    return Explained(request.model, routing.name, place, tuple(candidates), tuple(left_out), tuple(notes))


class _Why:
    """Says why a candidate stands where it does."""

    def __init__(
        self, routing: Routing, places: tuple[Place, ...], demand: Demand | None, now: float
    ) -> None:
        self._routing = routing
        self._places = places
        self._demand = demand
        self._now = now

    def candidate(self, found: Found, *, again: bool) -> str:
        """@param again: whether the same provider stands before it."""
        way = found.way
        if way.own:
            return "the client's own login goes before keys"
        if found.early:
            due = self._routing.breakers.due(way.name, way.model, self._now) - self._now
            return f"as a last resort: its circuit is open for {due:.0f} s yet"
        if again:
            return "its next key"
        for place in self._places:
            if way.name == place.provider and not way.backend.draining:
                here = place is self._places[-1]
                return (
                    "the conversation is here, and its prompt cache with it"
                    if here
                    else "the conversation returns here"
                )
        if way.backend.draining and not any(way.name == place.provider for place in self._places):
            return "draining: it gets new conversations only where nobody else can serve"
        if self._routing.breakers.state(way.name, way.model, self._now) is State.HALF_OPEN:
            return f"{self._by_strategy(way)}; half open, so some requests try it"
        return self._by_strategy(way)

    def _by_strategy(self, way: Way) -> str:
        said: Mapping[str, str] = {
            "failover": f"priority {way.priority}",
            "weighted_failover": f"priority {way.priority}, weight {way.weight}",
            "round_robin": "its turn comes so",
            "weighted_round_robin": f"its turn comes so, with weight {way.weight}",
            "shuffle": "as the cards lie",
            "least_loaded": f"{way.in_flight} attempts in flight",
            "latency_based": "not measured yet"
            if way.first_byte is None
            else f"first byte after {way.first_byte:.2f} s on average",
            "cost_based": self._cost(way),
            "model_based": "as routing.model_mapping has it for this model",
        }
        return said[self._routing.name]

    def _cost(self, way: Way) -> str:
        price = way.price
        if price is None or self._demand is None:
            return "its price is not known"
        return f"${price.of(self._demand):.4f} for a request of this size"


def _left_out(
    upstream: Upstream,
    client: Client,
    request: MessagesRequest,
    routing: Routing,
    now: float,
) -> str:
    backend = upstream.backend
    name, model = upstream.name, backend.model_name(request.model)
    if not client.may_use(name):
        return "this client may not use it"
    if not client.may_ask(request.model):
        return "this client may not ask for the model"
    if not backend.pool.keys:
        return "it takes nothing but clients' own logins"
    if not client.pooled:
        return "it is for pooled keys, and this client has its own login"
    if backend.models and not backend.names(request.model, model):
        return "its models are listed, and this is none of them"
    if request.thread:
        return "what the request goes on with is kept elsewhere"
    if not routing.breakers.admits(name, model, now):
        due = routing.breakers.due(name, model, now) - now
        return f"its circuit is open for {due:.0f} s yet" if due > 0 else "its circuit is being tried out"
    return "no usable key: " + "; ".join(_keys(backend.pool.keys, model, now))


def _keys(keys: tuple[Key, ...], model: str, now: float) -> Iterator[str]:
    for key in keys:
        state = key.state(now)
        until = state.until
        standing = _STANDINGS.get(state.standing, "not enough of its limit is left")
        for wait in state.waits:
            if wait.model == model:
                standing, until = f"{wait.why} for this model", wait.until
        yield f"{key.name}: {standing}" + ("" if until is None else f" for {until - now:.0f} s")

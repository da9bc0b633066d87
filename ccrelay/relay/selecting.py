"""From a client's request to the choice of where it may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccrelay.policy.conversation import Conversation, named_session, opening_session
from ccrelay.policy.prices import Demand
from ccrelay.policy.selection import Selection
from ccrelay.policy.ways import Ways
from ccrelay.wire.weight import weight

if TYPE_CHECKING:
    from ccrelay.policy.routing import Routing
    from ccrelay.relay.exchange import Exchange
    from ccrelay.relay.upstreams import Upstreams
    from ccrelay.wire.http import Pairs
    from ccrelay.wire.request import MessagesRequest


_CACHED: Final = b'"cache_control"'


def conversation_of(exchange: Exchange, request: MessagesRequest, headers: Pairs) -> Conversation:
    """Return the conversation that a request belongs to: by the client's name for it, else by its opening."""
    session = named_session(headers, request.session) or opening_session(*request.opening())
    return Conversation(exchange.client.name, session, request.model)


def select(
    upstreams: Upstreams,
    exchange: Exchange,
    request: MessagesRequest,
    headers: Pairs,
    now: float,
    *,
    counting: bool,
    routing: Routing | None = None,
) -> Selection:
    """
    Return the choice of where a request may go.

    @param routing: what decides; None for that of C{upstreams}.
    @param counting: whether only its tokens are to be counted: then only
        providers count that can, unless the first choice cannot.
    """
    routing = routing or upstreams.routing
    exchange.conversation = conversation = conversation_of(exchange, request, headers)
    glance = request.glance
    exchange.weight = len(request.body) if glance is not None and not glance.media else weight(request.body)
    ways = upstreams.ways(request.model, exchange.client, conversation.digest.hex(), exchange.weight)
    pinned = False
    if request.thread:
        known = next(reversed(routing.places_of(conversation, (), now)), None)
        account = upstreams.account.name if upstreams.account is not None else ""
        home = known.provider if known is not None else account
        ways = Ways.of([way for way in ways if way.name == home])
        pinned = known is not None
    demand = _demand(ways, request.model, request.body)
    selection = Selection(routing, ways, demand, conversation, now, counting=counting, pinned=pinned)
    if counting:
        lead = selection.lead(now)
        if lead is not None and upstreams[lead.name].provider.capabilities.counts_tokens:
            able = [way for way in ways if upstreams[way.name].provider.capabilities.counts_tokens]
            return Selection(routing, able, demand, conversation, now, counting=True, pinned=pinned)
    return selection


def _demand(ways: Ways, model: str, body: bytes) -> Demand:
    """Return what a new conversation is expected to want, as far as a price depends on it."""
    ask = next((way.ask for way in ways if not way.own), None)
    if ask is None or len(ways) == 1:  # nobody compares prices
        return Demand(model)
    # Whoever marks what is to be cached begins by writing all of it into the cache.
    if _CACHED in body:
        return Demand(model, output=ask.output, cache_write=ask.input)
    return Demand(model, ask.input, ask.output)

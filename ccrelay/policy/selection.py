"""The choice of where one request goes, and goes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccrelay.policy.breaker import State
from ccrelay.policy.route import Found, Route
from ccrelay.policy.tries import Try
from ccrelay.policy.verdict import Verdict
from ccrelay.policy.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ccrelay.policy.backend import Way
    from ccrelay.policy.conversation import Conversation
    from ccrelay.policy.keys import Key
    from ccrelay.policy.outcome import Outcome
    from ccrelay.policy.prices import Demand
    from ccrelay.policy.routing import Routing


class Selection:
    """
    The ways of one request in the order they are gone: its conversation's place, then as the strategy says.

    The client's own bearer goes before all pooled keys.  Each choice is made
    when it is needed, by what is true then: breakers and keys may have
    changed since the request came.
    """

    def __init__(
        self,
        routing: Routing,
        ways: Ways | Sequence[Way],
        demand: Demand,
        conversation: Conversation | None,
        now: float,
        *,
        counting: bool = False,
        pinned: bool = False,
    ) -> None:
        """
        @param ways: all that the request may go, in the order of the file.
        @param conversation: what keeps it at its place; None where nothing does.
        @param counting: whether only tokens are counted, which judges nobody and moves nothing.
        @param pinned: whether it may go nowhere but to its conversation's place.
        """
        self._routing = routing
        found = ways if isinstance(ways, Ways) else Ways.of(ways)
        self._own, self._ways, self._named = found.own, found.pooled, found.named
        self.demand = demand
        self._conversation = conversation
        self._counting = counting
        self._asked_at = now
        self._tried: set[tuple[str, int]] = set()
        self._left: set[Way] = set()
        self._hopeless: set[int] = set()
        self._ordered: tuple[Way, ...] | None = None
        self._preferred: str | None = None
        self._places = routing.places_of(conversation, ways, now)
        self._new = conversation is not None and routing.affinity is not None and not self._places
        if pinned and self._places:
            only = Ways([], [way for way in self._ways if way.name == self._places[-1].provider])
            self._ways, self._named, self._pin = only.pooled, only.named, self._places[-1].key
        else:
            self._pin = ""

    @property
    def empty(self) -> bool:
        """Whether no provider could take the request, however well all were."""
        return not self._own and not self._ways

    def next(self, now: float) -> Try | None:
        """
        Return the next try at a place that was not tried, or None if there is none.

        Where only providers are left whose breakers are open, the one that is
        due soonest is asked, through its half-open gate.
        """
        found = self._find(now)
        return None if found is None else self._taken(found.way, found.key, now, early=found.early)

    def lead(self, now: float) -> Way | None:
        """Return the way that L{next} would take."""
        found = self._find(now)
        return None if found is None else found.way

    def has_next(self, now: float) -> bool:
        """Return whether L{next} would return a try."""
        return self._find(now) is not None

    def preview(self, now: float) -> Iterator[Found]:
        """Yield what L{next} would take, one after the other, should keys fail; nothing is taken."""
        while (found := self._find(now)) is not None:
            self._tried.add((found.way.name, id(found.key)))
            yield found

    def failed(self, outcome: Outcome) -> None:
        """
        Take note of an attempt without an answer: unless a key was at fault, its provider is left.

        A key that is not to be asked again, and of which nobody said until when, is no hope either.
        """
        if outcome.should_retry is False and outcome.retry_after is None:
            self._hopeless.add(id(outcome.route.key))
        if outcome.verdict is not Verdict.KEY:
            self._left.update(way for way in (*self._own, *self._ways) if way.name == outcome.route.provider)

    def ready_at(self, outcome: Outcome, now: float) -> float | None:
        """
        Return when a route may be asked once more, or None if not by itself.

        Never while its breakers are not closed: what is failing is not asked twice.
        """
        breakers, route = self._routing.breakers, outcome.route
        if breakers.state(route.provider, route.model, now) is not State.CLOSED:
            return None
        return now if route.key is None else route.key.frees_at(now, self._way(route).ask)

    def again(self, outcome: Outcome, now: float) -> Try | None:
        """Return another try of a route, or None if it may not be asked now."""
        ready = self.ready_at(outcome, now)
        if ready is None or ready > now:
            return None
        return self._taken(self._way(outcome.route), outcome.route.key, now, repeat=True)

    def frees_at(self, now: float, *, but: Key | None = None) -> float | None:
        """
        Return when the soonest key that could serve the request may be used; None if none will by itself.

        Providers that have failed this request are no hope.

        @param but: a key that does not count.
        """
        due = self._routing.breakers.due
        times = [
            max(at, due(way.name, way.model, now))
            for way in self._ways
            if way not in self._left
            for key in way.backend.pool.keys
            if key is not but and id(key) not in self._hopeless and self._pin in {"", key.name}
            if (at := key.frees_at(now, way.ask)) is not None
        ]
        return min(times, default=None)

    def forbidden(self, now: float) -> bool:
        """Return whether no key may use this model, and nothing else speaks against any that is valid."""
        keys = [(key, way.ask.model) for way in self._ways for key in way.backend.pool.keys if key.valid]
        return bool(keys) and all(key.forbidden(model, now) for key, model in keys)

    def due(self, now: float) -> float:
        """Return when a breaker lets something through; C{now} where none keeps anything back."""
        breakers = self._routing.breakers
        times = [breakers.due(way.name, way.model, now) for way in (*self._own, *self._ways)]
        return min(times, default=now)

    def usable(self, now: float) -> bool:
        """Return whether any key could pay, whatever the breakers say."""
        return bool(self._own) or any(self._untried(way, "", now) for way in self._ways)

    def _way(self, route: Route) -> Way:
        """Return the way that a route is of."""
        ways = self._own if route.key is None else self._ways
        return next(way for way in ways if way.name == route.provider)

    def _find(self, now: float) -> Found | None:
        admits = self._routing.breakers.admits
        for way, key_name in self._in_order(now):
            if way in self._left or not admits(way.name, way.model, now):
                continue
            if way.own:
                if (way.name, id(None)) not in self._tried:
                    return Found(way, None)
                continue
            key = self._untried(way, key_name, now)
            if key is not None:
                return Found(way, key)
        return self._last_resort(now)

    def _last_resort(self, now: float) -> Found | None:
        breakers = self._routing.breakers
        best: tuple[float, Found] | None = None
        for way, key_name in self._in_order(now):
            if way in self._left or not breakers.admits(way.name, way.model, now, early=True):
                continue
            key = None if way.own else self._untried(way, key_name, now)
            if (way.name, id(None)) in self._tried if way.own else key is None:
                continue
            due = breakers.due(way.name, way.model, now)
            if best is None or due < best[0]:
                best = due, Found(way, key, early=True)
        return None if best is None else best[1]

    def _in_order(self, now: float) -> Iterator[tuple[Way, str]]:
        """Yield each way with the name of the key to be used there, if one is meant."""
        for way in self._own:
            yield way, ""
        for place in self._places:
            there = self._named(place.provider)
            if there is not None:
                yield there, place.key
        for way in self._by_strategy(now):
            yield way, ""

    def _by_strategy(self, now: float) -> tuple[Way, ...]:
        """
        Return all ways as the strategy orders them, which it is asked for once, and not while a place serves.

        A strategy that prefers somebody is asked about all, so that a
        conversation can return there; one that shares out, about those that
        could serve, so that the shares come out even.  Who is draining comes last.
        """
        if self._ordered is not None:
            return self._ordered
        strategy = self._routing.strategy
        ways = [way for way in self._ways if not way.backend.draining]
        if len(ways) < 2:  # noqa: PLR2004  nothing to order
            self._ordered = tuple(ways)
        elif self._counting:
            self._ordered = strategy.preview(ways, self.demand)
        elif strategy.returning:
            self._ordered = strategy.order(ways, self.demand)
            self._preferred = self._ordered[0].name
        else:
            admits = self._routing.breakers.admits
            serving = [
                way
                for way in ways
                if admits(way.name, way.model, now) and self._untried(way, "", now) is not None
            ]
            others = [way for way in ways if way not in serving]
            self._ordered = (*(strategy.order(serving, self.demand) if serving else ()), *others)
        self._ordered += tuple(way for way in self._ways if way.backend.draining)
        return self._ordered

    def _untried(self, way: Way, name: str, now: float) -> Key | None:
        """Return the best key of a provider that may be used and was not tried; one of that name first."""
        pool = way.backend.pool
        ask = None if self._counting else way.ask
        name = self._pin or name
        if name:
            key = pool.named(name)
            if key is not None and key.usable(now, ask) and (way.name, id(key)) not in self._tried:
                return key
            if self._pin:
                return None
        routing = self._routing
        keys: Iterable[Key]
        if self._counting:
            keys = sorted((key for key in pool.keys if key.usable(now)), key=lambda key: -key.priority)
        elif self._new and not self._tried and pool.strategy == "least_loaded":
            return routing.place_for(self._conversation, way, now)
        else:
            tried_here = sum(provider == way.name for provider, _ in self._tried)
            keys = pool.order(now, way.ask, routing.chance, most=tried_here + 1)
        for key in keys:
            if (way.name, id(key)) not in self._tried:
                return key
        return None

    def _taken(
        self, way: Way, key: Key | None, now: float, *, early: bool = False, repeat: bool = False
    ) -> Try | None:
        routing = self._routing
        route = Route(way.name, key, way.model, way.mapped)
        if self._counting:
            self._tried.add((way.name, id(key)))
            return Try(way, route, repeat=repeat, routing=routing, served=_nobody)
        admission = routing.breakers.enter(way.name, way.model, now, early=early)
        if admission is None:
            return None
        if self._new and key is not None and not self._tried:
            self._settle(route, now)
        self._tried.add((way.name, id(key)))
        lease = None if key is None else key.reserve(way.ask, now)
        return Try(
            way, route, admission=admission, lease=lease, repeat=repeat,
            routing=routing, served=self._settle,
        )  # fmt: skip

    def _settle(self, route: Route, now: float) -> None:
        """Let the conversation stay where it is served."""
        affinity = self._routing.affinity
        if affinity is None or self._conversation is None or route.key is None:
            return
        moved = affinity.settle(
            self._conversation, route.provider, route.key.name, now,
            asked=self._asked_at, preferred=self._preferred,
        )  # fmt: skip
        if moved is not None:
            self._asked_at = now  # where this very request goes on to is news


def _nobody(_what: object, _now: float) -> None:
    """Nobody is to know."""

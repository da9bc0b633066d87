"""A stage for decisions: providers, keys, breakers and places, all of them real, and numbers for time."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from ccrelay.policy.affinity import Affinity
from ccrelay.policy.allowance import KeyLimits
from ccrelay.policy.ask import Ask
from ccrelay.policy.backend import Backend, Way
from ccrelay.policy.breaker import Thresholds
from ccrelay.policy.breakers import Breakers
from ccrelay.policy.budget import RetryBudget
from ccrelay.policy.conversation import Conversation
from ccrelay.policy.estimates import Estimates
from ccrelay.policy.keys import Key
from ccrelay.policy.moment import Moment
from ccrelay.policy.outcome import Outcome
from ccrelay.policy.pool import KeyPool, Pooling
from ccrelay.policy.prices import Demand
from ccrelay.policy.routing import Routing
from ccrelay.policy.selection import Selection
from ccrelay.policy.strategy import strategy_of
from ccrelay.policy.tries import Try
from ccrelay.policy.verdict import Verdict
from ccrelay.wire.secret import Secret

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
OPUS, HAIKU = "claude-opus-5", "claude-haiku-4-5"


def at(seconds: float) -> Moment:
    """Return the moment so many seconds after a request came."""
    return Moment(100.0 + seconds, NOW + seconds)


class Stage:
    """
    Providers with single letters for names, and all that is remembered between requests.

    @ivar chance: a random number, the same each time.
    """

    def __init__(
        self,
        layout: str = "a1 a2 b1",
        *,
        strategy: str = "failover",
        thresholds: Thresholds | None = None,
        limits: KeyLimits | None = None,
        pooling: Pooling = "least_loaded",
        affinity: bool = True,
        budget: RetryBudget | None = None,
        seed: int = 1,
    ) -> None:
        """@param layout: the names of the keys, each with its provider's letter; that alone has no keys."""
        self.chance = Random(seed).random
        names = layout.split()
        providers = list(dict.fromkeys(name[0] for name in names))
        self.keys = {
            name: Key(name, Secret(f"sk-{name}-0123456789"), limits=limits or KeyLimits())
            for name in names
            if name[1:]
        }
        self.backends = {
            letter: Backend(letter, KeyPool([k for k in self.keys.values() if k.name[0] == letter], pooling))
            for letter in providers
        }
        chosen = strategy_of(strategy, self.chance, {}, None)
        self.breakers = Breakers(providers, thresholds or Thresholds(), lambda: 0.0)
        self.affinity = Affinity(3600.0, 60.0, returning=chosen.returning)
        self.routing = Routing(
            strategy, chosen, self.breakers, self.affinity if affinity else None,
            budget or RetryBudget(), Estimates(), self.chance,
        )  # fmt: skip

    def ways(self, model: str = OPUS, own: str = "") -> list[Way]:
        """Return the ways to all providers; to those of C{own} with the client's bearer too."""
        backends = self.backends.values()
        bearers = [Way(backend, model, own=True) for backend in backends if backend.name in own]
        asked = [(b, Ask(b.model_name(model), 100, 50)) for b in backends if b.pool.keys]
        return bearers + [Way(backend, model, ask) for backend, ask in asked]

    def selection(
        self, session: str = "s", now: float = NOW, model: str = OPUS, own: str = "", **what: bool
    ) -> Selection:
        """Return the choice of where a request goes; with C{session} empty it belongs to no conversation."""
        conversation = conversation_of(session, model) if session else None
        return Selection(self.routing, self.ways(model, own), Demand(model), conversation, now, **what)

    def next(self, session: str = "s", now: float = NOW, **what: bool | str) -> Try | None:
        """Return the first try of a new request."""
        return self.selection(session, now, **what).next(now)

    def trying(self, session: str = "s", now: float = NOW, **what: bool | str) -> Try:
        """Return the first try of a new request, which there must be."""
        trying = self.next(session, now, **what)
        assert trying is not None
        return trying

    def served(self, session: str, name: str, now: float = NOW) -> None:
        """Let a conversation be served with a key of that name."""
        self.affinity.settle(conversation_of(session), name[0], name, now)

    def place(self, session: str = "s", now: float = NOW) -> str:
        """Return the name of the key that a conversation has its place on; empty if it has none."""
        found = self.affinity.place(conversation_of(session), now)
        return "" if found is None else found.key

    def open(self, provider: str, now: float = NOW) -> None:
        """Open the breaker of a provider."""
        for _ in range(10):
            self.breakers.of(provider).probe_failed(now)

    def held(self) -> dict[str, int]:
        """Return what requests still hold: places of breakers, attempts in flight, leases of keys."""
        found = {f"busy {name}": backend.traffic.in_flight for name, backend in self.backends.items()}
        found |= {f"leases {name}": key.state(NOW).in_flight for name, key in self.keys.items()}
        kept = [*self.breakers._providers.items(), *self.breakers._models.items()]
        found |= {f"places {name}": breaker._out for name, breaker in kept}
        return {what: number for what, number in found.items() if number}

    def untried(self, outcomes: Iterable[Outcome], now: Moment) -> list[str]:
        """Return the keys that could serve, of providers that have not failed these attempts."""
        done = list(outcomes)
        left = {o.route.provider for o in done if o.verdict is not Verdict.KEY}
        tried = {o.route.key for o in done}
        return [
            key.name
            for way in self.ways()
            if way.name not in left and self.breakers.admits(way.name, way.model, now.wall)
            for key in way.backend.pool.keys
            if key not in tried and key.usable(now.wall, way.ask)
        ]


def conversation_of(session: str, model: str = OPUS) -> Conversation:
    """Return a client's conversation."""
    return Conversation("", session, model)

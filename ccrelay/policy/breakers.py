"""The breakers of all providers, and those of their models for overload."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ccrelay.policy.admission import Admission
from ccrelay.policy.breaker import Breaker, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ccrelay.policy.breaker import Thresholds


def _nobody(_provider: str, _model: str, _breaker: Breaker) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How a breaker stands, for display.

    @ivar model: empty for the breaker of the whole provider.
    @ivar due: when it lets something through, seconds since the epoch.
    @ivar failures: of requests, in a row.
    @ivar degraded: whether health probes fail.
    """

    provider: str
    model: str
    state: State
    due: float
    failures: int
    degraded: bool


class Breakers:
    """
    A breaker for each provider, and one for each model that a provider was asked for.

    Models are what clients name, so the breakers of the least recently asked are forgotten.
    """

    def __init__(
        self,
        providers: Iterable[str],
        thresholds: Thresholds,
        chance: Callable[[], float],
        most_models: int = 1000,
        watch: Callable[[str, str, Breaker], None] = _nobody,
    ) -> None:
        """
        @param providers: their names.
        @param thresholds: of every breaker.
        @param chance: returns a random number from 0 to 1, 1 excluded.
        @param most_models: of how many models, over all providers, breakers are kept.
        @param watch: told, with provider and model, of each breaker that changed its state.
        """
        self._thresholds = thresholds
        self._chance = chance
        self._most_models = most_models
        self._watch = watch
        self._providers = {name: self._made(name, "") for name in providers}
        self._models: OrderedDict[tuple[str, str], Breaker] = OrderedDict()

    def of(self, provider: str) -> Breaker:
        """
        Return the breaker of a provider.

        @raise KeyError: if there is no such provider.
        """
        return self._providers[provider]

    def of_model(self, provider: str, model: str) -> Breaker:
        """Return the breaker of a provider's model, made if there is none."""
        breaker = self._known(provider, model)
        if breaker is None:
            breaker = self._models[provider, model] = self._made(provider, model)
            self._bound()
        return breaker

    def admits(self, provider: str, model: str, now: float, *, early: bool = False) -> bool:
        """
        Return whether L{enter} would admit a request; no breaker changes.

        @param model: as the provider calls it.
        @param early: see L{Breaker.enter}.
        @raise KeyError: if there is no such provider.
        """
        if not self._providers[provider].admits(now, early=early):
            return False
        breaker = self._known(provider, model)
        return breaker is None or breaker.admits(now, early=early)

    def state(self, provider: str, model: str, now: float) -> State:
        """Return the state of a provider's breaker or, while that is closed, of its model's."""
        whole = self._providers[provider].state(now)
        breaker = self._known(provider, model)
        return breaker.state(now) if whole is State.CLOSED and breaker is not None else whole

    def due(self, provider: str, model: str, now: float) -> float:
        """Return when a request would be admitted, seconds since the epoch."""
        due = self._providers[provider].due(now)
        breaker = self._known(provider, model)
        return due if breaker is None else max(due, breaker.due(now))

    def enter(self, provider: str, model: str, now: float, *, early: bool = False) -> Admission | None:
        """
        Admit a request, which ends exactly once, or return None; then neither breaker has changed.

        @param model: as the provider calls it.
        @param early: see L{Breaker.enter}.
        @raise KeyError: if there is no such provider.
        """
        provider_breaker, model_breaker = self._providers[provider], self.of_model(provider, model)
        if not model_breaker.admits(now, early=early):
            return None
        whole = provider_breaker.enter(now, early=early)
        if whole is None:
            return None
        part = model_breaker.enter(now, early=early)
        return None if part is None else Admission(whole, part)

    def adopt(self, old: Breakers, unchanged: Collection[str] | None = None) -> None:
        """
        Go on with the breakers of an earlier configuration, before any request was admitted here.

        They are shared with it from now on, so that requests still running on it count here too.

        @param unchanged: the providers that keep theirs; None for all that are in both.  Who was given
            another C{base_url} deserves to be asked afresh.
        """
        kept = self._providers.keys() & old._providers.keys()
        if unchanged is not None:
            kept &= set(unchanged)
        for name in kept:
            self._providers[name] = old.of(name)
        for key, breaker in old._models.items():
            if key[0] in kept:
                self._models[key] = breaker
        self._bound()
        for adopted in (*(self._providers[name] for name in kept), *self._models.values()):
            adopted.adapt(self._thresholds)

    def reset(self, provider: str) -> None:
        """
        Close the breakers of a provider and of its models, and forget what led to their state.

        @raise KeyError: if there is no such provider.
        """
        self._providers[provider].reset()
        for (name, _), breaker in self._models.items():
            if name == provider:
                breaker.reset()

    def snapshot(self, now: float) -> tuple[Standing, ...]:
        """Return how all providers stand, and the models that failed lately."""
        named = [((name, ""), breaker) for name, breaker in self._providers.items()]
        named += [(key, b) for key, b in self._models.items() if b.failures or b.state(now) != State.CLOSED]
        return tuple(
            Standing(*key, breaker.state(now), breaker.due(now), breaker.failures, breaker.degraded)
            for key, breaker in named
        )

    def _made(self, provider: str, model: str) -> Breaker:
        return Breaker(self._thresholds, self._chance, partial(self._watch, provider, model))

    def _known(self, provider: str, model: str) -> Breaker | None:
        breaker = self._models.get((provider, model))
        if breaker is not None:
            self._models.move_to_end((provider, model))
        return breaker

    def _bound(self) -> None:
        while len(self._models) > self._most_models:
            self._models.popitem(last=False)

"""Builds what decides where requests go, and lets a new configuration go on with what the old one knew."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from ccrelay.config.prices import shipped
from ccrelay.policy.affinity import Affinity
from ccrelay.policy.allowance import KeyLimits
from ccrelay.policy.backend import Backend
from ccrelay.policy.breaker import Thresholds
from ccrelay.policy.breakers import Breakers
from ccrelay.policy.budget import RetryBudget
from ccrelay.policy.estimates import Estimates
from ccrelay.policy.keys import Key
from ccrelay.policy.mapping import ModelMapping
from ccrelay.policy.pool import KeyPool
from ccrelay.policy.prices import Price, Prices
from ccrelay.policy.routing import Routing
from ccrelay.policy.strategy import strategy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccrelay.config.model import KeySettings, PriceSettings, ProviderSettings, Settings
    from ccrelay.policy.breaker import Breaker
    from ccrelay.wire.secret import Secret


def thresholds_of(settings: Settings) -> Thresholds:
    """Return when circuits open and close."""
    given, checks = settings.health.circuit_breaker, settings.health.health_check
    return Thresholds(
        given.failure_threshold,
        given.open_duration_ms / 1000,
        given.half_open_probes,
        given.failure_rate,
        given.window_ms / 1000,
        given.minimum_requests,
        checks.unhealthy_after,
    )


def routing_of(
    settings: Settings,
    backends: list[Backend],
    unchanged: set[str],
    chance: Callable[[], float],
    watch: Callable[[str, str, Breaker], None],
    old: Routing | None = None,
) -> Routing:
    """
    Return what decides, going on with all that was remembered.

    @param unchanged: the names of providers that are what they were.
    @param chance: returns a random number, at least 0 and less than 1.
    @param watch: told of each circuit that changes its state.
    """
    routing = settings.routing
    breakers = Breakers([b.name for b in backends], thresholds_of(settings), chance, watch=watch)
    strategy = strategy_of(routing.strategy, chance, routing.model_mapping, routing.default_provider)
    if old is None:
        budget, estimates = RetryBudget(routing.retry_budget), Estimates()
    else:
        budget, estimates = old.budget, old.estimates
        budget.share = routing.retry_budget
        breakers.adopt(old.breakers, unchanged)
        if type(old.strategy) is type(strategy) and routing.strategy != "model_based":
            strategy = old.strategy  # it knows whose turn it is
    affinity = _affinity(settings, None if old is None else old.affinity, returning=strategy.returning)
    return Routing(routing.strategy, strategy, breakers, affinity, budget, estimates, chance)


def _affinity(settings: Settings, old: Affinity | None, *, returning: bool) -> Affinity | None:
    given = settings.routing.affinity
    if not given.enabled:
        return None
    idle, back = given.idle_ms / 1000 or float("inf"), given.return_after_ms / 1000
    if old is None:
        return Affinity(idle, back, given.max_sessions, returning=returning)
    old.idle, old.return_after, old.limit, old.returning = idle, back, given.max_sessions, returning
    return old


def backend_of(provider: ProviderSettings, old: Backend | None, *, passthrough: bool) -> Backend:
    """
    Return a provider as routing sees it.

    @param old: what it was before: a key that it had goes on with all that is held against it.
    """
    known: dict[Secret | None, list[Key]] = {}
    for key in () if old is None else old.pool.keys:
        known.setdefault(key.secret, []).append(key)
    named = zip(provider.keys, key_names(provider), strict=True)
    keys = [_key(given, name, provider, known) for given, name in named]
    token = provider.aws_bearer_token
    if token is not None:
        held = known.get(token)
        keys.append(held.pop(0) if held else Key("bearer", token))
    if not keys and not passthrough:
        keys = [*known.get(None, ())[:1]] or [Key("-")]  # keyless kinds count as one key
    mapping = ModelMapping(provider.model_mapping)
    made = Backend(
        provider.name,
        KeyPool(keys, provider.pooling.strategy),
        mapping,
        provider.priority,
        provider.weight,
        Prices(_table(provider.price), _published(provider.type)),
        provider.models,
        mapping.names(),
        passthrough,
        provider.count_cache_reads,
        mapping.targets(),
    )
    if old is not None:
        made.traffic = old.traffic
        made.pool.adopt(old.pool)
    return made


def _table(given: Mapping[str, PriceSettings]) -> dict[str, Price]:
    return {name: _price(price) for name, price in given.items()}


@cache
def _published(kind: str) -> Mapping[str, Price]:
    return {
        name: replace(_price(price), over=price.over, then=_price(price.then) if price.then else None)
        for name, price in shipped().of(kind).items()
    }


def _price(given: PriceSettings) -> Price:
    return Price(given.input, given.output, given.cache_read, given.cache_write, given.cache_write_1h)


def key_names(provider: ProviderSettings) -> list[str]:
    """Return what the keys are called: each another name, also where two end in the same four characters."""
    names: list[str] = []
    for given in provider.keys:
        name, number = given.name or str(given.key), 1
        while name in names:
            number += 1
            name = f"{given.name or given.key}#{number}"
        names.append(name)
    return names


def _key(
    given: KeySettings, name: str, provider: ProviderSettings, known: dict[Secret | None, list[Key]]
) -> Key:
    limits = KeyLimits(given.rpm_limit, given.itpm_limit, given.otpm_limit, given.tpm_limit)
    counted = provider.count_cache_reads
    held = known.get(given.key)  # one that is written twice is two, as before
    if not held:
        return Key(
            name, given.key, given.priority,
            weight=given.weight, limits=limits, count_cache_reads=counted,
        )  # fmt: skip
    key = held.pop(0)
    key.adapt(limits, priority=given.priority, weight=given.weight, count_cache_reads=counted, name=name)
    return key

"""What of the relay's state Prometheus reads, looked at when it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ccrelay.observe.standing import can_pay
from ccrelay.policy.breaker import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ccrelay.observe.view import View
    from ccrelay.policy.keys import Key, KeyState
    from ccrelay.relay.upstreams import Upstream, Upstreams

Value: TypeAlias = tuple[str, tuple[str, ...], float]
"""The name of a metric, its labels' values, and its value."""


def gauges(view: View, now: float) -> Iterator[Value]:
    """Yield all of them; C{now} in seconds since the epoch."""
    picture = view.picture
    upstreams = picture.upstreams
    routing = upstreams.routing
    yield "ccrelay_requests_in_flight", (), len(view.in_flight)
    yield "ccrelay_ready", (), not view.in_flight.draining and upstreams.why_not_ready(now) is None
    yield "ccrelay_retry_budget_left", (), routing.budget.left(now)
    yield "ccrelay_config_loaded_timestamp_seconds", (), picture.loaded
    yield "ccrelay_config_reload_ok", (), view.reload_ok
    yield "ccrelay_changes", (), len(picture.changes)
    affinity = routing.affinity
    yield "ccrelay_affinity_conversations", (), 0 if affinity is None else len(affinity)
    for move, count in () if affinity is None else affinity.moves.items():
        yield "ccrelay_affinity_moves_total", (move.value,), count
    yield from _circuits(upstreams, now)
    for upstream in upstreams.listed:
        yield from _provider(view, upstream, now)


def _circuits(upstreams: Upstreams, now: float) -> Iterator[Value]:
    out = dict.fromkeys((upstream.name for upstream in upstreams.listed), 0)
    for circuit in upstreams.routing.breakers.snapshot(now):
        if circuit.model:
            out[circuit.provider] += circuit.state is not State.CLOSED
            continue
        for state in State:
            yield "ccrelay_breaker_state", (circuit.provider, state.value), circuit.state is state
    for provider, count in out.items():
        yield "ccrelay_model_breakers_open", (provider,), count


def _provider(view: View, upstream: Upstream, now: float) -> Iterator[Value]:
    name = upstream.name
    state = view.picture.upstreams.routing.breakers.of(name).state(now)
    yield "ccrelay_provider_ready", (name,), state is not State.OPEN and can_pay(upstream, now)
    yield "ccrelay_attempts_in_flight", (name,), upstream.backend.traffic.in_flight
    probe = view.probes.get(name)
    if probe is not None:
        yield "ccrelay_probe_duration_seconds", (name,), probe[1].duration
    credential = None if upstream.fetched is None else upstream.fetched.state(now)
    if credential is not None and credential.expires is not None:
        yield "ccrelay_credential_expiry_timestamp_seconds", (name,), credential.expires
    for key in upstream.backend.pool.keys:
        yield from _key(name, key, now)


def _key(provider: str, key: Key, now: float) -> Iterator[Value]:
    state, usable = key.state(now), key.usable(now)
    labels = (provider, state.name)
    yield "ccrelay_key_usable", labels, usable
    share = 0.0
    for spent in state.spent:
        yield "ccrelay_key_used", (*labels, spent.kind), spent.used
        if spent.limit:
            share = max(share, spent.used / spent.limit)
            yield "ccrelay_key_limit", (*labels, spent.kind), spent.limit
            yield "ccrelay_key_remaining", (*labels, spent.kind), max(spent.limit - spent.used, 0)
    for kind, remaining in _told(state).items():
        yield "ccrelay_key_told_remaining", (*labels, kind), remaining
    yield "ccrelay_key_headroom_ratio", labels, max(1.0 - share, 0.0) if usable else 0.0


def _told(state: KeyState) -> dict[str, int]:
    """Return what is left of each kind of limit, for the class of models that has least."""
    least: dict[str, int] = {}
    for _, told in state.learned:
        if told.remaining is not None:
            least[told.kind] = min(told.remaining, least.get(told.kind, told.remaining))
    return least

"""How a provider stands, in one word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccrelay.policy.breaker import State

if TYPE_CHECKING:
    from ccrelay.observe.view import Configured, Picture
    from ccrelay.relay.upstreams import Upstream


def standing_of(provider: Configured, upstream: Upstream | None, picture: Picture, now: float) -> str:
    """
    Return how a provider stands: the gravest of what can be said of it.

    @param upstream: None where it is disabled.
    @param now: seconds since the epoch.
    @return: C{disabled}, C{open}, C{no_key}, C{half_open}, C{draining}, C{degraded} or C{ready}.
    """
    if upstream is None or not provider.enabled:
        return "disabled"
    breaker = picture.upstreams.routing.breakers.of(provider.name)
    state = breaker.state(now)
    if state is State.OPEN:
        return "open"
    if not can_pay(upstream, now):
        return "no_key"
    if state is State.HALF_OPEN:
        return "half_open"
    if upstream.backend.draining:
        return "draining"
    return "degraded" if breaker.degraded else "ready"


def can_pay(upstream: Upstream, now: float) -> bool:
    """Return whether a provider has a key that may be used, or takes what clients bring."""
    backend = upstream.backend
    return backend.passthrough or any(key.usable(now) for key in backend.pool.keys)

"""The status of the relay as JSON: what the page, the command line and C{/status} show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ccrelay._version import __version__
from ccrelay.observe.bounded import NONE
from ccrelay.observe.standing import standing_of
from ccrelay.observe.sums import Sums
from ccrelay.policy.breaker import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.observe.ledger import Ended, Ledger
    from ccrelay.observe.view import Configured, View
    from ccrelay.policy.affinity import Affinity
    from ccrelay.policy.breakers import Standing
    from ccrelay.policy.keys import Key
    from ccrelay.relay.events import AttemptEnded
    from ccrelay.relay.upstreams import Upstream

VERSION: Final = 1
"""Of the shape; it grows when a member changes its meaning."""
_MOST: Final = 20


class Status:
    """Draws up the status."""

    def __init__(self, view: View, ledger: Ledger, wall: Callable[[], float]) -> None:
        """@param wall: returns seconds since the epoch."""
        self._view = view
        self._ledger = ledger
        self._wall = wall

    def drawn_up(self) -> dict[str, Any]:
        """Return the status as it is now; times are in seconds since the epoch."""
        view, ledger, now = self._view, self._ledger, self._wall()
        picture = view.picture
        routing = picture.upstreams.routing
        circuits: dict[str, list[Standing]] = {}
        for circuit in routing.breakers.snapshot(now):
            circuits.setdefault(circuit.provider, []).append(circuit)
        spent: dict[str, Sums] = {}
        models: dict[str, Sums] = {}
        for (provider, model), sums in ledger.spent.items():
            _into(spent, provider, sums)
            _into(models, model, sums)
        return {
            "version": VERSION,
            "ccrelay": __version__,
            "now": now,
            "started": view.started,
            "source": picture.source,
            "loaded": picture.loaded,
            "ready": "draining" if view.in_flight.draining else picture.upstreams.why_not_ready(now),
            "draining": view.in_flight.draining,
            "admin": picture.admin,
            "strategy": {
                "name": routing.name,
                "changed": picture.strategy_changed,
                "choices": list(picture.strategies),
            },
            "in_flight": {"now": len(view.in_flight), "limit": view.in_flight.limit},
            "retry_budget": routing.budget.left(now),
            "lag_ms": {"last": _ms(view.lag.last), "worst": _ms(view.lag.worst)},
            "changes": list(picture.changes),
            "affinity": _affinity(routing.affinity),
            "totals": _tokens(ledger.totals)
            | {"failed": ledger.totals.failed, "unpriced": ledger.totals.unpriced},
            "ttfb_ms": [_ms(seconds) for seconds in ledger.waits],
            "providers": [
                self._provider(one, circuits.get(one.name, []), spent.get(one.name, Sums()), now)
                for one in picture.providers
            ],
            "models": _dearest(models),
            "clients": _dearest({name or NONE: sums for name, sums in ledger.clients.items()}),
            "sessions": [
                {"name": name, "client": session.client, "last": session.last} | _tokens(session.sums)
                for name, session in reversed(list(ledger.sessions.items())[-_MOST:])
            ],
            "recent": [_recent(ended) for ended in reversed(ledger.recent)],
        }

    def _provider(
        self, given: Configured, circuits: list[Standing], sums: Sums, now: float
    ) -> dict[str, Any]:
        picture, ledger = self._view.picture, self._ledger
        upstream = picture.upstreams.get(given.name)
        attempts = {verdict: n for (name, verdict), n in ledger.attempts.items() if name == given.name}
        shown = {
            "name": given.name,
            "type": given.kind,
            "base_url": given.base_url,
            "standing": standing_of(given, upstream, picture, now),
            "enabled": given.enabled,
            "draining": upstream is not None and upstream.backend.draining,
            "changed": list(given.changed),
            "models": list(given.models),
            "attempts": sum(attempts.values()),
            "failed": sum(attempts.get(verdict, 0) for verdict in ("key", "busy", "broken")),
            "ttfb_ms": [_ms(seconds) for seconds in ledger.waits_of.get(given.name, ())],
            "cache_read_share": sums.cache_share,
            "cost_usd": sums.cost,
            "tokens": dict(sums.kinds()),
        }
        return shown | (self._enabled(given, upstream, circuits, now) if upstream else _disabled())

    def _enabled(
        self, given: Configured, upstream: Upstream, circuits: list[Standing], now: float
    ) -> dict[str, Any]:
        backend, affinity = upstream.backend, self._view.picture.upstreams.routing.affinity
        probe = self._view.probes.get(given.name)
        average = backend.traffic.first_byte.seconds
        whole = next(circuit for circuit in circuits if not circuit.model)
        return {
            "priority": backend.priority,
            "weight": backend.weight,
            "circuit": _circuit(whole) | {"degraded": whole.degraded},
            "models_out": [
                {"model": one.model} | _circuit(one)
                for one in circuits
                if one.model and one.state is not State.CLOSED
            ],
            "probe": None
            if probe is None
            else {
                "at": probe[0],
                "healthy": probe[1].healthy,
                "status": probe[1].status,
                "reason": probe[1].reason,
                "duration_ms": _ms(probe[1].duration),
                "key": probe[1].key,
            },
            "in_flight": backend.traffic.in_flight,
            "first_byte_ms": None if average is None else _ms(average),
            "conversations": 0 if affinity is None else sum(affinity.loads(given.name).values()),
            "credential": _credential(upstream, now),
            "keys": [_key(key, now, given) for key in backend.pool.keys],
        }


def _disabled() -> dict[str, Any]:
    """Return what is shown of a provider that is not in use."""
    return {
        "priority": 0, "weight": 0, "circuit": None, "models_out": [], "probe": None, "in_flight": 0,
        "first_byte_ms": None, "conversations": 0, "credential": None, "keys": [],
    }  # fmt: skip


def _circuit(circuit: Standing) -> dict[str, Any]:
    due = circuit.due if circuit.state is State.OPEN else None
    return {"state": circuit.state.value, "due": due, "failures": circuit.failures}


def _affinity(affinity: Affinity | None) -> dict[str, Any] | None:
    if affinity is None:
        return None
    moves = {move.value: count for move, count in affinity.moves.items()}
    return {
        "conversations": len(affinity),
        "limit": affinity.limit,
        "moves": {"key": 0, "provider": 0, "return": 0} | moves,
    }


def _credential(upstream: Upstream, now: float) -> dict[str, Any] | None:
    held = None if upstream.fetched is None else upstream.fetched.state(now)
    return None if held is None else {"held": held.ready, "expires": held.expires, "problem": held.failure}


def _key(key: Key, now: float, given: Configured) -> dict[str, Any]:
    state = key.state(now)
    return {
        "name": state.name,
        "changed": state.name in given.changed_keys,
        "standing": state.standing,
        "until": state.until,
        "in_flight": state.in_flight,
        "priority": key.priority,
        "weight": key.weight,
        "usage": [{"kind": one.kind, "limit": one.limit, "used": one.used} for one in state.spent],
        "waits": [{"model": wait.model, "until": wait.until, "why": wait.why} for wait in state.waits],
        "learned": [
            {
                "models": models,
                "kind": told.kind,
                "limit": told.limit,
                "remaining": told.remaining,
                "resets": told.resets,
            }
            for models, told in state.learned
        ],
    }


def _tokens(sums: Sums) -> dict[str, Any]:
    return {
        "requests": sums.requests,
        **{f"{kind}_tokens": count for kind, count in sums.kinds()},
        "cost_usd": sums.cost,
    }


def _dearest(table: dict[str, Sums]) -> list[dict[str, Any]]:
    """Return the sums that cost most, then those that used most."""

    def most(named: tuple[str, Sums]) -> tuple[float, int]:
        return -named[1].cost, -named[1].requests

    return [{"name": name} | _tokens(sums) for name, sums in sorted(table.items(), key=most)[:_MOST]]


def _into(table: dict[str, Sums], name: str, sums: Sums) -> None:
    table.setdefault(name, Sums()).include(sums)


def _recent(ended: Ended) -> dict[str, Any]:
    request = ended.request
    usage = request.usage
    place = request.answered if request.answered >= 0 else len(request.attempts) - 1
    return {
        "id": request.id,
        "at": ended.at,
        "client": request.client,
        "session": request.session,
        "method": request.method,
        "path": request.path,
        "model": request.model,
        "stream": request.stream,
        "status": request.status,
        "ended": request.why,
        "bytes": request.sent,
        "ttfb_ms": None if request.first_byte is None else _ms(request.first_byte),
        "duration_ms": _ms(request.duration),
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cost_usd": ended.cost,
        "answered": place if request.attempts else None,
        "attempts": [_attempt(attempt) for attempt in request.attempts],
    }


def _attempt(attempt: AttemptEnded) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "key": attempt.key,
        "model": attempt.model,
        "verdict": attempt.verdict.value,
        "status": attempt.status,
        "reason": attempt.reason,
        "repeat": attempt.repeat,
        "first_byte_ms": None if attempt.first_byte is None else _ms(attempt.first_byte),
        "duration_ms": _ms(attempt.duration),
        "dropped": list(attempt.dropped),
        "mended": list(attempt.mended),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)

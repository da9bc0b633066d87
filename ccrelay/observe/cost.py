"""What a request has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.relay.events import RequestEnded
    from ccrelay.relay.upstreams import Upstreams


def cost_of(request: RequestEnded, upstreams: Upstreams) -> tuple[float | None, bool]:
    """
    Return what a request has cost in US dollars, and whether that is all that can be said.

    It is None, and that is all, where nothing was used, or where a client's
    own login has paid; it is None and not all where there is no price.
    """
    usage = request.usage
    if not request.attempts or not (usage.input or usage.output or usage.cache_read or usage.cache_write):
        return None, True
    last = request.attempts[request.answered]
    if last.own:
        return None, True
    upstream = upstreams.get(last.provider)
    price = upstream.backend.prices(last.model, request.model) if upstream is not None else None
    return (None, False) if price is None else (price.cost(usage), True)


class Costs:
    """What the latest request has cost, worked out once for all who observe it."""

    def __init__(self, upstreams: Callable[[], Upstreams]) -> None:
        """@param upstreams: returns those in use."""
        self._upstreams = upstreams
        self._request: RequestEnded | None = None
        self._cost: tuple[float | None, bool] = None, True

    def __call__(self, request: RequestEnded) -> tuple[float | None, bool]:
        """Return what L{cost_of} does."""
        if request is not self._request:
            self._request, self._cost = request, cost_of(request, self._upstreams())
        return self._cost

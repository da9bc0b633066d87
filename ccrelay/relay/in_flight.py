"""The requests being served: how many there may be, and how they are let finish at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from ccrelay.errors import Draining, Full

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ccrelay.errors import RelayError
    from ccrelay.relay.exchange import Exchange

_RETRY_S: Final = 2.0
_LAST_WORDS_S: Final = 2.0
"""Seconds in which the last answers of a drain may reach their clients."""


class _Slot:
    """A slot that is taken, for a C{with}."""

    __slots__ = ("_exchange", "_in_flight")

    def __init__(self, in_flight: InFlight, exchange: Exchange) -> None:
        self._in_flight = in_flight
        self._exchange = exchange

    def __enter__(self) -> None:
        """It was taken when it was made."""

    def __exit__(self, *_: object) -> None:
        self._in_flight.release(self._exchange)


class InFlight:
    """Counts the requests being served and refuses those that are too many or too late."""

    def __init__(self, limit: int = 0) -> None:
        """@param limit: requests at once; 0 for no limit."""
        self.limit = limit
        self._exchanges: set[Exchange] = set()
        self._empty: Deferred[None] | None = None
        self.draining = False

    def __len__(self) -> int:
        return len(self._exchanges)

    def holding(self, exchange: Exchange) -> _Slot:
        """
        Hold a slot while a request is served; it is given back on every way out.

        @raise Full: if all slots are taken.
        @raise Draining: if the relay is shutting down.
        """
        if self.draining:
            msg = "ccrelay is shutting down; try again in a moment."
            raise Draining(msg, retry_after=_RETRY_S)
        if self.limit and len(self._exchanges) >= self.limit:
            msg = f"ccrelay is serving {self.limit} requests (server.max_concurrent); try again in a moment."
            raise Full(msg, retry_after=_RETRY_S)
        self._exchanges.add(exchange)
        return _Slot(self, exchange)

    def release(self, exchange: Exchange) -> None:
        """A request is served."""
        self._exchanges.discard(exchange)
        if not self._exchanges and self._empty is not None:
            empty, self._empty = self._empty, None
            empty.callback(None)

    async def drain(self, clock: IReactorTime, seconds: float) -> None:
        """Let no new request in, wait for those being served, and end what is left after that time."""
        self.draining = True
        await self._emptied(clock, seconds)
        if self._exchanges:
            msg = "ccrelay is shutting down and ended this request; send it again."
            self._interrupt(Draining(msg, retry_after=_RETRY_S))
            await self._emptied(clock, _LAST_WORDS_S)

    def _interrupt(self, error: RelayError) -> None:
        for exchange in tuple(self._exchanges):
            exchange.interrupt(error)

    async def _emptied(self, clock: IReactorTime, seconds: float) -> None:
        if not self._exchanges:
            return
        self._empty = Deferred(lambda _: None)
        await self._empty.addTimeout(seconds, clock, lambda _result, _seconds: None)
        self._empty = None

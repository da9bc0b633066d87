"""Reloading: a new configuration is read and judged first, then takes over while requests go on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from ccrelay.config.reach import address_of
from ccrelay.errors import ConfigError
from ccrelay.service.tree import DoorService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from twisted.application.service import MultiService
    from twisted.internet.defer import DeferredLock

    from ccrelay.config.read import Loaded

STOPPING: Final = "the relay is stopping"


class Reloader:
    """
    Reads the configuration anew when it is told to, one time after the other.

    What cannot be used changes nothing: the configuration in use stays, and
    the log says in one line what is wrong with the other.

    @ivar wanted: the files that the configuration names which could not be used; none where it could.
    @ivar problem: why the last reload changed nothing, or None.
    """

    log = Logger()

    def __init__(
        self,
        reread: Callable[[], Loaded],
        take_over: Callable[[Loaded], Awaitable[str | None]],
        reading: Callable[[], object] = lambda: None,
        elsewhere: Callable[[Callable[[], Loaded]], Deferred[Loaded]] = deferToThread,
        ended: Callable[[str | None], None] = lambda _problem: None,
    ) -> None:
        """
        @param reread: returns what is configured now.
        @param take_over: uses it from now on; returns why it cannot, or None.
        @param reading: called before C{reread}: what changes later is not in it.
        @param elsewhere: calls C{reread} where it holds up no request: in a thread.
        @param ended: told after each why nothing has changed, or None.
        """
        self.wanted: tuple[Path, ...] = ()
        self.problem: str | None = None
        self._reread = reread
        self._take_over = take_over
        self._reading = reading
        self._elsewhere = elsewhere
        self._ended = ended
        self._running: Deferred[None] | None = None
        self._again = False

    def reload(self) -> Deferred[None] | None:
        """
        Reload now; if that is being done already, once more afterwards.

        @return: what fires when it is done; None where it is being done.
        """
        if self._running is not None:
            self._again = True
            return None
        self._running = running = Deferred.fromCoroutine(self._reload())
        if running.called:
            self._running = None
        return running

    async def _reload(self) -> None:
        try:
            while True:
                self._again = False
                await self._once()
                if not self._again:
                    return
        finally:
            self._running = None

    async def _once(self) -> None:
        self._reading()
        try:
            loaded = await self._elsewhere(self._reread)
            problem = await self._take_over(loaded)
        except ConfigError as error:
            first, *others = error.problems
            more = f" (and {len(others)} more: `ccrelay check` tells all)" if others else ""
            self._refuse(first + more)
            self.wanted = error.files
        except Exception:  # noqa: BLE001  whatever a file can make a parser raise
            self.log.failure("configuration not reloaded, the old one stays in use: fault in ccrelay")
            self.problem = "fault in ccrelay, the log has it"
            self._ended(self.problem)
        else:
            self.wanted = ()
            if problem is not None:
                self._refuse(problem)
            else:
                self.problem = None
                self._ended(None)

    def _refuse(self, problem: str) -> None:
        self.problem = problem
        self._ended(self.problem)
        self.log.error("configuration not reloaded, the old one stays in use: {problem}", problem=problem)


@asynccontextmanager
async def held(lock: DeferredLock) -> AsyncIterator[None]:
    """Hold a lock, and give it back on every way out."""
    await lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Place(NamedTuple):
    """
    An address to listen on.

    @ivar parent: what its door belongs to.
    @ivar make: makes the door, if there is none yet.
    """

    parent: MultiService
    address: str
    make: Callable[[], DoorService]


async def change_doors(places: Sequence[Place], parents: Sequence[MultiService]) -> str | None:
    """
    Listen on these addresses and on no other; whoever is connected stays.

    An address that cannot be had changes nothing.

    @param parents: of all doors that there are.
    @return: why an address cannot be had, or None.
    """
    there = {
        (parent, door.address): door for parent in parents for door in parent if isinstance(door, DoorService)
    }
    keys = [(place.parent, place.address) for place in places]
    closing = [door for key, door in there.items() if key not in keys]
    wanted = [there.get(key) or place.make() for key, place in zip(keys, places, strict=True)]
    fresh = [(door, place.parent) for door, place in zip(wanted, places, strict=True) if door.port is None]
    opening = [door for door, _ in fresh]
    problem = await _opened(opening)
    in_the_way = [door for door in closing if any(_meet(door.address, other.address) for other in opening)]
    if problem is not None and in_the_way:
        # An old address may stand in the way of a new one: 127.0.0.1:8787 of 0.0.0.0:8787.
        await _closed(in_the_way)
        problem = await _opened(opening)
        if problem is not None:
            lost = await _opened(in_the_way)
            problem += f" What is more: {lost}" if lost is not None else ""
    if not all(parent.running for parent in parents):
        await _closed([*opening, *closing])
        return STOPPING
    if problem is not None:
        return problem
    for door, parent in fresh:
        if door.parent is None:
            door.setServiceParent(parent)
    for door in closing:
        maybeDeferred(door.disownServiceParent)
    return None


def _meet(one: str, other: str) -> bool:
    """Return whether one address may keep the other from being had: both have the same port."""
    here, there = address_of(one), address_of(other)
    return here is not None and there is not None and here[1] == there[1]


async def _opened(doors: Sequence[DoorService]) -> str | None:
    """Open all of some doors, or none and return why."""
    for place, door in enumerate(doors):
        problem = door.open()
        if problem is not None:
            await _closed(doors[:place])
            return problem
    return None


async def _closed(doors: Sequence[DoorService]) -> None:
    """Close some doors, and wait until their addresses are free."""
    for door in doors:
        await maybeDeferred(door.stopService)

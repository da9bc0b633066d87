"""Threads for what would block the reactor: SDKs that fetch credentials, and the hashing of large bodies."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from twisted.internet.defer import fail
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorFromThreads

T = TypeVar("T")

SPARE: Final = 2
"""Threads beside those that fetch, so that a large body is signed while every credential is being fetched."""


class InThread(Protocol):
    """Calls a function where it may block; the Deferred fires in the reactor's thread."""

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]:
        """Return what the function returns or raises."""


class _Daemon(Thread):
    """A thread that does not keep the process from ending."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  what Thread takes
        super().__init__(*args, daemon=True, **kwargs)


class _Pool(ThreadPool):
    threadFactory = _Daemon

    def stop(self) -> None:
        """Stop without waiting for threads that are busy, since one may hang for ever."""
        self.threads.clear()
        super().stop()


class Threads:
    """
    The threads of one process's credentials, apart from the reactor's own, which resolve host names.

    A credential is fetched in one thread at a time, so with as many threads as there are credentials
    none waits for another, however slow.  Threads are made when they are needed, and the first
    C{run} starts the pool; an owner has only to L{stop} it.
    """

    def __init__(self, reactor: IReactorFromThreads, credentials: int = 30) -> None:
        """@param credentials: how many are fetched."""
        self._reactor = reactor
        self._pool = _Pool(0, credentials + SPARE, name="ccrelay-credentials")
        self._stopped = False

    def resize(self, credentials: int) -> None:
        """
        Have threads for another number of credentials, after a reload.

        Those that are busy are not counted: what they fetch may be wanted no more, and may hang for ever.
        """
        self._pool.adjustPoolsize(0, credentials + SPARE + len(self._pool.working))

    def run(self, function: Callable[[], T], /) -> Deferred[T]:
        """
        Call a function in a thread; see L{InThread}.

        Cancelling the Deferred lets the function run on, and drops its result.
        """
        if self._stopped:
            return fail(RuntimeError("the relay is shutting down"))
        if not self._pool.started:
            self._pool.start()
        return deferToThreadPool(self._reactor, self._pool, function)

    def stop(self) -> None:
        """Let the threads end, each after what it is doing; the process does not wait for one that hangs."""
        if not self._stopped:
            self._stopped = True
            self._pool.stop()

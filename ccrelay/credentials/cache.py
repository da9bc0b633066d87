"""A credential that is fetched where it may block: once for all who wait, and again before it expires."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from ccrelay.credentials.wording import Unavailable, words
from ccrelay.errors import CredentialFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

    from ccrelay.credentials.threads import InThread

T = TypeVar("T")

EARLY: Final = 300.0
"""Seconds before it expires from which on a credential is renewed; see L{CredentialCache}."""

PATIENCE: Final = 30.0
"""Seconds that requests wait for one fetch."""

_SLACK: Final = 5.0  # seconds before it expires in which a credential is not used: it has a way to go
_APART: Final = 30.0  # seconds between two early renewals, where what comes is always near its end
_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds without a fetch after so many failures in a row
_TRUST: Final = 60.0  # seconds after a refused credential was dropped in which its successors are kept


@dataclass(frozen=True, slots=True)
class Fetched(Generic[T]):
    """
    What a fetch came back with.

    @ivar expires: seconds since the epoch; None for never.
    """

    value: T
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How a credential stands, for display.

    @ivar ready: whether requests get it at once.
    @ivar expires: seconds since the epoch; None for never, or where there is none.
    @ivar fetching: whether a fetch runs, or hangs.
    @ivar failures: of fetches, in a row.
    @ivar failure: the last of them, empty after a success; it holds no secret.
    """

    ready: bool
    expires: float | None
    fetching: bool
    failures: int
    failure: str


class CredentialCache(Generic[T]):
    """
    Keeps one credential, and fetches it when it is asked for.

    - All who wait share one fetch; whoever is cancelled takes nothing from the others.
    - From C{early} seconds before it expires, whoever asks gets the old one and starts the renewal.
    - A failed fetch fails all who wait.  For a time, 1 s doubling to 30, there is no other; until
      then whoever asks is refused at once, or gets the old credential while it is good.
    - A fetch that takes longer than C{patience} fails all who wait, and whoever asks while it hangs.
      There is no second one beside it: a thread cannot be ended, so one that hangs for ever would
      cost another thread at each try.  What it brings in the end is taken.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        fetch: Callable[[], Fetched[T]],
        in_thread: InThread,
        clock: IReactorTime,
        *,
        early: float = EARLY,
        patience: float = PATIENCE,
    ) -> None:
        """
        @param name: what it is called in messages, such as C{the AWS credentials of bedrock-1}.
        @param fetch: may block, and raises L{Unavailable}.
        @param early: seconds.
        @param patience: seconds.
        """
        self.name = name
        self._fetch = fetch
        self._in_thread = in_thread
        self._clock = clock
        self._early = early
        self._patience = patience
        self._held: Fetched[T] | None = None
        self._renew_at = 0.0
        self._waiters: list[Deferred[T]] = []
        self._alarm: IDelayedCall | None = None
        self._fetching = False
        self._hangs = False
        self._failures = 0
        self._failure = self._public = ""
        self._next_fetch = 0.0
        self._trusted_until = 0.0

    @property
    def held(self) -> T | None:
        """The credential that was fetched last and not dropped, be it expired or not."""
        return self._held.value if self._held is not None else None

    @property
    def expires(self) -> float | None:
        """When it expires, seconds since the epoch; None for never, or where there is none."""
        return self._held.expires if self._held is not None else None

    def state(self, now: float) -> Standing:
        """Return how it stands; C{now} in seconds since the epoch."""
        return Standing(self._good(now), self.expires, self._fetching, self._failures, self._failure)

    def get(self, now: float) -> Deferred[T]:
        """
        Return the credential, at once or when it is fetched.

        @param now: seconds since the epoch.
        @raise CredentialFailed: in the Deferred.
        """
        if self._held is not None and self._good(now):
            if self._held.expires is not None and now >= self._renew_at:
                self.warm(now)
            return succeed(self._held.value)
        if self._hangs or (not self._fetching and self._clock.seconds() < self._next_fetch):
            return fail(CredentialFailed(self._failure, self._public))
        waiter: Deferred[T] = Deferred(self._leave)
        self._waiters.append(waiter)
        self.warm(now)
        return waiter

    def warm(self, now: float) -> None:
        """Begin to fetch, unless one runs or the last failed just now; done at start, no request waits."""
        if self._fetching or self._clock.seconds() < self._next_fetch:
            return
        self._fetching = True
        self._alarm = self._clock.callLater(self._patience, self._overdue)
        fetched = self._in_thread(self._fetch)
        fetched.addCallbacks(self._arrived, self._failed, callbackArgs=(now,))
        fetched.addErrback(lambda failure: self.log.failure("keeping {name}", failure, name=self.name))

    def invalidate(self, value: T) -> bool:
        """
        Drop a credential that was refused.

        @return: whether L{get} may give another: not if this one came just after another was refused,
            for then it is not the credential's fault.
        """
        if self._held is None or self._held.value != value:
            return True
        now = self._clock.seconds()
        if now < self._trusted_until:
            return False
        self._trusted_until = now + _TRUST
        self._held = None
        return True

    def _good(self, now: float) -> bool:
        held = self._held
        return held is not None and (held.expires is None or now < held.expires - _SLACK)

    def _leave(self, waiter: Deferred[T]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def _ended(self) -> None:
        self._fetching = self._hangs = False
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()

    def _arrived(self, fetched: Fetched[T], began: float) -> None:
        self._ended()
        expires = fetched.expires
        if expires is not None and expires <= began:
            self._failing("what came had already expired", "check the clock of this machine (NTP)")
            return
        until = "with no end" if expires is None else f"good until {_at(expires)}"
        after = ", after failures" if self._failures else ""
        self.log.info("{name}: fetched, {until}{after}", name=self.name, until=until, after=after)
        self._failures, self._failure, self._next_fetch = 0, "", 0.0
        self._held = fetched
        if expires is not None:
            self._renew_at = max(expires - self._early, began + _APART)
        for waiter in self._taken():
            waiter.callback(fetched.value)

    def _failed(self, failure: Failure) -> None:
        # The failure itself is let go: its frames hold secrets.
        self._ended()
        problem = failure.value
        if isinstance(problem, Unavailable):
            self._failing(problem.what, problem.remedy)
        else:
            self._failing(f"{type(problem).__name__}: {words(problem)}", "look at what is configured for it")

    def _overdue(self) -> None:
        self._hangs = True
        self._failing(
            f"fetching takes longer than {self._patience:g} s",
            "look at what it waits for: it is used as soon as it is there, and a restart begins anew",
        )

    def _failing(self, what: str, remedy: str) -> None:
        self._failure = f"{self.name} could not be had: {what}; {remedy}"
        self._public = f"{self.name} could not be had, ccrelay's log says why; {remedy}"
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self._next_fetch = self._clock.seconds() + pause
        self.log.warn("{problem}", problem=self._failure)  # noqa: G010  Twisted's Logger has no other
        for waiter in self._taken():
            waiter.errback(CredentialFailed(self._failure, self._public))

    def _taken(self) -> Iterator[Deferred[T]]:
        """Forget those who wait, and give each: what one does next may cancel another."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:
                yield waiter


def _at(seconds: float) -> str:
    """Return a time as RFC 3339 has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

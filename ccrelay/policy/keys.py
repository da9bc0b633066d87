"""A provider's key and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ccrelay.policy.allowance import Allowance, KeyLimits
from ccrelay.policy.rate_limits import LearnedLimits
from ccrelay.policy.waits import FORBIDDEN, CoolDown, Wait, Waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.policy.allowance import Lease, Spent
    from ccrelay.policy.ask import Ask
    from ccrelay.policy.rate_limits import Learned
    from ccrelay.wire.http import Pairs
    from ccrelay.wire.secret import Secret

_EXCLUDED_S: Final = 600.0
_NEVER: Final = float("inf")


class Standing(NamedTuple):
    """
    What is known of a key whatever the request, and how long it holds if nothing is done.

    @ivar opens: before which no request may use the key; infinity where time alone does not mend it.
    @ivar soft: whether other keys go first.
    @ivar share: how much of its limits is used; 1 is all of the one used most.
    @ivar busy: requests of the last minute, and those in flight once more.
    @ivar changes: when time alone changes any of this.
    """

    opens: float
    soft: bool
    share: float
    busy: int
    changes: float


@dataclass(frozen=True, slots=True)
class KeyState:
    """
    A key as it is shown.

    @ivar standing: C{invalid}, C{exhausted}, C{waiting}, C{full}, C{cooling}, C{degraded} or C{ready}.
    @ivar until: when that ends by itself, in seconds since the epoch, or None.
    @ivar spent: requests of the last minute, and tokens where they are limited.
    @ivar waits: what it was told to wait for, and for which model.
    @ivar learned: what its answers told, by class of models.
    """

    name: str
    standing: str
    until: float | None
    in_flight: int
    spent: tuple[Spent, ...]
    waits: tuple[Wait, ...]
    learned: tuple[tuple[str, Learned], ...]


def _nobody() -> None:
    """No pool holds the key yet."""


@dataclass(slots=True, eq=False)
class Key:
    """
    One credential of a provider, and all that is held against it.

    Hard facts forbid its use: its operator's limits, a wait that the provider
    asked for, no credit, a key that is no longer valid.  Soft facts are what
    was learned or guessed: they put it behind others and forbid nothing.
    All times are in seconds since the epoch.

    @ivar name: what the operator called it, else C{…last4}; C{-} for providers that want none.
    @ivar secret: None for providers that want none.
    @ivar barred_until: a hard fact from the provider (no credit left, a quota used up), never a guess.
    @ivar weight: its share of the requests where that is what counts.
    @ivar count_cache_reads: whether what was read from the prompt cache uses up input limits.
    @ivar last_success: when a request last succeeded, in seconds since the epoch; 0.0 if none ever has.
    @ivar tested: when it was last found to be invalid.
    @ivar watch: called whenever something is done to the key; the pool that it was last put in sets it.
    """

    name: str
    secret: Secret | None = field(default=None, repr=False)
    priority: int = 1
    barred_until: float = 0.0
    weight: int = field(default=1, repr=False)
    limits: KeyLimits = field(default=KeyLimits(), repr=False)
    count_cache_reads: bool = field(default=False, repr=False)
    watch: Callable[[], object] = field(default=_nobody, init=False, repr=False)
    valid: bool = field(default=True, init=False, repr=False)
    degraded: bool = field(default=False, init=False, repr=False)
    tested: float = field(default=0.0, init=False, repr=False)
    last_success: float = field(default=0.0, init=False, repr=False)
    _allowance: Allowance = field(init=False, repr=False)
    _waits: Waits = field(default_factory=Waits, init=False, repr=False)
    _pause: CoolDown = field(default_factory=CoolDown, init=False, repr=False)
    _learned: LearnedLimits = field(default_factory=LearnedLimits, init=False, repr=False)

    def __post_init__(self) -> None:
        def changed() -> None:
            self.watch()

        self._allowance = Allowance(self.limits, changed, cache_reads=self.count_cache_reads)

    def adapt(
        self, limits: KeyLimits, *, priority: int, weight: int, count_cache_reads: bool, name: str
    ) -> None:
        """
        Be what the operator says now, and keep all that is known.

        What was used in the last minute is held to the new limits; tokens of
        a kind that had no limit were not counted, and count from now on.
        """
        self.name = name
        self.priority = priority
        self.weight = weight
        self.limits = limits
        self.count_cache_reads = count_cache_reads
        self._allowance.adapt(limits, cache_reads=count_cache_reads)  # which tells the pool

    def usable(self, now: float, ask: Ask | None = None) -> bool:
        """
        Return whether the key may be asked at C{now}.

        @param ask: what for; without it, the limits are left aside, and what holds for one model only.
        """
        if not self.valid or now < self.barred_until:
            return False
        waits = self._waits
        if now < waits.latest and now < waits.until(None if ask is None else ask.model):
            return False
        return ask is None or self._allowance.fits(ask, now)

    def waiting(self, now: float) -> bool:
        """Return whether it is to be left alone for anything: for all models, or for one."""
        return now < self._waits.latest

    def soft(self, now: float, ask: Ask) -> bool:
        """Return whether other keys should go first: it is pausing, degraded, or short of what is asked."""
        return self.degraded or now < self._pause.until or self._learned.short(ask, now)

    def frees_at(self, now: float, ask: Ask) -> float | None:
        """Return when the key may be asked; C{now} if it may already, None if never by itself."""
        if not self.valid:
            return None
        waits = max(self.barred_until, self._waits.until(ask.model))
        return max(waits, self._allowance.fits_at(ask, now))

    def forbidden(self, model: str, now: float) -> bool:
        """Return whether all that speaks against the key is that it may not use this model."""
        return self.valid and now >= self.barred_until and self._waits.forbidden(model, now)

    def standing(self, now: float) -> Standing:
        """Return what is known of the key whatever the request."""
        opens, share, busy, changes = self._allowance.load(now)
        opens = max(opens, self.barred_until)
        if self._waits.latest > now:
            opens = max(opens, self._waits.until(None))
        pause = self._pause.until
        if now < opens < changes:
            changes = opens
        if now < pause < changes:
            changes = pause
        return Standing(opens if self.valid else _NEVER, self.degraded or now < pause, share, busy, changes)

    @property
    def taken(self) -> int:
        """How many requests were ever reserved."""
        return self._allowance.taken

    def reserve(self, ask: Ask, now: float) -> Lease:
        """Count a request that is about to be made, whether it fits or not."""
        return self._allowance.take(ask, now)

    def bar(self, until: float) -> None:
        """Leave the key alone until then; a second refusal never moves that closer."""
        self.barred_until = max(self.barred_until, until)
        self.watch()

    def limited(self, now: float, wait: float | None, model: str | None = None) -> None:
        """
        Take note of a 429, or of a throttling of another name.

        @param wait: seconds that the provider asked for: nothing is asked of
            the key until they are over.  None or 0 where it named none: the
            key goes last for 1 s, then twice as long each time up to 60 s.
        @param model: what the wait is for, where the provider said that it is for one model.
        """
        if wait is not None and wait > 0:
            self._waits.put_off(Wait(model, now + wait, "rate limited"), now)
        else:
            self._pause.refused(now)
        self.watch()

    def exclude(self, model: str | None, now: float) -> None:
        """Leave the key alone for ten minutes after a 403, for one model or, with None, for all."""
        self._waits.put_off(Wait(model, now + _EXCLUDED_S, FORBIDDEN), now)
        self.watch()

    def succeeded(self, now: float | None = None) -> None:
        """
        Take note of a success: the guessed pause ends, and the key is no longer degraded.

        @param now: when that was, to be remembered; None to leave what is remembered as it is.
        """
        if now is not None:
            self.last_success = now
        self._pause.reset()
        self.degraded = False
        self.watch()

    def degrade(self) -> None:
        """Let other keys go first until the next success: a probe of this one has failed."""
        self.degraded = True
        self.watch()

    def invalidate(self, now: float) -> None:
        """Use the key no more: the provider does not know it; that was found out C{now}."""
        self.valid = False
        self.tested = now
        self.watch()

    def validated(self) -> None:
        """Use the key again: the provider knows it after all."""
        self.valid = True
        self.watch()

    def reset(self) -> None:
        """Forget what is held against the key, but what it has used of its limits."""
        self.valid = True
        self.degraded = False
        self.barred_until = 0.0
        self._waits = Waits()
        self._pause.reset()
        self._learned = LearnedLimits()
        self.watch()

    def learn(self, headers: Pairs, model: str, now: float) -> None:
        """Take what the headers of an answer tell about the limits of a model's class."""
        self._learned.learn(headers, model, now)

    def state(self, now: float) -> KeyState:
        """Return the key as it is shown, without its secret."""
        standing, until = self._shown(now)
        return KeyState(
            self.name,
            standing,
            until,
            self._allowance.in_flight,
            self._allowance.spent(now),
            self._waits.shown(now),
            self._learned.shown(now),
        )

    def _shown(self, now: float) -> tuple[str, float | None]:
        if not self.valid:
            return "invalid", None
        times = (
            ("exhausted", self.barred_until),
            ("waiting", self._waits.until(None)),
            ("full", self._allowance.load(now)[0]),
            ("cooling", self._pause.until),
        )
        for standing, until in times:
            if until > now:
                return standing, until
        return ("degraded" if self.degraded else "ready"), None

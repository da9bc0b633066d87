"""Which attempt is next, how long to wait before it, and which outcome is the answer when none is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from ccrelay.policy.repeats import Repeats
from ccrelay.policy.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from ccrelay.policy.budget import RetryBudget
    from ccrelay.policy.moment import Moment
    from ccrelay.policy.outcome import Outcome
    from ccrelay.policy.selection import Selection
    from ccrelay.policy.tries import Try


@dataclass(frozen=True, slots=True)
class Pause:
    """To be waited for before the plan goes on, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How long a series of attempts may get.

    @ivar attempts: at most so many.
    @ivar seconds: after which no new attempt starts; a running one is never cut by it.
    @ivar longest_wait: seconds that a provider may ask for and be waited for; asked for more, it is left.
        With 0 nobody is asked twice.
    """

    attempts: int
    seconds: float
    longest_wait: float = 5.0


def attempts(
    selection: Selection,
    bounds: Bounds,
    budget: RetryBudget,
    chance: Callable[[], float],
    started: Moment,
) -> Generator[Try | Pause, Outcome | Moment, tuple[Outcome, ...]]:
    """
    Yield what to try next, and be sent how it went; yield a pause, and be sent when it is over.

    Somewhere else goes before once more: another key of the provider if the
    key was at fault, else another provider.  Overload is an exception, as it
    often passes in an instant.  Repeats in place are for whom there is nobody
    else, and take from the budget; nobody waits for one that would begin too
    late.  What the request itself is blamed for is nobody else's business.

    @param budget: for repeats in place, shared by all requests.
    @param chance: returns a random number from 0 to 1, 1 excluded.
    @return: all outcomes; the last one is an answer if its verdict is OK or
        CLIENT or it had begun, else nobody answered and L{most_useful} chooses.
    """
    done: list[Outcome] = []
    repeats: Repeats | None = None
    budget.asked(started.wall)
    now = started
    trying = selection.next(now.wall)
    while trying is not None:
        outcome = cast("Outcome", (yield trying))
        now = outcome.at
        done.append(outcome)
        if outcome.final or len(done) >= bounds.attempts or now.clock - started.clock >= bounds.seconds:
            break
        selection.failed(outcome)
        if repeats is None:
            repeats = Repeats(bounds.longest_wait, chance, selection.ready_at)
        repeats.failed(outcome)
        trying = None
        others = outcome.verdict is not Verdict.CLIENT
        repeat = repeats.at_once(outcome, elsewhere=selection.has_next(now.wall))
        if repeat is None and others:
            trying = selection.next(now.wall)
            repeat = repeats.nowhere_else(now) if trying is None else None
        left = started.clock + bounds.seconds - now.clock
        if repeat is not None and repeat.seconds < left and budget.take(now.wall):
            now = cast("Moment", (yield Pause(repeat.seconds)))
            if now.clock - started.clock >= bounds.seconds:
                break
            trying = selection.again(repeat.outcome, now.wall)
        if trying is None and others:
            trying = selection.next(now.wall)
    return tuple(done)


_PREFERENCE: Final = ((429,), (401, 403), (404,))


def most_useful(failures: Sequence[Outcome]) -> Outcome | None:
    """
    Return the failed attempt whose words help the client most, or None if no provider said anything.

    The last 429, else the last 401 or 403, else the last 404, else the last
    refusal of any kind.
    """
    refused = [o for o in failures if o.complaint is not None]
    for statuses in _PREFERENCE:
        for outcome in reversed(refused):
            if outcome.complaint is not None and outcome.complaint.status in statuses:
                return outcome
    return refused[-1] if refused else None


def answered(outcomes: Sequence[Outcome]) -> bool:
    """Return whether the last attempt has answered the client."""
    return bool(outcomes) and outcomes[-1].verdict in (Verdict.OK, Verdict.CLIENT)

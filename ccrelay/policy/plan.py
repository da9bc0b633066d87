"""Which attempt is next, and which outcome is the answer when none is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ccrelay.policy.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ccrelay.errors import UpstreamError
    from ccrelay.policy.route import Route
    from ccrelay.policy.verdict import Complaint


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How one attempt ended.

    @ivar begun: whether anything of this attempt reached the client, after
        which nobody else may be asked.
    @ivar complaint: the provider's refusal, if it gave one.
    @ivar error: what went wrong where it gave none.
    @ivar ended: when, in seconds of the clock the plan was started on.
    """

    route: Route
    verdict: Verdict
    ended: float
    begun: bool = False
    complaint: Complaint | None = None
    error: UpstreamError | None = None

    @property
    def reason(self) -> str:
        """Why it ended, in a few words, for the log and for the list of attempts."""
        if self.complaint is not None:
            return f"{self.complaint.status} {self.complaint.kind}"
        return self.error.message if self.error is not None else self.verdict.value


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How long a series of attempts may get.

    @ivar attempts: at most so many.
    @ivar seconds: after which no new attempt starts; a running one is never cut by it.
    """

    attempts: int
    seconds: float


def attempts(
    routes: Sequence[Route], bounds: Bounds, started: float
) -> Generator[Route, Outcome, tuple[Outcome, ...]]:
    """
    Yield the route to try next, be sent how it went, and return all outcomes.

    The last outcome is an answer if its verdict is OK or CLIENT or it had
    begun; else nobody answered and L{most_useful} chooses.

    @param routes: in the order of preference.
    @param started: when, in seconds of the same clock as L{Outcome.ended}.
    """
    done: list[Outcome] = []
    left = list(routes)
    while left and len(done) < bounds.attempts:
        outcome = yield left.pop(0)
        done.append(outcome)
        if outcome.begun or outcome.verdict in (Verdict.OK, Verdict.CLIENT):
            break
        if outcome.verdict is not Verdict.KEY:
            left = [route for route in left if route.provider != outcome.route.provider]
        if outcome.ended - started >= bounds.seconds:
            break
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

"""Attempts by script: how each is going to end, and series of them played through as the relay does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ccrelay.errors import Broken, FirstByteTimeout, Malformed, NoneFree, RelayError, Stalled, Unreachable
from ccrelay.policy.breaker import State
from ccrelay.policy.moment import Moment
from ccrelay.policy.outcome import Outcome
from ccrelay.policy.plan import Bounds, Pause, attempts
from ccrelay.policy.route import Route
from ccrelay.policy.selection import Selection
from ccrelay.policy.tries import Try
from ccrelay.policy.verdict import Complaint, Verdict, barred_for, judge
from ccrelay.wire.error_json import ErrorBody, kind_of
from ccrelay.wire.http import Pairs
from ccrelay.wire.usage import NOTHING_KNOWN, Usage
from tests.policy.stage import NOW, Stage, at

BOUNDS = Bounds(attempts=4, seconds=180.0, longest_wait=5.0)


@dataclass(frozen=True)
class How:
    """How an attempt is going to end, and how many seconds it takes."""

    verdict: Verdict
    status: int = 0
    words: str = ""
    headers: Pairs = ()
    barred_for: float = 0.0
    error: RelayError | None = None
    begun: bool = False
    seconds: float = 0.0

    def of(self, route: Route, when: Moment) -> Outcome:
        """Return the outcome of an attempt at a route that ended then."""
        complaint = None
        if self.status:
            said = kind_of(self.status), self.words, self.headers
            complaint = Complaint(self.verdict, self.status, *said, barred_for=self.barred_for)
        return Outcome(route, self.verdict, when, self.begun, complaint, self.error)

    def after(self, seconds: float) -> How:
        """Return the same after so many seconds."""
        return replace(self, seconds=seconds)


def refused(status: int, words: str = "no", *, mapped: bool = False, **headers: str) -> How:
    """Return a provider's refusal; C{retry_after="2"} is a header field."""
    said = ErrorBody(enveloped=True, kind=kind_of(status), code="", message=words)
    pairs = tuple((n.replace("_", "-").encode(), value.encode()) for n, value in headers.items())
    verdict = judge(status, said, mapped=mapped)
    return How(verdict, status, words, pairs, barred_for=barred_for(status, said, NOW))


OK = How(Verdict.OK, begun=True)
BROKEN = How(Verdict.BROKEN, error=Broken("not HTTP"))
BROKE_OFF = How(Verdict.BROKEN, error=Broken("ended early"), begun=True)
UNREACHABLE = How(Verdict.BROKEN, error=Unreachable("connection refused"))
NONE_FREE = How(Verdict.BROKEN, error=NoneFree("no connection was free"))
NO_TLS = How(Verdict.BROKEN, error=Unreachable("certificate expired", lasting=True))
SLOW = How(Verdict.BROKEN, error=FirstByteTimeout("no answer within 120 s"), seconds=120.0)
STALLED = How(Verdict.BROKEN, error=Stalled("nothing came for 300 s"), seconds=300.0)
UNFIT = How(Verdict.UNFIT, error=Malformed("no pictures here"))
OVERLOADED = refused(529)


def end(trying: Try, how: How | None, now: Moment | None = None, usage: Usage = NOTHING_KNOWN) -> None:
    """End a try, as the relay does; with None the client has left."""
    now = now or at(0)
    trying.end(None if how is None else how.of(trying.route, now), usage, now.wall)


@dataclass
class Play:
    """
    A series of attempts that was played through.

    @ivar began: when each of the tries did.
    @ivar states: of the breaker that each went through, once it had.
    @ivar pauses: as long as each was, by the number of attempts before it.
    @ivar untried: what could have been asked instead, likewise.
    """

    tries: list[Try] = field(default_factory=list)
    began: list[Moment] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    pauses: dict[int, float] = field(default_factory=dict)
    untried: dict[int, list[str]] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    returned: tuple[Outcome, ...] = ()
    over: Moment = field(default_factory=lambda: at(0))

    @property
    def asked(self) -> str:
        """The names of the keys in the order they were asked with; C{-} for the client's bearer."""
        return " ".join("-" if t.route.key is None else t.route.key.name for t in self.tries)


def play(
    stage: Stage,
    hows: Iterable[How],
    bounds: Bounds = BOUNDS,
    selection: Selection | None = None,
    leaves: int = 1000,
) -> Play:
    """
    Play a series of attempts through, as the relay does; without C{selection} of no conversation.

    @param leaves: the client leaves during that attempt, counted from 0.
    """
    done, now, coming = Play(), at(0), iter(hows)
    chosen = selection or stage.selection("", now.wall)
    plan = attempts(chosen, bounds, stage.routing.budget, stage.chance, now)
    try:
        step = next(plan)
        while True:
            number = len(done.tries)
            if isinstance(step, Pause):
                done.pauses[number] = step.seconds
                done.untried[number] = stage.untried(done.outcomes, now)
                now = Moment(now.clock + step.seconds, now.wall + step.seconds)
                step = plan.send(now)
                continue
            done.tries.append(step)
            done.began.append(now)
            done.states.append(stage.breakers.state(step.route.provider, step.route.model, now.wall))
            how = next(coming)
            if number == leaves:
                end(step, None, now)
                plan.close()
                return done
            now = Moment(now.clock + how.seconds, now.wall + how.seconds)
            end(step, how, now)
            outcome = how.of(step.route, now)
            done.outcomes.append(outcome)
            step = plan.send(outcome)
    except StopIteration as ended:
        done.returned = ended.value
        done.over = now
        return done

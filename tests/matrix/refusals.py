"""The rows of refusals: every status that means something, and every way to say how long to wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final

from ccrelay.simulator.acts import Refuses, Sends
from ccrelay.simulator.asked import Asked
from ccrelay.simulator.steps import Step
from ccrelay.wire.error_json import kind_of
from tests.matrix.fault import Blame, Effect, Hold, Repeats, Row, Scope, Words, both
from tests.stack import WALL

DAYS: Final = 3 * 86400
MORE: Final = Repeats.WITHIN_BOUNDS
RETRY: Final = "retry-after"
SHOULD: Final = "x-should-retry"
OVERLOAD_SCOPES: Final = (Scope.ONCE, Scope.TWICE, Scope.THERE, Scope.EVERYWHERE)
NO_CREDIT: Final = "Your credit balance is too low to access the Anthropic API."


@dataclass(frozen=True, slots=True)
class RefusesUntil:
    """A 429 whose C{retry-after} is an HTTP date."""

    seconds: float

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the refusal, with the date as it is now."""
        date = formatdate(WALL + asked.at + self.seconds, usegmt=True).encode()
        return Refuses(429, headers=((b"retry-after", date),)).steps(asked)


def _row(name: str, status: int, blame: Blame, *, says: str | None = None, **effect: Any) -> Row:
    fields = effect.get("fields", {})
    headers = tuple((key.encode(), value.encode()) for key, value in fields.items())
    act = Refuses(status, says, headers=headers)
    scopes = {"scopes": OVERLOAD_SCOPES} if blame is Blame.OVERLOAD else {}
    told = Effect(blame=blame, status=status, kind=kind_of(status), **effect)
    return both(name, act, told, **scopes)


def _limited(name: str, wait: float | None = None, **effect: Any) -> Row:
    held: dict[str, Any] = {"held": 1.0, "hold": Hold.COOLING}
    if wait:
        held = {"held": wait, "hold": Hold.WAITING, "wait": wait}
    return _row(f"limits its key, {name}", 429, Blame.KEY, **held | effect)


MAPPED: Final = {"model_mapping": {"claude-*": "their-own-name"}}
_NOT_FOUND: Final = Effect(blame=Blame.PROVIDER, status=404, kind="not_found_error")
_DATED: Final = Effect(
    blame=Blame.KEY, status=429, kind="rate_limit_error", repeats=MORE,
    wait=3.0, hold=Hold.WAITING, held=3.0, slack=1.01,
)  # fmt: skip

_THE_REQUESTS_OWN: Final = (
    *(_row(f"answers {status}", status, Blame.CLIENT) for status in (400, 404, 413, 422)),
    _row("answers 400, to be sent again", 400, Blame.CLIENT, repeats=Repeats.ONCE, fields={SHOULD: "true"}),
)
_THE_KEYS: Final = (
    _row("does not know its key", 401, Blame.KEY, hold=Hold.INVALID),
    _row("forbids its key the model", 403, Blame.KEY, hold=Hold.MODEL, held=600.0),
    _row("wants to be paid", 402, Blame.KEY, hold=Hold.EXHAUSTED, held=3600.0),
    _row("has no credit left", 400, Blame.KEY, says=NO_CREDIT, hold=Hold.EXHAUSTED, held=3600.0),
    _limited("for 2 s", 2.0, repeats=MORE, fields={RETRY: "2"}),
    _limited("for 1.5 s", 1.5, repeats=MORE, fields={RETRY: "1.5"}),
    _limited("for 1500 ms", 1.5, repeats=MORE, fields={"retry-after-ms": "1500"}),
    both("limits its key, until a date", RefusesUntil(3.0), _DATED),
    _limited("without a time", repeats=MORE),
    _limited("for 0 s", repeats=MORE, fields={RETRY: "0"}),
    _limited("for 30 s", 30.0, fields={RETRY: "30"}),
    _limited("for three days", float(DAYS), fields={RETRY: str(DAYS)}),
    _limited("never to be asked again", fields={SHOULD: "false"}),
    _limited("for 2 s, never to be asked again", 2.0, fields={RETRY: "2", SHOULD: "false"}),
)
_THE_PROVIDERS: Final = (
    both("does not know the mapped model", Refuses(404), _NOT_FOUND, fields=MAPPED),
    *(
        _row(f"answers {status}", status, Blame.PROVIDER, repeats=MORE)
        for status in (408, 409, 500, 502, 503, 504)
    ),
    _row("answers 503, to be asked in 1 s", 503, Blame.PROVIDER, repeats=MORE, wait=1.0, fields={RETRY: "1"}),
    _row("answers 503, to be asked in 30 s", 503, Blame.PROVIDER, wait=30.0, fields={RETRY: "30"}),
    _row("answers 500, never again", 500, Blame.PROVIDER, fields={SHOULD: "false"}),
)
_OVERLOAD: Final = (
    _row("is overloaded", 529, Blame.OVERLOAD, repeats=MORE),
    _row("is overloaded, never again", 529, Blame.OVERLOAD, fields={SHOULD: "false"}),
)


def _redirects(status: int) -> Row:
    away = Sends(b"", "", status, ((b"location", b"http://thief/v1/messages"),))
    effect = Effect(
        blame=Blame.PROVIDER, status=502, kind="api_error", words=Words.PUT,
        says=f"answered {status}", repeats=MORE,
    )  # fmt: skip
    return both(f"redirects with {status}", away, effect)


REFUSALS: Final = (
    *_THE_REQUESTS_OWN, *_THE_KEYS, *_THE_PROVIDERS, *_OVERLOAD, _redirects(302), _redirects(307),
)  # fmt: skip

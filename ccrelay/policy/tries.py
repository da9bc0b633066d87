"""One try of a route: what it holds of breaker and key, and what its end means for both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from ccrelay.policy.ask import Ask
from ccrelay.policy.verdict import Verdict
from ccrelay.wire.usage import NOTHING_KNOWN, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.policy.admission import Admission
    from ccrelay.policy.allowance import Lease
    from ccrelay.policy.backend import Way
    from ccrelay.policy.keys import Key
    from ccrelay.policy.outcome import Outcome
    from ccrelay.policy.route import Route
    from ccrelay.policy.routing import Routing
    from ccrelay.wire.http import Pairs

_REFUSED: Final = Usage(0, 0, 0, 0)
_OF_THE_KEY: Final = re.compile(r"\b(?:account|organi[sz]ation|workspace|api[ -]?key)\b", re.IGNORECASE)
_OF_A_MODEL: Final = re.compile(r"\bmodels?\b", re.IGNORECASE)
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403


class Try:
    """
    A route that is being tried; L{end} must be called, once, whatever became of it.

    @ivar repeat: whether the same provider and key are asked once more.
    """

    def __init__(
        self,
        way: Way,
        route: Route,
        *,
        admission: Admission | None = None,
        lease: Lease | None = None,
        repeat: bool = False,
        routing: Routing,
        served: Callable[[Route, float], None],
    ) -> None:
        """
        @param admission: the leave of the breakers; None for requests that judge nobody.
        @param lease: what is reserved of the key.
        @param routing: told if the provider could not serve, and what the answer cost.
        @param served: told once the provider has begun with a real answer.
        """
        self.route = route
        self.repeat = repeat
        self.way = way
        self._admission = admission
        self._lease = lease
        self._routing = routing
        self._served = served
        self._whole = False
        way.backend.traffic.in_flight += 1

    def answering(self, now: float, usage: Usage, first_byte: float | None) -> None:
        """
        Take note that a real answer has begun.

        @param usage: as far as it is known.
        @param first_byte: seconds until then, where they tell how fast the provider is.
        """
        self._served(self.route, now)
        if first_byte is not None:
            self.way.backend.traffic.first_byte.took(first_byte)
        if self._lease is not None:
            self._lease.correct(usage)
        if self._admission is not None:
            self._admission.answered(now)

    def learn(self, headers: Pairs, now: float) -> None:
        """Take what an answer's header fields tell about the limits of the key."""
        if self.route.key is not None and self._admission is not None:
            self.route.key.learn(headers, self.route.model, now)

    def end(self, outcome: Outcome | None, usage: Usage, now: float) -> None:
        """
        Let go of everything, and judge.

        @param outcome: None if the client left or the relay ended it, which says nothing about anybody.
        @param usage: what the answer cost, as far as it is known.
        """
        self.way.backend.traffic.in_flight -= 1
        self._whole = outcome is not None and outcome.verdict is Verdict.OK
        if self._lease is not None:
            self._settle(self._lease, outcome, usage)
        if self._admission is None:
            return
        if outcome is None:
            self._admission.cancelled()
            return
        key = self.route.key
        if key is not None:
            _judge(key, outcome, now)
        self._judge_provider(self._admission, outcome, now)

    def remember(self, session: str, size: int, usage: Usage) -> None:
        """
        Let the next turn of a conversation be estimated by what this one has cost; to be called after L{end}.

        @param size: of the request's body, in bytes.
        """
        if not self._whole:
            usage = replace(usage, output=None)  # what was said of it is not how long answers are
        backend = self.way.backend
        self._routing.estimates.ended(
            session, self.way.model, size, usage, cache_reads=backend.count_cache_reads
        )

    def _settle(self, lease: Lease, outcome: Outcome | None, usage: Usage) -> None:
        if outcome is not None and outcome.never_arrived:
            lease.release()
        elif outcome is not None and outcome.complaint is not None and usage == NOTHING_KNOWN:
            lease.settle(_REFUSED)
        else:
            lease.settle(usage, cut_short=not self._whole)

    def _judge_provider(self, admission: Admission, outcome: Outcome, now: float) -> None:
        if outcome.verdict is Verdict.OK:
            admission.succeeded(now)
        elif outcome.verdict is Verdict.BUSY:
            admission.overloaded(now)
            self._routing.provider_failed(self.way.name, now)
        elif outcome.provider_failed or (outcome.limited and not self.way.own and self._all_limited(now)):
            admission.failed(now)
            self._routing.provider_failed(self.way.name, now)
        else:
            admission.cancelled()

    def _all_limited(self, now: float) -> bool:
        """Return whether no key of the provider could take such a request with any hope, for any model."""
        ask = Ask("", self.way.ask.input, self.way.ask.output)  # a wait for one model is no end of the others
        return not any(key.usable(now, ask) and not key.soft(now, ask) for key in self.way.backend.pool.keys)


def _judge(key: Key, outcome: Outcome, now: float) -> None:
    """Note on a key what the end of an attempt says about it."""
    if outcome.verdict is Verdict.OK:
        key.succeeded(now)
    complaint, model = outcome.complaint, outcome.route.model
    if complaint is None or outcome.verdict is not Verdict.KEY:
        return
    of_a_model = _OF_A_MODEL.search(complaint.message) or model in complaint.message
    if complaint.barred_for:
        key.bar(now + complaint.barred_for)
    elif complaint.status == _UNAUTHORIZED and key.secret is not None:
        key.invalidate(now)
    elif complaint.status == _FORBIDDEN:
        whole = _OF_THE_KEY.search(complaint.message) and not of_a_model
        key.exclude(None if whole else model, now)
    elif outcome.limited:
        key.limited(now, outcome.retry_after, model if of_a_model else None)

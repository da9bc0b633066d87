"""The observer that adds everything up: what Prometheus reads and the status page shows."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from ccrelay.observe.bounded import NONE, BoundedNames
from ccrelay.observe.cost import Costs
from ccrelay.observe.histogram import WORKING, Histogram
from ccrelay.observe.sums import Sums
from ccrelay.policy.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.relay.events import AttemptEnded, RequestEnded
    from ccrelay.relay.upstreams import Upstreams

_MESSAGES: Final = "/v1/messages"
_SUCCESS: Final = range(200, 300)
_FAILURE: Final = 400
_SESSIONS: Final = 1000
_LONGEST: Final = 256
_SHOWN: Final = 60
_CODES: Final = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}


class Session:
    """
    A conversation's sums.

    @ivar last: when its last request ended, in seconds since the epoch.
    """

    __slots__ = ("client", "last", "sums")

    def __init__(self) -> None:
        self.sums = Sums()
        self.client = ""
        self.last = 0.0


class Ended(NamedTuple):
    """
    A request that has ended, as it is remembered.

    @ivar at: when, in seconds since the epoch.
    @ivar cost: in US dollars, or None.
    """

    at: float
    cost: float | None
    request: RequestEnded


class Ledger:
    """
    Adds up attempts and requests since the start.

    Everything here is bounded: models and flags that clients name by the
    first hundred of them, sessions by the last thousand.  A plain dict for
    each metric costs a request a third of what prometheus-client's own
    counters do, and the page needs the same sums; the text is made when
    somebody reads it.

    @ivar requests: by provider, model, class of status, and whether it was streamed.
    @ivar attempts: by provider and verdict.
    @ivar failovers: by the provider that was left, and why.
    @ivar spent: by provider and model.
    @ivar first_byte: from the head of a request to its answer's first byte, by provider, in seconds.
    @ivar own: the relay's own share of that, in seconds.
    @ivar recent: the last requests, the newest last.
    @ivar costs: what they have cost.
    """

    def __init__(
        self,
        upstreams: Callable[[], Upstreams],
        wall: Callable[[], float],
        listed: Callable[[str, str], bool] = lambda _provider, _model: False,
        recent: int = 50,
    ) -> None:
        """
        @param upstreams: returns the providers in use.
        @param wall: returns seconds since the epoch.
        @param listed: returns whether a provider of that name has said that it has a model.
        @param recent: so many requests are remembered.
        """
        self._upstreams = upstreams
        self.costs = Costs(upstreams)
        self._wall = wall
        self._listed = listed
        self.models = BoundedNames()
        self._flags = BoundedNames()
        self.totals = Sums()
        self.requests: Counter[tuple[str, str, str, str]] = Counter()
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.failovers: Counter[tuple[str, str]] = Counter()
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.mended: Counter[tuple[str, str]] = Counter()
        self.spent: defaultdict[tuple[str, str], Sums] = defaultdict(Sums)
        self.clients: defaultdict[str, Sums] = defaultdict(Sums)
        self.sessions: OrderedDict[str, Session] = OrderedDict()
        self.first_byte: defaultdict[str, Histogram] = defaultdict(Histogram)
        self.duration: defaultdict[str, Histogram] = defaultdict(Histogram)
        self.own = Histogram(WORKING)
        self.recent: deque[Ended] = deque(maxlen=recent)
        self.waits: deque[float] = deque(maxlen=_SHOWN)
        self.waits_of: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_SHOWN))

    def attempt_ended(self, attempt: AttemptEnded) -> None:
        """Count an attempt, and what it was sent without."""
        provider = attempt.provider
        self.attempts[provider, attempt.verdict.value] += 1
        for name in attempt.dropped:
            self.dropped[provider, self._flags.known(name)] += 1
        for how in attempt.mended:
            self.mended[provider, how] += 1

    def request_ended(self, request: RequestEnded) -> None:
        """Count a request; the quiet ones are not worth it."""
        if request.quiet:
            return
        if len(request.session) > _LONGEST or len(request.path) > _LONGEST:
            # What clients send may be as long as a head is; it is kept for long.
            request = replace(request, session=request.session[:_LONGEST], path=request.path[:_LONGEST])
        attempts = request.attempts
        last = attempts[request.answered] if attempts else None
        provider = last.provider if last else NONE
        model = self._model(request)
        well = request.status in _SUCCESS
        code = _CODES.get(request.status // 100, "none")
        self.requests[provider, model, code, "true" if request.stream else "false"] += 1
        for attempt, following in pairwise(attempts):
            if attempt.provider != following.provider:
                self.failovers[attempt.provider, attempt.verdict.value] += 1
        cost, priced = self.costs(request) if last else (None, True)
        if request.model or last:
            self._add(request, provider, model, cost, priced=priced)
        self.duration[provider].observe(request.duration)
        if well and last is not None and request.first_byte is not None and request.path == _MESSAGES:
            self._wait(request, provider, request.first_byte)
        self.recent.append(Ended(self._wall(), cost, request))

    def forget(self, providers: set[str]) -> None:
        """Forget the sparklines of providers that are no more; their counts stay, as counts do."""
        for name in self.waits_of.keys() - providers:
            del self.waits_of[name]

    def _model(self, request: RequestEnded) -> str:
        """Return the label of what was asked for: known is what was answered, configured or listed."""
        last = request.attempts[request.answered] if request.attempts else None
        name = last.model if last else request.model
        if not name:
            return NONE
        if request.status in _SUCCESS:
            return self.models.known(name)
        upstream = self._upstreams().get(last.provider) if last else None
        if upstream is None:
            return self.models.named(name)
        known = upstream.backend.offers(name) or self._listed(upstream.name, name)
        return self.models.known(name) if known else self.models.named(name)

    def _add(
        self, request: RequestEnded, provider: str, model: str, cost: float | None, *, priced: bool
    ) -> None:
        failed = request.status >= _FAILURE or not request.status
        usage = request.usage
        targets = [self.totals, self.spent[provider, model], self.clients[request.client]]
        if request.session:
            session = self.sessions.get(request.session)
            if session is None:
                session = self.sessions[request.session] = Session()
                if len(self.sessions) > _SESSIONS:
                    self.sessions.popitem(last=False)
            self.sessions.move_to_end(request.session)
            session.client, session.last = request.client, self._wall()
            targets.append(session.sums)
        for sums in targets:
            sums.add(usage, cost, failed=failed, priced=priced)

    def _wait(self, request: RequestEnded, provider: str, first_byte: float) -> None:
        self.first_byte[provider].observe(first_byte)
        self.waits.append(first_byte)
        self.waits_of[provider].append(first_byte)
        if len(request.attempts) == 1 and request.attempts[0].verdict is Verdict.OK:
            theirs = request.attempts[0].first_body
            if theirs is not None:
                # A ping may have gone before the provider's first byte; then it was not waited for.
                self.own.observe(max(first_byte - request.received - theirs, 0.0))

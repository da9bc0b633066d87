"""One client's request from its head to its end, and what is known of it so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError

from ccrelay.policy.client import NOBODY
from ccrelay.relay.events import COMPLETE, RequestEnded
from ccrelay.wire.usage import NOTHING_KNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred

    from ccrelay.errors import RelayError
    from ccrelay.policy.conversation import Conversation
    from ccrelay.policy.route import Route
    from ccrelay.relay.events import AttemptEnded, IObserver


class Exchange:
    """
    The running account of one request; whoever learns something writes it here.

    @ivar id: in C{x-ccrelay-request-id}, in every log line and error.
    @ivar strategy: what chose the first provider; C{conversation}: what may have kept it at another.
    @ivar weight: bytes of the request, as far as they cost a model.
    @ivar route: the one that is or was tried last; C{attempt}: how many there were.
    @ivar answered: which of the attempts the answer is from; -1 for the last.
    @ivar received: seconds from the request's head to the end of its body, once that has come.
    @ivar why: why it ended; the first reason given stays.
    @ivar interrupted: the relay's own reason for cutting it short, which tells
        that apart from a client that left: both arrive as a cancellation.
    """

    def __init__(
        self, request_id: str, method: str, path: str, started: float, observers: Sequence[IObserver]
    ) -> None:
        """@param started: seconds of the clock that L{end} is told, too."""
        self.id = request_id
        self.method = method
        self.path = path
        self.started = started
        self.client = NOBODY
        self.session = ""
        self.strategy = ""
        self.conversation: Conversation | None = None
        self.weight = 0
        self.model = ""
        self.stream = False
        self.status = 0
        self.sent = 0
        self.usage = NOTHING_KNOWN
        self.attempts: list[AttemptEnded] = []
        self.route: Route | None = None
        self.attempt = 0
        self.answered = -1
        self.first_byte: float | None = None
        self.received = 0.0
        self.why = ""
        self.quiet = False
        self.interrupted: RelayError | None = None
        self._work: Deferred[None] | None = None
        self._held = False
        self._ended: float | None = None
        self._observers: Sequence[IObserver] | None = observers

    def trying(self, route: Route) -> None:
        """Note which route is being tried."""
        self.route = route
        self.attempt += 1

    def tried(self, attempt: AttemptEnded) -> None:
        """Note a finished attempt and tell the observers."""
        self.attempts.append(attempt)
        for observer in self._observers or ():
            observer.attempt_ended(attempt)

    def because(self, why: str) -> None:
        """Give a reason for the end; only the first one counts."""
        self.why = self.why or why

    async def working(self, work: Deferred[None]) -> None:
        """
        Await the work on this request, so that L{interrupt} can end it.

        @raise RelayError: the reason of an interruption, if the work did not answer with it.
        """
        self.hold()
        self.under_way(work)
        try:
            await work
        except CancelledError:
            if self.interrupted is not None:
                raise self.interrupted from None
            raise
        finally:
            self.let_go()

    def hold(self) -> None:
        """Tell nobody of the end before L{let_go}: who works on the request has more to say."""
        self._held = True

    def under_way(self, work: Deferred[None]) -> None:
        """Note what L{interrupt} cancels."""
        self._work = work

    def let_go(self) -> None:
        """The work is done: tell the observers, if the end has come."""
        self._work = None
        self._held = False
        if self._ended is not None:
            self._tell(self._ended)

    def interrupt(self, error: RelayError) -> None:
        """End the request for a reason of the relay's own, if work on it has begun."""
        if self._work is not None:
            self.interrupted = error
            self._work.cancel()

    def end(self, now: float) -> None:
        """The last byte has gone, or the client has: tell the observers, once the work is done, once."""
        if self._held:
            self._ended = now
        else:
            self._tell(now)

    def _tell(self, now: float) -> None:
        observers, self._observers = self._observers, None
        if observers is None:
            return
        ended = RequestEnded(
            self.id, self.method, self.path, self.client.name, self.session, self.model, self.stream,
            self.status, self.sent, self.usage, tuple(self.attempts), self.first_byte,
            now - self.started, self.why or COMPLETE, self.quiet, self.answered,
            self.received,
        )  # fmt: skip
        for observer in observers:
            observer.request_ended(ended)

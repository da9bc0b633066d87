"""Sends a request to a provider and hands back its answer, within limits of time and number."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.web.iweb import UNKNOWN_LENGTH

from ccrelay.errors import FirstByteTimeout, NoneFree, UpstreamError
from ccrelay.http1.response import Response
from ccrelay.upstream.body import COMPLAINT_LIMIT, Collected, RequestBody, ResponseBody
from ccrelay.upstream.deadlines import Deadlines
from ccrelay.upstream.failures import broken_body, ended_by_us, upstream_error
from ccrelay.upstream.lean import decoded
from ccrelay.wire.http import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IBodyProducer, IResponse

    from ccrelay.upstream.body import IReceiver
    from ccrelay.wire.http import Pairs, UpstreamRequest

_CLOSING_S: Final = 2.0
_NOT_WHOLE: Final = "the answer was not whole in time"
LONGEST_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes of a whole, not streamed, answer."""


def _nothing() -> None:
    """Nothing is to be given back."""


class UpstreamResponse:
    """
    An answer whose body has not been read.

    One of L{deliver}, L{complaint}, L{whole} or L{drop} must be called, once.
    """

    def __init__(self, response: IResponse, release: Callable[[], None], clock: IReactorTime) -> None:
        self._response = response
        self._release = release
        self._clock = clock
        length = None if response.length is UNKNOWN_LENGTH else response.length
        self.head = ResponseHead(response.code, _fields(response), length)

    def deliver(self, receiver: IReceiver) -> ResponseBody:
        """Hand the body to C{receiver} as it comes; return what pauses and stops it."""
        body = ResponseBody(receiver, self._release)
        self._response.deliverBody(body)
        return body

    def complaint(self) -> Deferred[bytes]:
        """Return the first 64 KiB of the body; cancelling hangs up."""
        return self._collect(Collected(COMPLAINT_LIMIT, whole=False))

    def whole(self) -> Deferred[bytes]:
        """
        Return the body; cancelling hangs up.

        @return: a Deferred that fails with L{Broken} if the body is cut short or too large.
        """
        return self._collect(Collected(LONGEST_MESSAGE, whole=True))

    async def whole_within(self, seconds: float) -> bytes:
        """
        Return the body, at once where all of it has come with the head.

        @raise Broken: if it is cut short or too large.
        @raise FirstByteTimeout: if it is not whole in time.
        """
        response = self._response
        if isinstance(response, Response):
            body = response.taken()
            if body is not None:
                self._release()
                return body

        def too_late(_result: object, _seconds: float) -> NoReturn:
            raise FirstByteTimeout(_NOT_WHOLE)

        return await self.whole().addTimeout(seconds, self._clock, too_late)

    def drop(self) -> None:
        """Hang up without reading."""
        self.deliver(Collected(0, whole=False)).stop()

    def _collect(self, collected: Collected) -> Deferred[bytes]:
        collected.body = ResponseBody(collected, self._release)
        self._response.deliverBody(collected.body)
        return collected.result


def _fields(response: IResponse) -> Pairs:
    if isinstance(response, Response):
        return response.fields
    listed = response.headers.getAllRawHeaders()
    return tuple((name.lower(), value) for name, values in listed for value in values)


def _too_late(within: float) -> FirstByteTimeout:
    return FirstByteTimeout(f"no answer began within {within:g} s")


class ITreq(Protocol):
    """A treq client as it is used here."""

    def send(self, method: str, url: str, fields: Pairs, body: IBodyProducer | None) -> Deferred[IResponse]:
        """Send a request; its answer is neither kept nor followed elsewhere."""


class IPool(Protocol):
    """The connections that a treq client keeps."""

    def retire(self) -> None:
        """Close what is idle, and keep nothing from now on."""

    def closeCachedConnections(self) -> Deferred[None]:
        """Close what is idle; the Deferred fires when it is."""


class UpstreamClient:
    """
    The way to one provider.

    treq sits on an agent of our own; of its habits only the decoding of gzip
    is used: it keeps no body, no cookie, and follows no redirect.
    """

    def __init__(self, clock: IReactorTime, treq: ITreq, pool: IPool, limit: int, patience: float) -> None:
        """
        @param limit: requests at once.
        @param patience: seconds a request waits for its turn when there are more.
        @ivar free: how many more requests could be under way.
        """
        self._clock = clock
        self._treq = treq
        self._pool = pool
        self.limit = limit
        self._patience = patience
        self.free = limit
        self._queue: deque[Deferred[None]] = deque()
        self._deadlines = Deadlines(clock)

    async def send(
        self,
        request: UpstreamRequest,
        within: float,
        body: IBodyProducer | None = None,
        *,
        queued: bool = True,
    ) -> UpstreamResponse:
        """
        Send a request and return the answer once its head has come.

        @param within: seconds for that, from being sent.
        @param body: sent instead of C{request.body}, for bodies that arrive while they are sent.
        @param queued: whether it counts among the requests of which there may be C{limit}; probes do not.
        @raise Unreachable: no connection; L{NoneFree} if all that there may be are in use.
        @raise FirstByteTimeout: no answer in time.
        @raise Broken: the connection was lost, or what came is not HTTP.
        @raise RelayError: why C{body} broke off.
        """
        if not queued:
            return UpstreamResponse(await self._exchange(request, within, body), _nothing, self._clock)
        # A Deferred is made only where one has to wait: 3 % of a small request.
        if self.free:
            self.free -= 1
        else:
            await self._turn()
        try:
            response = await self._exchange(request, within, body)
        except BaseException:
            self._given_back()
            raise
        return UpstreamResponse(response, self._given_back, self._clock)

    async def _turn(self) -> None:
        def too_long(_result: object, seconds: float) -> NoReturn:
            msg = f"all {self.limit} connections are in use and none came free within {seconds:g} s"
            raise NoneFree(msg)

        turn: Deferred[None] = Deferred(self._queue.remove)
        self._queue.append(turn)
        await turn.addTimeout(self._patience, self._clock, too_long)

    def _given_back(self) -> None:
        if self._queue:
            self._queue.popleft().callback(None)
        else:
            self.free += 1

    async def _exchange(
        self, request: UpstreamRequest, within: float, body: IBodyProducer | None
    ) -> IResponse:
        if body is None and request.body is not None:
            body = RequestBody(request.body)

        late = False
        try:
            sending = self._treq.send(request.method, request.url, request.headers, body)
            self._deadlines.add(sending, within)
            try:
                answer = await sending
            finally:
                late = self._deadlines.done(sending)
            return decoded(answer) if isinstance(answer, Response) else answer
        except (CancelledError, UpstreamError):
            if late:
                raise _too_late(within) from None
            raise
        except Exception as error:  # noqa: BLE001  everything a transport can raise becomes one of our tree
            if late:
                raise _too_late(within) from None
            if ended_by_us(error):
                raise CancelledError from None
            raise broken_body(error) or upstream_error(error) from None

    def retire(self) -> None:
        """Keep no connection any more; those in use end with their requests."""
        self._pool.retire()

    def close(self) -> Deferred[None]:
        """Close the kept connections; it does not wait longer than 2 s for them."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        closing.addTimeout(_CLOSING_S, self._clock, lambda _result, _seconds: None)
        return closing.addErrback(lambda _: succeed(None))

"""Batches, files and other account-bound resources, relayed unread to the one account they live in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.web.http import NO_BODY_CODES
from zope.interface import implementer

from ccrelay.errors import AllFailed, NotFound, UpstreamError
from ccrelay.policy.route import Route
from ccrelay.relay.events import CLIENT_LEFT
from ccrelay.wire import headers as fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IBodyProducer

    from ccrelay.policy.client import Client
    from ccrelay.relay.exchange import Exchange
    from ccrelay.relay.interfaces import IClientResponse
    from ccrelay.relay.upstreams import Upstream, Upstreams
    from ccrelay.upstream.body import ResponseBody
    from ccrelay.upstream.client import UpstreamResponse
    from ccrelay.wire.http import Pairs

_ANSWER_S: Final = 3600.0
"""Seconds for a large file to go up and be answered; a client that stalls is found out sooner."""


class ResourceRelay:
    """Relays requests for account-bound resources; there is no other candidate to try."""

    def __init__(self, upstreams: Upstreams, clock: IReactorTime, wall: Callable[[], float]) -> None:
        """@param wall: returns seconds since the epoch."""
        self._upstreams = upstreams
        self._clock = clock
        self._wall = wall

    async def answer(
        self,
        exchange: Exchange,
        query: bytes,
        headers: Pairs,
        body: IBodyProducer | None,
        response: IClientResponse,
    ) -> None:
        """
        Relay a request and its answer, both as they come.

        @param body: the request's, as it arrives; None if it has none.
        @raise NotFound: if no provider holds such resources for this client.
        @raise AllFailed: if the provider could not be reached.
        """
        upstream = self._upstreams.account
        client = exchange.client
        if (
            upstream is None
            or not upstream.provider.capabilities.resources
            or not client.may_use(upstream.name)
        ):
            msg = (
                f"{exchange.path} belongs to one account, and no provider here is that account: "
                "set routing.account_provider to a provider of type anthropic."
            )
            raise NotFound(msg)
        route = self._route(upstream, client)
        if route is None:
            msg = f"The provider {upstream.name} has no key that may be used for {exchange.path} now."
            raise NotFound(msg)
        exchange.trying(route)
        if client.bearer is not None and route.key is not None:
            headers = fields.without_beta(headers, fields.OAUTH_BETA)
        request = upstream.provider.resource(exchange.method, exchange.path, query, headers)
        request = request.adding(*upstream.headers)
        request = await upstream.credential(route, client).authorize(request, self._wall())
        try:
            answer = await upstream.client.send(request, _ANSWER_S if body else upstream.limits.whole, body)
        except UpstreamError as error:
            failed = AllFailed(f"The provider {upstream.name} did not answer: {error.message}.")
            failed.status, failed.kind = error.status, error.kind
            raise failed from None
        await _Raw(response, self._clock, upstream.limits.idle, exchange).run(answer)

    def _route(self, upstream: Upstream, client: Client) -> Route | None:
        """Return how the account is reached: by the client's own bearer, else by its first usable key."""
        if client.bearer is not None and upstream.backend.passthrough:
            return Route(upstream.name, None, "")
        keys = [key for key in upstream.backend.pool.keys if client.pooled and key.usable(self._wall())]
        best = max(keys, key=lambda key: key.priority, default=None)
        return None if best is None else Route(upstream.name, best, "")


@implementer(IPushProducer)
class _Raw:
    """An answer's body on its way down, byte for byte."""

    def __init__(
        self, response: IClientResponse, clock: IReactorTime, idle: float, exchange: Exchange
    ) -> None:
        self._response = response
        self._clock = clock
        self._idle = idle
        self._exchange = exchange
        self._body: ResponseBody | None = None
        self._timer = clock.callLater(idle, self._stalled)
        self._over: Deferred[None] = Deferred(self._cancel)

    def run(self, answer: UpstreamResponse) -> Deferred[None]:
        pairs = fields.downward_resource(answer.head.headers)
        if answer.head.length is not None and answer.head.status not in NO_BODY_CODES:
            pairs = (*pairs, (b"content-length", b"%d" % answer.head.length))
        self._response.begin(answer.head.status, pairs)
        self._response.register(self)
        self._body = answer.deliver(self)
        if self._over.called:
            self._body.stop()
        return self._over

    def received(self, data: bytes) -> None:
        if not self._over.called:
            self._timer.reset(self._idle)
            self._response.write(data)

    def ended(self, error: UpstreamError | None) -> None:
        if self._over.called:
            return
        if error is None:
            self._release()
            self._response.finish()
            self._over.callback(None)
        else:
            self._cut(f"upstream lost: {error.message}")

    def pauseProducing(self) -> None:
        if self._body is not None:
            self._body.pause()

    def resumeProducing(self) -> None:
        if not self._over.called:
            self._timer.reset(self._idle)
        if self._body is not None:
            self._body.resume()

    def stopProducing(self) -> None:
        """The client has gone; the cancellation that follows releases everything."""

    def _stalled(self) -> None:
        self._cut(f"nothing moved for {self._idle:g} s")

    def _cancel(self, _over: Deferred[None]) -> None:
        """The client has gone, or the relay ends this: words behind a part would make another file of it."""
        ending = self._exchange.interrupted
        self._cut(CLIENT_LEFT if ending is None else ending.message)

    def _cut(self, why: str) -> None:
        """End it so that the client cannot take the part for the whole."""
        self._exchange.because(why)
        self._release()
        self._response.abort()
        self._over.callback(None)

    def _release(self) -> None:
        if self._timer.active():
            self._timer.cancel()
        self._response.unregister()
        if self._body is not None:
            self._body.stop()

"""The HTTP agent of one provider: which connections it keeps, and how it makes new ones."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IHandshakeListener, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.web._newclient import HTTP11ClientProtocol, RequestNotSent, RequestTransmissionFailed
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from ccrelay.http1.agent import Agent as LeanAgent
from ccrelay.http1.pool import Pool
from ccrelay.upstream.address import known
from ccrelay.upstream.body import RequestBody
from ccrelay.upstream.client import UpstreamClient
from ccrelay.upstream.connecting import NamedHost
from ccrelay.upstream.lean import LeanClient
from ccrelay.upstream.proxy import ThroughProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
    from twisted.python.failure import Failure
    from twisted.web.iweb import IBodyProducer, IPolicyForHTTPS, IResponse

    from ccrelay.upstream.client import IPool, ITreq
    from ccrelay.wire.http import Pairs
    from ccrelay.wire.proxy import Proxy

KEPT_S: Final = 50.0
"""Seconds an idle connection is kept: less than providers keep theirs, so few are found dead."""


@implementer(IHandshakeListener)
class _Connection(HTTP11ClientProtocol):
    """A client connection that tells when its TLS handshake is done, and that ends at once when told to."""

    transport: Any
    _handshake: Deferred[None] | None = None

    def secured(self) -> Deferred[_Connection]:
        """Return a Deferred of this connection, once it is fit for a request."""
        if not ISSLTransport.providedBy(self.transport):
            return succeed(self)
        self._handshake = Deferred(lambda _: self.transport.abortConnection())
        return self._handshake.addCallback(lambda _: self)

    def handshakeCompleted(self) -> None:
        """Twisted calls this when the peer has proved who it is."""
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        waiting, self._handshake = self._handshake, None
        super().connectionLost(reason)
        if waiting is not None and not waiting.called:
            waiting.errback(reason)

    def abort(self) -> Deferred[None]:
        """
        End the connection and its request now.

        The inherited method would wait for unsent bytes, and over TLS for a
        peer that may never answer (twisted/twisted#7926, #8930).
        """
        done = super().abort()
        if self._state != "CONNECTION_LOST":
            self.transport.abortConnection()
        return cast("Deferred[None]", done)


class _Factory:
    def __init__(self, quiescent: Callable[[HTTP11ClientProtocol], None], description: str) -> None:
        self._quiescent = quiescent
        self._description = description

    def __repr__(self) -> str:
        return f"<connections to {self._description}>"

    def doStart(self) -> None:
        """Part of Twisted's factory interface; nothing to do."""

    def doStop(self) -> None:
        """Part of Twisted's factory interface; nothing to do."""

    def buildProtocol(self, _address: object) -> _Connection:
        return _Connection(self._quiescent)


class _Kept:
    """
    A connection from the pool, which the provider may have closed meanwhile.

    If it dies before one byte of the answer, the request goes once more, on
    a new connection: the provider has not begun with it, or cannot tell.
    """

    def __init__(self, connection: _Connection, new: Callable[[], Deferred[_Connection]]) -> None:
        self._connection = connection
        self._new = new

    def request(self, request: Any) -> Deferred[IResponse]:  # noqa: ANN401  Twisted's private Request
        return self._connection.request(request).addErrback(self._again, request)

    def _again(self, failure: Failure, request: Any) -> Any:  # noqa: ANN401
        died = failure.check(ResponseNeverReceived, RequestTransmissionFailed, RequestNotSent)
        body = request.bodyProducer
        if not died or not _peer_left(failure) or not (body is None or isinstance(body, RequestBody)):
            return failure
        return self._new().addCallback(lambda connection: connection.request(request))


def _peer_left(failure: Failure) -> bool:
    """Return whether the peer ended the connection, rather than we."""
    reasons = getattr(failure.value, "reasons", ())
    from twisted.internet.error import ConnectionDone, ConnectionLost  # noqa: PLC0415

    return all(reason.check(ConnectionDone, ConnectionLost) for reason in reasons)


class Connections(HTTPConnectionPool):
    """
    The kept connections of one provider; the latest used goes first.

    Twisted's own pool takes the oldest, which spreads use over all and so
    finds the stalest, and repeats no POST on a connection found dead.
    """

    retryAutomatically = False
    cachedConnectionTimeout: Any = KEPT_S
    _factory: Any = _Factory

    def __init__(self, clock: IReactorTime, limit: int, connect_timeout: float) -> None:
        super().__init__(clock, persistent=True)
        self.maxPersistentPerHost = limit
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._retired = False

    def retire(self) -> None:
        """Close what is idle, and keep nothing from now on."""
        self._retired = True
        self.closeCachedConnections().addErrback(lambda _: None)

    def _putConnection(self, key: Hashable, connection: Any) -> None:  # noqa: ANN401  Twisted's own hook
        if self._retired:
            connection.abort()
        else:
            super()._putConnection(key, connection)

    def getConnection(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[Any]:
        """Return a kept connection, or a new one that is ready: connected and, if TLS, verified."""
        kept = self._connections.get(key)
        while kept:
            connection = kept.pop()
            self._timeouts.pop(connection).cancel()
            if connection.state == "QUIESCENT":
                return succeed(_Kept(connection, lambda: self._newConnection(key, endpoint)))
        return self._newConnection(key, endpoint)

    def _newConnection(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[Any]:
        made: Deferred[Any] = super()._newConnection(key, endpoint)
        made.addCallback(_Connection.secured)

        def too_slow(_result: object, seconds: float) -> NoReturn:
            raise ConnectTimeout(string=f"no connection within {seconds:g} s")

        return made.addTimeout(self._connect_timeout, self._clock, too_slow)


@implementer(IAgentEndpointFactory)
class Endpoints:
    """Where a URL's host is connected to; one endpoint a host, made once."""

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401
        policy: IPolicyForHTTPS,
        connect_timeout: float,
        proxy: Proxy | None = None,
    ) -> None:
        """
        @param connect_timeout: seconds.
        @param proxy: what connects for us; None for nobody.
        """
        self._reactor = reactor
        self._policy = policy
        self._timeout = connect_timeout
        self._proxy = proxy
        self._made: dict[tuple[bytes, bytes, int], IStreamClientEndpoint] = {}

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Return the endpoint of the URI's host and port."""
        key = (uri.scheme, uri.host, uri.port)
        endpoint = self._made.get(key)
        if endpoint is None:
            endpoint = self._way(uri.host, uri.port)
            if uri.scheme == b"https":
                endpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
            self._made[key] = endpoint
        return endpoint

    def _way(self, host: bytes, port: int) -> IStreamClientEndpoint:
        proxy = self._proxy
        if proxy is None:
            return NamedHost(self._reactor, host, port, self._timeout)
        to_proxy = NamedHost(self._reactor, proxy.host.encode("ascii"), proxy.port, self._timeout)
        return ThroughProxy(self._reactor, to_proxy, proxy, host, port, self._timeout)


class PlainClient(HTTPClient):
    """A treq client that keeps no cookie and asks for plain bytes."""

    def __init__(self, clock: IReactorTime, agent: IAgent) -> None:
        super().__init__(_Identity(agent), cookiejar=no_cookies())
        self._clock = clock

    def send(self, method: str, url: str, fields: Pairs, body: IBodyProducer | None) -> Deferred[IResponse]:
        """
        Send a request, unbuffered and without redirects.

        @param fields: names in lower case.
        """
        headers = Headers()
        for name, value in fields:
            headers.addRawHeader(name, value)
        sending: Any = self.request(
            method,
            known(url),
            headers=headers,
            data=body,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._clock,  # type: ignore[arg-type]
        )
        return cast("Deferred[IResponse]", sending)


def no_cookies() -> IndexableCookieJar:
    """Return a jar that takes none: what a provider sets is not for the next client."""
    return IndexableCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))


@implementer(IAgent)
class _Identity:
    """Asks for plain bytes: compression would hold a stream's events back."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        if headers is not None:
            headers.setRawHeaders(b"accept-encoding", [b"identity"])
        return self._agent.request(method, uri, headers, bodyProducer)


def client_over(
    http: str,
    clock: IReactorTime,
    endpoints: IAgentEndpointFactory,
    limit: int,
    connect_timeout: float,
    patience: float | None = None,
) -> UpstreamClient:
    """
    Return the way to where C{endpoints} says.

    @param http: what speaks HTTP, C{llhttp} or C{twisted}.
    @param limit: requests at once.
    @param connect_timeout: seconds.
    @param patience: seconds that a request waits for its turn when there are more; None for as many.
    """
    treq: ITreq
    pool: IPool
    if http == "llhttp":
        pool = Pool(clock, connect_timeout, KEPT_S)
        treq = LeanClient(LeanAgent(endpoints, pool), cookiejar=no_cookies())
    else:
        pool = Connections(clock, limit, connect_timeout)
        treq = PlainClient(clock, Agent.usingEndpointFactory(clock, endpoints, pool))
    return UpstreamClient(clock, treq, pool, limit, connect_timeout if patience is None else patience)

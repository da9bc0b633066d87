"""Whether a provider can be reached at all: its name, its port, and who answers there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IHandshakeListener, ISSLTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.web.client import URI
from zope.interface import implementer

from ccrelay.upstream.failures import upstream_error

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure
    from twisted.web.iweb import IAgentEndpointFactory

Found: TypeAlias = tuple[str, bool | None, str, str]
"""What was looked at, whether it works, in which words, and what to do."""


@implementer(IHandshakeListener)
class _Greeting(Protocol):
    """A connection that says nothing."""

    transport: Any

    def __init__(self) -> None:
        self._handshake: Deferred[None] | None = None

    def secured(self) -> Deferred[None]:
        """Return what fires when the peer has proved who it is; at once without TLS."""
        if not ISSLTransport.providedBy(self.transport):
            return succeed(None)
        self._handshake = Deferred(lambda _: self.transport.abortConnection())
        return self._handshake

    def handshakeCompleted(self) -> None:
        """See L{IHandshakeListener}."""
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See L{Protocol}."""
        waiting, self._handshake = self._handshake, None
        if waiting is not None and not waiting.called:
            waiting.errback(reason)

    @property
    def told(self) -> str:
        """What the peer has shown."""
        if not ISSLTransport.providedBy(self.transport):
            return "not encrypted"
        transport: Any = self.transport
        connection, certificate = transport.getHandle(), transport.getPeerCertificate()
        ends = certificate.get_notAfter().decode("ascii")
        day = f"{ends[:4]}-{ends[4:6]}-{ends[6:8]}"
        return f"{connection.get_protocol_version_name()}, certificate good until {day}"


async def reached(
    url: str, endpoints: IAgentEndpointFactory, clock: IReactorTime, within: float
) -> tuple[bool, list[Found]]:
    """
    Connect to where a provider is, and hang up.

    @param within: seconds.
    @return: whether it can be asked, and what was found.
    """
    host = urlsplit(url).hostname or url
    endpoint = endpoints.endpointForURI(URI.fromBytes(url.encode("ascii", "backslashreplace")))
    try:
        connecting = endpoint.connect(Factory.forProtocol(_Greeting))
        greeting: Any = await connecting.addTimeout(within, clock)
    except Exception as problem:  # noqa: BLE001  whatever a transport can raise
        return False, [("reach", False, _words(problem, within), f"check base_url and proxy; is {host} up?")]
    found: list[Found] = [("reach", True, "", "")]
    try:
        await greeting.secured().addTimeout(within, clock)
        found.append(("TLS", True if url.startswith("https:") else None, greeting.told, ""))
        there = True
    except Exception as problem:  # noqa: BLE001  likewise
        remedy = "check the host name in base_url; for an authority of your own set ca_file"
        found.append(("TLS", False, _words(problem, within), remedy))
        there = False
    greeting.transport.abortConnection()
    return there, found


def _words(problem: Exception, within: float) -> str:
    if isinstance(problem, CancelledError | TimeoutError):
        return f"no answer within {within:g} s"
    return upstream_error(problem).message

"""The status of a relay as it changes, listened to for as long as somebody looks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from ccrelay.wire.sse import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse

    from ccrelay.cli.asking import Relay

_SILENT_S: Final = 5.0
"""Seconds without a picture after which the relay counts as away."""
_LONGEST_S: Final = 15.0
_LARGEST: Final = 16 * 1024 * 1024
_OK: Final = 200


@implementer(IAgentEndpointFactory)
class _Where:
    """The one place that is asked, whatever a URL says."""

    def __init__(self, relay: Relay, reactor: Any) -> None:  # noqa: ANN401
        self._relay = relay
        self._reactor = reactor

    def endpointForURI(self, _uri: object) -> IStreamClientEndpoint:
        relay = self._relay
        if relay.path is not None:
            return UNIXClientEndpoint(self._reactor, relay.path, timeout=_SILENT_S)
        kind = TCP6ClientEndpoint if ":" in relay.host else TCP4ClientEndpoint
        return kind(self._reactor, relay.host, relay.port, timeout=_SILENT_S)


class _Pictures(Protocol):
    """Takes server-sent events apart."""

    def __init__(self, seen: Callable[[dict[str, Any]], None]) -> None:
        self._seen = seen
        self._rest = b""
        self.ended: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Show the newest picture that is whole."""
        self._rest += data
        whole, found, rest = self._rest.rpartition(b"\n\n")
        self._rest = rest if found else self._rest
        if len(self._rest) > _LARGEST:
            self._rest = b""
        pictures = [told for _, told in events(whole + found)] if found else []
        if pictures:
            self._seen(json.loads(pictures[-1]))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  it is over, whyever
        """Say that it is over."""
        if not self.ended.called:
            self.ended.callback(None)


class Watch:
    """
    Listens to a relay, and comes back to it when it was away.

    @ivar away: since when there was no picture, in seconds of the clock; None while there are.
    @ivar again: when the relay is asked again, in seconds of the clock.
    """

    def __init__(
        self,
        relay: Relay,
        reactor: Any,  # noqa: ANN401
        seen: Callable[[dict[str, Any]], None],
        lost: Callable[[str], None],
    ) -> None:
        """
        @param seen: is given each picture.
        @param lost: is told, in words, that there are none.
        """
        self.away: float | None = None
        self.again = 0.0
        self._reactor = reactor
        self._seen = seen
        self._lost = lost
        self._relay = relay
        self._agent: Any = Agent.usingEndpointFactory(reactor, _Where(relay, reactor))
        self._pause = 1.0
        self._alarm: IDelayedCall | None = None
        self._asking: Deferred[None] | None = None

    def start(self) -> None:
        """Listen from now on."""
        self._watch()
        self._asking = Deferred.fromCoroutine(self._listen())
        self._asking.addErrback(self._failed)

    def _watch(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.reset(_SILENT_S)
        else:
            self._alarm = self._reactor.callLater(_SILENT_S, self._silent)

    async def _listen(self) -> None:
        headers = Headers({"Accept": ["text/event-stream"]})
        answer: IResponse = await self._agent.request(b"GET", b"http://localhost/status/events", headers)
        if answer.code != _OK:
            msg = f"it answered {answer.code}"
            raise ConnectionError(msg)
        pictures = _Pictures(self._pictured)
        answer.deliverBody(pictures)
        await pictures.ended
        msg = "it has hung up"
        raise ConnectionError(msg)

    def _pictured(self, status: dict[str, Any]) -> None:
        self.away, self._pause = None, 1.0
        self._watch()
        self._seen(status)

    def _silent(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    def _failed(self, failure: Failure) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        now = self._reactor.seconds()
        self.away = now if self.away is None else self.away
        self.again = now + self._pause
        self._reactor.callLater(self._pause, self.start)
        self._pause = min(self._pause * 2, _LONGEST_S)
        problem = failure.value
        self._lost(str(problem) if isinstance(problem, ConnectionError) else type(problem).__name__)

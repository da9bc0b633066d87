"""The answer to a client, safe to write to after the client has gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccrelay.wire.http import first

if TYPE_CHECKING:
    from ccrelay.relay.exchange import Exchange
    from ccrelay.relay.interfaces import IPausable
    from ccrelay.web.request import RelayRequest
    from ccrelay.wire.http import Pairs


_PHRASES: Final = {429: b"Too Many Requests", 529: b"Overloaded"}
"""What Twisted does not know."""


class ClientResponse:
    """
    Writes an answer with the relay's own header fields on it.

    After a disconnect Twisted's request loses its channel, raises from
    C{finish}, and drops writes silently; all of that is kept in here.

    @ivar begun: whether the head was sent.
    """

    def __init__(self, request: RelayRequest, exchange: Exchange, *, debug: bool = False) -> None:
        """@param debug: whether to tell provider, key and attempts in C{x-ccrelay-*}."""
        self._request = request
        self._exchange = exchange
        self._debug = debug
        self._source: IPausable | None = None
        self.begun = False

    def begin(self, status: int, headers: Pairs) -> None:
        """Send the head of an answer whose length is not known yet."""
        self._head(status, headers)
        self._request.write(b"")

    def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        exchange = self._exchange
        if exchange.first_byte is None:
            exchange.first_byte = self._request.site.clock.seconds() - exchange.started
        self._request.write(data)

    def finish(self) -> None:
        """End the answer properly."""
        if not self._request.gone and not self._request.finished:
            self.unregister()
            self._request.finish()

    def whole(self, status: int, headers: Pairs, body: bytes) -> None:
        """Send head and body at once, and end the answer."""
        self._head(status, (*headers, (b"content-length", b"%d" % len(body))))
        self.write(body)
        self.finish()

    def abort(self) -> None:
        """Cut the connection, so that the client cannot take what it has for the whole."""
        if not self._request.gone and not self._request.finished:
            self.unregister()
            self._request.channel.transport.abortConnection()

    def register(self, source: IPausable) -> None:
        """Let C{source} be paused while the client reads slower than it gives."""
        if not self._request.gone and not self._request.finished:
            self._source = source
            self._request.registerProducer(source, True)  # noqa: FBT003  Twisted's

    def unregister(self) -> None:
        """Forget the source."""
        source, self._source = self._source, None
        if source is not None and not self._request.gone:
            self._request.unregisterProducer()

    def _head(self, status: int, headers: Pairs) -> None:
        self.begun = True
        exchange = self._exchange
        own_id = exchange.id.encode("ascii")
        fields = [(b"x-ccrelay-request-id", own_id)]
        if first(headers, b"request-id") is None:
            fields.append((b"request-id", own_id))
        route = exchange.route
        if self._debug and route is not None:
            shown = route.key_name.replace("\N{HORIZONTAL ELLIPSIS}", "...").encode("ascii", "replace")
            fields += (
                (b"x-ccrelay-provider", route.provider.encode()),
                (b"x-ccrelay-key", shown),
                (b"x-ccrelay-strategy", exchange.strategy.encode()),
                (b"x-ccrelay-attempts", b"%d" % exchange.attempt),
            )
        dress(self._request, status, (*headers, *fields))


def ids(exchange: Exchange) -> Pairs:
    """Return the relay's id of a request as the header fields of an answer of its own."""
    own = exchange.id.encode("ascii")
    return ((b"x-ccrelay-request-id", own), (b"request-id", own))


def dress(request: RelayRequest, status: int, headers: Pairs) -> None:
    """Put status and header fields on an answer, and how its connection goes on."""
    request.dress(status, _PHRASES.get(status), headers)

"""What the simulator was asked: one record for each request, which also tells how the exchange ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred, succeed

from ccrelay.wire.http import first

if TYPE_CHECKING:
    from ccrelay.wire.http import Pairs


@dataclass(eq=False)
class Asked:
    """
    One request, as it came.

    @ivar number: 1 for the first request of this simulator; the answer's ids are made of it.
    @ivar at: the clock's seconds when it came.
    @ivar method: in upper case, as sent.
    @ivar target: path and query, as sent.
    @ivar headers: every field; names in lower case.
    @ivar body: the bytes; what had come by then where it is answered early.
    @ivar open: whether the exchange is still going on.
    @ivar gone_at: the clock's seconds when the peer hung up before the answer's end, or None.
    @ivar broken: whether it was the simulator that broke the connection.
    """

    number: int
    at: float
    method: str
    target: str
    headers: Pairs
    body: bytes = b""
    open: bool = True
    gone_at: float | None = None
    broken: bool = False
    _waiting: list[Deferred[Asked]] = field(default_factory=list, repr=False)
    _read: tuple[bytes, Any] | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind the question mark, or nothing."""
        return self.target.partition("?")[2]

    @property
    def request_id(self) -> str:
        """The C{request-id} of its answer."""
        return f"req_sim_{self.number:08d}"

    @property
    def gone(self) -> bool:
        """Whether the peer hung up before the answer's end."""
        return self.gone_at is not None

    @property
    def json(self) -> Any:  # noqa: ANN401  whatever JSON there is
        """The body as JSON; None where it is not."""
        if self._read is None or self._read[0] is not self.body:
            try:
                self._read = (self.body, msgspec.json.decode(self.body))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._read = (self.body, None)
        return self._read[1]

    @property
    def model(self) -> str:
        """The model asked for; empty where none is named."""
        model = self.json.get("model") if isinstance(self.json, dict) else None
        return model if isinstance(model, str) else ""

    @property
    def stream(self) -> bool:
        """Whether an event stream was asked for."""
        return isinstance(self.json, dict) and self.json.get("stream") is True

    def header(self, name: str) -> str | None:
        """
        Return the first value of a header field, or None.

        @param name: in any case.
        """
        value = first(self.headers, name.lower().encode("ascii"))
        return None if value is None else value.decode("latin-1")

    def ended(self) -> Deferred[Asked]:
        """Return a Deferred that fires with this record once the exchange is over, whoever ended it."""
        if not self.open:
            return succeed(self)
        waiting: Deferred[Asked] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def take(self, body: bytes) -> None:
        """Note the body of a request whose answer began before it had come."""
        self.body = body

    def end(self, lost_at: float | None) -> None:
        """
        Note that the exchange is over; the simulator calls this, once.

        @param lost_at: the clock's seconds where the connection was lost, None where the answer was whole.
        """
        self.open = False
        if not self.broken:
            self.gone_at = lost_at
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(self)

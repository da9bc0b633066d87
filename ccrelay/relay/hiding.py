"""What a client must not see in an answer: our key or token, and what only the operator may know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccrelay.providers.answers import event_complaint
from ccrelay.wire.error_json import error_event, read_error
from ccrelay.wire.http import ResponseHead
from ccrelay.wire.sse import before

if TYPE_CHECKING:
    from ccrelay.providers.interfaces import IProvider
    from ccrelay.wire.secret import Secret


class Hiding:
    """
    Takes secrets out of what one provider has answered.

    @ivar shown: what the provider was shown, and may repeat; empty where it is the client's own.
    """

    __slots__ = ("shown",)

    def __init__(self) -> None:
        self.shown: tuple[Secret, ...] = ()

    def in_body(self, body: bytes) -> bytes:
        """Return a refusal, or events with one among them, without our key or token."""
        for secret in self.shown:
            body = body.replace(secret.reveal().encode("utf-8"), str(secret).encode("utf-8"))
        return body

    def in_head(self, head: ResponseHead) -> ResponseHead:
        """Return the head of an answer without our key or token; mostly that is the very same."""
        said = b"\n".join([value for _, value in head.headers])
        for secret in self.shown:
            if secret.reveal().encode("utf-8") in said:
                break
        else:
            return head
        hidden = tuple((name, self.in_body(value)) for name, value in head.headers)
        return ResponseHead(head.status, hidden, head.length)

    def in_events(self, whole: bytes, data: bytes, provider: IProvider, request_id: str) -> bytes:
        """
        Return the last events of a stream with an error that is fit for a client; nothing follows it.

        @param data: of the error in the stream.
        @param provider: which knows what only the operator may read in it.
        @param request_id: the relay's, for an error that is put into words anew.
        """
        whole = self.in_body(whole)
        start = before(whole, b"error")
        told = event_complaint(read_error(data), data)
        found = provider.discreet(told)
        if start is None or found is told:
            return whole
        message = self.in_body(found.message.encode("utf-8", "replace")).decode("utf-8")
        return start + error_event(found.kind, message, request_id)

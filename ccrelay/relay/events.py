"""What observers are told: one value for each finished attempt and each finished request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from ccrelay.policy.verdict import Verdict
    from ccrelay.wire.usage import Usage


# A Struct is made ten times as fast as a frozen dataclass, and these are made for each request.
class AttemptEnded(msgspec.Struct, frozen=True):
    """
    One attempt at one provider with one key.

    @ivar request: the relay's id of the request it belongs to.
    @ivar status: of the provider's answer; 0 where it gave none.
    @ivar upstream_id: the provider's own C{request-id}; empty where it gave none.
    @ivar reason: why it failed, in a few words.
    @ivar first_byte: seconds until the answer's head, or None.
    @ivar duration: seconds in all.
    @ivar repeat: whether the same provider and key had been asked before for that request.
    @ivar dropped: names of beta flags and paths of fields that it was sent without.
    @ivar mended: what was put right after a refusal: C{credential}, C{thinking}, C{thinking_off}, C{betas}.
    @ivar said: the provider's words on a credential that it refused, else empty.
    @ivar first_body: seconds until the first byte of its answer's body, or None.
    @ivar own: whether the client's own bearer went there, rather than one of the provider's keys.
    """

    request: str
    provider: str
    key: str
    model: str
    verdict: Verdict
    status: int
    upstream_id: str
    reason: str
    first_byte: float | None
    duration: float
    repeat: bool = False
    dropped: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    said: str = ""
    first_body: float | None = None
    own: bool = False


class RequestEnded(msgspec.Struct, frozen=True):
    """
    One request of a client, whatever became of it.

    @ivar id: the relay's.
    @ivar client: the name of the client, empty where none is asked for.
    @ivar model: as asked for; C{attempts} tell what was sent.
    @ivar status: of the answer; 0 if none was begun.
    @ivar sent: bytes of the answer's body.
    @ivar first_byte: seconds from the request's head to the answer's first body byte, or None.
    @ivar duration: seconds from the request's head to its end.
    @ivar why: why it ended: C{complete}, or what cut it short.
    @ivar quiet: whether it is one of the calls that nobody wants to read about.
    @ivar answered: which of the attempts the answer is from; -1 for the last.
    @ivar received: seconds from the request's head to the end of its body.
    """

    id: str
    method: str
    path: str
    client: str
    session: str
    model: str
    stream: bool
    status: int
    sent: int
    usage: Usage
    attempts: tuple[AttemptEnded, ...]
    first_byte: float | None
    duration: float
    why: str
    quiet: bool
    answered: int = -1
    received: float = 0.0


class IObserver(Protocol):
    """Something that watches; it must not raise, and nobody asks it anything."""

    def attempt_ended(self, attempt: AttemptEnded) -> None:
        """Take note of an attempt."""

    def request_ended(self, request: RequestEnded) -> None:
        """Take note of a request."""


COMPLETE = "complete"
CLIENT_LEFT = "client left"

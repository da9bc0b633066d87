"""HTTP as values: what goes to a provider and what its head says, free of any transport."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Pairs: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order they came, each name in lower case; a name may repeat."""


def first(pairs: Pairs, name: bytes) -> bytes | None:
    """
    Return the first value of a header field, or None where it is absent.

    @param name: in lower case.
    """
    for key, value in pairs:
        if key == name:
            return value
    return None


def media_type(pairs: Pairs) -> bytes:
    """Return the C{content-type} without its parameters, in lower case; empty where absent."""
    return (first(pairs, b"content-type") or b"").partition(b";")[0].strip().lower()


# Structs are made several times as fast as frozen dataclasses, and these are made for each request.
class UpstreamRequest(msgspec.Struct, frozen=True):
    """
    A request for a provider, whole but for its credential.

    @ivar url: absolute, already percent-encoded.
    @ivar body: the bytes to send; None for requests without a body.
    """

    method: str
    url: str
    headers: Pairs
    body: bytes | None = None

    def __repr__(self) -> str:
        return f"UpstreamRequest(method={self.method!r}, url={self.url!r}, body={self.body!r})"

    def adding(self, *pairs: tuple[bytes, bytes]) -> UpstreamRequest:
        """Return this request with the given fields set, replacing any of the same names."""
        if not pairs:
            return self
        names = [name for name, _ in pairs]
        kept = tuple([pair for pair in self.headers if pair[0] not in names])
        return UpstreamRequest(self.method, self.url, kept + pairs, self.body)


class ResponseHead(msgspec.Struct, frozen=True):
    """
    The status and header fields of an answer.

    @ivar length: of the body in bytes, or None where only its end will tell.
    """

    status: int
    headers: Pairs
    length: int | None = None

    def __repr__(self) -> str:
        return f"ResponseHead(status={self.status!r}, length={self.length!r})"

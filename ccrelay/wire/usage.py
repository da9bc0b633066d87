"""What a message cost in tokens, as a provider reports it."""

from __future__ import annotations

from typing import Final

import msgspec


class _Creation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _Creation | None = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None
    model: str | None = None


class _Start(msgspec.Struct):
    message: _Message | None = None


_START: Final = msgspec.json.Decoder(_Start)
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Usage(msgspec.Struct, frozen=True):
    """
    Tokens of one answer; None where the provider did not say.

    @ivar input: neither read from nor written to the prompt cache.
    @ivar cache_read: read from it; C{cache_write}: written to it.
    @ivar cache_write_1h: how many of those were written for an hour rather than for five minutes.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None

    def updated(self, later: Usage) -> Usage:
        """
        Return what is known after a later report.

        The usage of C{message_delta} is cumulative and may repeat the input
        counts of C{message_start}, so a later figure replaces an earlier one.
        """
        return Usage(
            self.input if later.input is None else later.input,
            self.output if later.output is None else later.output,
            self.cache_read if later.cache_read is None else later.cache_read,
            self.cache_write if later.cache_write is None else later.cache_write,
            self.cache_write_1h if later.cache_write_1h is None else later.cache_write_1h,
        )


NOTHING_KNOWN: Final = Usage()


def of_start(data: bytes) -> Usage:
    """Return the usage in the data of a C{message_start} event."""
    try:
        message = _START.decode(data).message
    except _UNREADABLE:
        return NOTHING_KNOWN
    return _usage(message)


def of_message(data: bytes) -> Usage:
    """Return the usage in a whole message, or in the data of a C{message_delta} event."""
    try:
        return _usage(_MESSAGE.decode(data))
    except _UNREADABLE:
        return NOTHING_KNOWN


def _usage(message: _Message | None) -> Usage:
    found = message.usage if message else None
    if found is None:
        return NOTHING_KNOWN
    written, split = found.cache_creation_input_tokens, found.cache_creation
    hour = None if split is None else split.ephemeral_1h_input_tokens
    if written is None and split is not None:
        written = (split.ephemeral_5m_input_tokens or 0) + (hour or 0)
    return Usage(found.input_tokens, found.output_tokens, found.cache_read_input_tokens, written, hour)

"""Amazon's event stream as bytes: messages of headers and a payload, each with two checksums."""

from __future__ import annotations

import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias
from zlib import crc32

from ccrelay.errors import Broken

if TYPE_CHECKING:
    from collections.abc import Mapping

Value: TypeAlias = bool | int | bytes | str
Message: TypeAlias = "tuple[Mapping[str, Value], bytes]"
"""Headers and payload."""

LONGEST_HEADERS: Final = 128 * 1024
LONGEST_PAYLOAD: Final = 24 * 1024 * 1024

# Big endian throughout (docs/wire.md, Bedrock): total length, headers length, checksum of both;
# headers; payload; checksum of everything before it.
_PRELUDE: Final = struct.Struct("!III")
_CHECKSUM: Final = struct.Struct("!I")
_LENGTH: Final = struct.Struct("!H")
_AROUND: Final = _PRELUDE.size + _CHECKSUM.size

_TRUE, _FALSE, _BYTES, _TEXT, _UUID = 0, 1, 6, 7, 9
_NUMBERS: Final = {2: struct.Struct("!b"), 3: struct.Struct("!h"), 4: struct.Struct("!i"),
                   5: struct.Struct("!q"), 8: struct.Struct("!q")}  # fmt: skip
_UUID_LENGTH: Final = 16


class EventStreamReader:
    """
    Cuts a byte stream into messages.

    @ivar error: what was wrong with the stream; from then on nothing is read,
        since nobody knows where the next message begins.
    """

    __slots__ = ("_headers", "_held", "_need", "_raw_headers", "_size", "error")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._need = _PRELUDE.size
        self._raw_headers: bytes | None = None
        self._headers: Mapping[str, Value] = {}
        self.error: Broken | None = None

    @property
    def held(self) -> int:
        """How many bytes of an unfinished message there are."""
        return self._size

    def feed(self, data: bytes) -> list[Message]:
        """Take the next bytes and return the messages that are whole now; see L{error}, too."""
        if self.error is not None:
            return []
        if self._held or len(data) < self._need:
            self._held.append(data)
            self._size += len(data)
            if self._size < self._need:
                return []
            data = b"".join(self._held)
        messages: list[Message] = []
        try:
            at = self._read(data, messages)
        except Broken as error:
            self.error = error
            at = len(data)
        self._held = [data[at:]] if at < len(data) else []
        self._size = len(data) - at
        return messages

    def _read(self, data: bytes, messages: list[Message]) -> int:
        """Read whole messages and return where they end."""
        view = memoryview(data)
        at = 0
        while len(data) - at >= _PRELUDE.size:
            total, headers_length, checksum = _PRELUDE.unpack_from(data, at)
            if crc32(view[at : at + 8]) != checksum:
                _broken("the checksum of a message's lengths does not match")
            if headers_length > LONGEST_HEADERS:
                _broken(f"a message has {headers_length} bytes of headers, over {LONGEST_HEADERS}")
            if not 0 <= total - headers_length - _AROUND <= LONGEST_PAYLOAD:
                _broken(f"a message of {total} bytes has {headers_length} of headers, which cannot be")
            if len(data) - at < total:
                self._need = total
                return at
            payload_at, end = at + _PRELUDE.size + headers_length, at + total - _CHECKSUM.size
            if crc32(view[at + 8 : end], checksum) != _CHECKSUM.unpack_from(data, end)[0]:
                _broken("the checksum of a message does not match")
            messages.append((self._read_headers(data[at + _PRELUDE.size : payload_at]), data[payload_at:end]))
            at += total
        self._need = _PRELUDE.size
        return at

    def _read_headers(self, raw: bytes) -> Mapping[str, Value]:
        """Return headers; those of the last message again where they are the same, as in most streams."""
        if raw != self._raw_headers:
            self._headers = MappingProxyType(_headers(raw))
            self._raw_headers = raw
        return self._headers


def _headers(raw: bytes) -> dict[str, Value]:
    headers: dict[str, Value] = {}
    at = 0
    try:
        while at < len(raw):
            name_end = at + 1 + raw[at]
            name = raw[at + 1 : name_end].decode("utf-8")
            value, at = _value(raw, raw[name_end], name_end + 1)
            if name in headers:
                _broken(f"the header {name!r} stands twice in a message")
            headers[name] = value
    except (IndexError, struct.error, UnicodeDecodeError):
        _broken("the headers of a message cannot be read")
    return headers


def _value(raw: bytes, kind: int, at: int) -> tuple[Value, int]:
    """Return a header's value and where it ends."""
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _NUMBERS:
        number: int = _NUMBERS[kind].unpack_from(raw, at)[0]
        return number, at + _NUMBERS[kind].size
    if kind in (_BYTES, _TEXT):
        begin = at + _LENGTH.size
        end = begin + _LENGTH.unpack_from(raw, at)[0]
    elif kind == _UUID:
        begin, end = at, at + _UUID_LENGTH
    else:
        _broken(f"a header is of type {kind}, which there is not")
    if end > len(raw):
        _broken("a header ends behind the headers of its message")
    value = raw[begin:end]
    return (value.decode("utf-8") if kind == _TEXT else value), end


def _broken(why: str) -> NoReturn:
    msg = f"the event stream is damaged: {why}"
    raise Broken(msg)

"""The width and height of an image, read from the first bytes of its base64 data."""

from __future__ import annotations

import binascii
from typing import Final

_HEAD: Final = 32  # bytes; enough for every format but JPEG
_MOST_SEGMENTS: Final = 256  # of a JPEG before its frame; a photograph has some twenty

# Start-of-frame markers (ITU-T T.81, table B.1): 0xC0 to 0xCF but for DHT, JPG and DAC.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers that stand alone, without a length: TEM and RST0 to SOI.
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})


def image_size(data: str) -> tuple[int, int] | None:
    """
    Return C{(width, height)} in pixels of a PNG, JPEG, GIF or WebP image.

    Of a large image only the header is decoded.

    @param data: the image in base64, as C{source.data} of an image block has it.
    @return: None where it is none of these formats, is broken or has no pixels.
    """
    head = _bytes_at(data, 0, _HEAD)
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        size = _big(head[16:20], 4), _big(head[20:24], 4)
    elif head.startswith((b"GIF87a", b"GIF89a")):
        size = _little(head[6:8], 2), _little(head[8:10], 2)
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        size = _webp(head)
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg(data)
    else:
        return None
    return size if min(size) > 0 else None


def _bytes_at(data: str, offset: int, length: int) -> bytes:
    """Return some of the bytes that C{data} encodes, decoding no others; fewer where it ends or is broken."""
    group, skipped = divmod(offset, 3)
    groups = (skipped + length + 2) // 3
    try:
        return binascii.a2b_base64(data[4 * group : 4 * (group + groups)])[skipped : skipped + length]
    except ValueError:
        return b""


def _webp(head: bytes) -> tuple[int, int]:
    """Return the size in one of the three kinds of first chunk (RFC 9649, section 2.5 to 2.7)."""
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:  # noqa: PLR2004  else it is cut short
        return _little(head[24:27], 3) + 1, _little(head[27:30], 3) + 1
    if kind == b"VP8L" and head[20:21] == b"\x2f" and len(head) >= 25:  # noqa: PLR2004  likewise
        bits = _little(head[21:25], 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        return _little(head[26:28], 2) & 0x3FFF, _little(head[28:30], 2) & 0x3FFF
    return 0, 0


def _jpeg(data: str) -> tuple[int, int]:
    """Return the size in the frame header, stepping from segment to segment up to it."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        segment = _bytes_at(data, at, 9)
        if len(segment) < 2 or segment[0] != 0xFF:  # noqa: PLR2004  a marker is two bytes
            break
        marker = segment[1]
        if marker in _FRAMES:
            return _big(segment[7:9], 2), _big(segment[5:7], 2)
        if marker == 0xFF:  # noqa: PLR2004  a fill byte may stand before any marker
            at += 1
        else:
            at += 2 if marker in _ALONE else 2 + _big(segment[2:4], 2)
    return 0, 0


def _big(number: bytes, size: int) -> int:
    """Return a number of so many bytes, the first the most significant; 0 where it is cut short."""
    return int.from_bytes(number, "big") if len(number) == size else 0


def _little(number: bytes, size: int) -> int:
    """Return a number of so many bytes, the first the least significant; 0 where it is cut short."""
    return int.from_bytes(number, "little") if len(number) == size else 0

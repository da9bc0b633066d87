"""Images of any size, of which there is no more than a header."""

from __future__ import annotations

import struct
from base64 import b64encode


def png(width: int, height: int) -> bytes:
    """Return the first bytes of a PNG."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 6, 0, 0, 0)


def gif(width: int, height: int) -> bytes:
    """Return the first bytes of a GIF."""
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(3)


def jpeg(width: int, height: int, before: bytes = b"", frame: int = 0xC0) -> bytes:
    """
    Return a JPEG up to its frame header.

    @param before: segments between the start of the image and the frame.
    @param frame: the marker of the frame; 0xC2 is a progressive one.
    """
    return b"\xff\xd8" + before + struct.pack(">BBHBHHB", 0xFF, frame, 17, 8, height, width, 3) + bytes(9)


def segment(marker: int, content: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def webp(width: int, height: int, kind: bytes) -> bytes:
    """Return the first bytes of a WebP whose first chunk is of the given kind."""
    if kind == b"VP8X":
        chunk = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        chunk = b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + bytes(5)
    else:
        chunk = b"\x50\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width | 1 << 14, height)
    return b"RIFF" + struct.pack("<I", 100) + b"WEBP" + kind + struct.pack("<I", len(chunk)) + chunk


def text(image: bytes) -> str:
    """Return bytes in base64, as a block has them."""
    return b64encode(image).decode("ascii")

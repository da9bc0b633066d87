"""How large a request is to a model: its bytes, but for those of pictures and documents."""

from __future__ import annotations

import re
from typing import Final

_DATA: Final = re.compile(rb'"data"\s*:\s*"')
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{1024}")
MEDIA: Final = b'"media_type"'
"""Stands beside all that is sent as base64; the longer what is looked for, the sooner it is not found."""
_NEAR: Final = 64 * 1024
_PICTURE: Final = 6_400
"""Bytes of text that cost what a picture costs at most: 1,600 tokens (docs/wire.md, Counting)."""


def has_media(text: bytes) -> bool:
    """Return whether there may be base64 in JSON."""
    # From the end, which CPython searches up to four times as fast where there is nothing to be found.
    return text.find(MEDIA, 0, _NEAR) >= 0 or text.rfind(MEDIA) >= 0


def weight(body: bytes) -> int:
    """
    Return the bytes of a request's body, those of base64 data as what they cost a model.

    A picture of 1 MB is 1,600 tokens at most, and not the 250,000 of as much text.
    """
    if not has_media(body):
        return len(body)
    saved = 0
    at = body.find(b'"data"')
    while at >= 0:
        found = _DATA.match(body, at)
        at += 1
        if found is not None:
            # Base64 has no quotes in it, so its end is found at the speed of memory, and it is not searched.
            end = body.find(b'"', found.end())
            size = end - found.end()
            if size > _PICTURE and _BASE64.match(body, found.end()):
                saved += size - _PICTURE
            at = max(end, at)
        at = body.find(b'"data"', at)
    return len(body) - saved

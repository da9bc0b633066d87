"""How large a request is to a model: its bytes, but for those of pictures and documents."""

from __future__ import annotations

import re
from typing import Final

_DATA: Final = re.compile(rb"[A-Za-z0-9+/]{1024,}={0,2}")
MEDIA: Final = b'"media_type"'
"""Stands beside all that is sent as base64; the longer what is looked for, the sooner it is not found."""
_PICTURE: Final = 6_400
"""Bytes of text that cost what a picture costs at most: 1,600 tokens (docs/wire.md, Counting)."""


def weight(body: bytes) -> int:
    """
    Return the bytes of a request's body, those of base64 data as what they cost a model.

    A picture of 1 MB is 1,600 tokens at most, and not the 250,000 of as much text.
    """
    if MEDIA not in body:
        return len(body)
    data = [len(found[0]) for found in _DATA.finditer(body)]
    return len(body) - sum(data) + sum(min(size, _PICTURE) for size in data)

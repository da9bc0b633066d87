"""How many pages a PDF has, told without parsing it."""

from __future__ import annotations

import binascii
import re
import zlib
from typing import Final

_PAGE: Final = re.compile(rb"/Type\s{0,8}/Page(?![A-Za-z])")
# Since PDF 1.5 the objects, pages among them, may lie compressed in object streams (ISO 32000-1,
# 7.5.7): a dictionary with this name in it, the word "stream", a line end, the data.
_OBJECT_STREAM: Final = re.compile(rb"/ObjStm")
_LINE_END: Final = re.compile(rb"\r?\n")
_MOST_STREAMS: Final = 1_000
_LONGEST_DICTIONARY: Final = 300
_LONGEST_STREAM: Final = 64 * 1024  # compressed; writers put one or two hundred objects into one
_MOST_INFLATED: Final = 8 * 1024 * 1024  # of all streams together, against a file made to swell
_MOST_PAGES: Final = 600  # that the API takes in a request
_BYTES_PER_PAGE: Final = 50_000


def pdf_pages(data: str) -> int:
    """
    Return the number of pages of a PDF, at least 1.

    Counts page objects, in plain sight and in object streams; where there are
    none to be seen (an encrypted or broken file) the size must do.

    @param data: the file in base64, as C{source.data} of a document block has it.
    """
    try:
        pdf = binascii.a2b_base64(data)
    except ValueError:
        pdf = b""
    pages = _seen(pdf)
    allowed = _MOST_INFLATED
    for found, _ in zip(_OBJECT_STREAM.finditer(pdf), range(_MOST_STREAMS), strict=False):
        objects = _inflated(pdf, found.end(), allowed)
        allowed -= len(objects)
        pages += _seen(objects)
        if allowed <= 0:
            break
    return min(pages or 1 + len(data) * 3 // 4 // _BYTES_PER_PAGE, _MOST_PAGES)


def _seen(objects: bytes) -> int:
    return sum(1 for _ in _PAGE.finditer(objects))


def _inflated(pdf: bytes, at: int, allowed: int) -> bytes:
    """Return at most C{allowed} bytes of the stream whose dictionary goes on at C{at}, or none."""
    word = pdf.find(b"stream", at, at + _LONGEST_DICTIONARY)
    line_end = _LINE_END.match(pdf, word + len(b"stream"))
    if word < 0 or line_end is None:
        return b""
    start = line_end.end()
    try:
        return zlib.decompressobj().decompress(pdf[start : start + _LONGEST_STREAM], allowed)
    except zlib.error:
        return b""

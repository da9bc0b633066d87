"""The rules of counting a PDF's pages: those that can be seen, else a guess from its size."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.pdf_pages import pdf_pages
from tests.wire.images import text

PAGE = b"4 0 obj\n<< /Type /Page /Parent 2 0 R /Contents 5 0 R >>\nendobj\n"
OTHERS = b"<< /Type /Pages /Kids [4 0 R] /Count 1 >> << /Type /PageLabel >> << /Type/Pages>>"


def packed(objects: bytes, line_end: bytes = b"\n") -> bytes:
    """Return objects in an object stream, as PDF 1.5 has them."""
    data = zlib.compress(objects)
    head = b"7 0 obj\n<</Type/ObjStm/N 9/First 50/Filter/FlateDecode/Length %d>>stream" % len(data)
    return head + line_end + data + b"\nendstream\nendobj\n"


class PdfPagesTests(SynchronousTestCase):
    """How many pages."""

    @given(st.integers(1, 40), st.sampled_from([PAGE, b"<</Type/Page/Parent 2 0 R>>", b"<</Type\n/Page>>"]))
    def test_pages_are_counted(self, pages: int, page: bytes) -> None:
        """Every page object counts, however it is spaced, and the tree of pages does not."""
        self.assertEqual(pdf_pages(text(b"%PDF-1.4\n" + OTHERS + page * pages)), pages)

    @given(st.integers(0, 9), st.integers(1, 200), st.integers(1, 5), st.sampled_from([b"\n", b"\r\n"]))
    def test_packed_pages_count_too(self, plain: int, pages: int, streams: int, line_end: bytes) -> None:
        """Pages in compressed object streams count, with those beside them, up to what a request may have."""
        pdf = b"%PDF-1.5\n" + PAGE * plain + packed(OTHERS + PAGE * pages, line_end) * streams
        self.assertEqual(pdf_pages(text(pdf)), min(plain + pages * streams, 600))

    def test_where_none_is_seen_the_size_tells(self) -> None:
        """An encrypted file has a page, and one more for each 50 kB."""
        for size, pages in ((0, 1), (10_000, 1), (500_000, 11)):
            self.assertEqual(pdf_pages(text(bytes(size))), pages)

    def test_a_broken_stream_does_no_harm(self) -> None:
        """A stream that is no deflate, is cut short, or never comes is left aside."""
        for broken in (b"/ObjStm>>stream\nxxxx", packed(PAGE)[:70], b"/ObjStm" * 5000, b"/ObjStm stream"):
            self.assertEqual(pdf_pages(text(PAGE + broken)), 1)

    def test_a_file_made_to_swell_is_left(self) -> None:
        """A few kilobytes that would inflate to hundreds of megabytes are not inflated whole."""
        bomb = packed(bytes(4_000_000)) * 100 + packed(PAGE)
        self.assertEqual(pdf_pages(text(PAGE + bomb)), 1)

    @given(st.text(max_size=60) | st.binary(max_size=90).map(text))
    def test_anything_has_a_page(self, data: str) -> None:
        """Data that is not base64 or no PDF counts as a page rather than as an error."""
        self.assertEqual(pdf_pages(data), 1)

"""The rules of reading an image's size: from the header alone, and None where there is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.image_size import image_size
from tests.wire.images import gif, jpeg, png, segment, text, webp

SIDES = st.integers(1, 16_383)
HEADERS = [png(9, 9), gif(9, 9), webp(9, 9, b"VP8 "), webp(9, 9, b"VP8L"), webp(9, 9, b"VP8X")]
PHOTO = segment(0xE1, b"Exif\0\0" + bytes(60_000)) + segment(0xE2, bytes(65_533)) + segment(0xDB, bytes(65))


class ImageSizeTests(SynchronousTestCase):
    """Width and height."""

    @given(SIDES, SIDES)
    def test_each_format_tells_its_size(self, width: int, height: int) -> None:
        """PNG, GIF, JPEG and the three kinds of WebP tell width and height, in that order."""
        for image in (
            png(width, height),
            gif(width, height),
            jpeg(width, height),
            *(webp(width, height, kind) for kind in (b"VP8 ", b"VP8L", b"VP8X")),
        ):
            self.assertEqual(image_size(text(image)), (width, height), image)

    @given(SIDES, SIDES, st.sampled_from([0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCF]))
    def test_a_photograph_has_much_before_its_size(self, width: int, height: int, frame: int) -> None:
        """Notes, colour profile, preview and fill bytes stand before the frame, of whatever kind it is."""
        preview = segment(0xE1, jpeg(160, 120))
        tables = segment(0xC4, bytes(28)) + b"\xff\xff" + segment(0xDD, bytes(2)) + b"\xff\x01"
        image = jpeg(width, height, PHOTO + preview + tables, frame)
        self.assertEqual(image_size(text(image)), (width, height))

    @given(st.sampled_from([png(640, 480), gif(640, 480), jpeg(640, 480, PHOTO), webp(640, 480, b"VP8X")]))
    def test_only_the_header_is_decoded(self, image: bytes) -> None:
        """What follows the header is not looked at, so it costs nothing and may be broken."""
        whole = text(image + bytes(-len(image) % 3))
        self.assertEqual(image_size(whole + "!" * 100_000), (640, 480))

    def test_what_is_no_image_has_no_size(self) -> None:
        """Other formats, no bytes, and an image without a pixel have no size."""
        others = (
            b"",
            b"BM",
            b"<svg/>",
            b"%PDF-1.7",
            webp(5, 5, b"VP9 "),
            b"RIFF" + bytes(4) + b"WAVE" + bytes(30),
        )
        for image in (*others, png(0, 5), gif(5, 0), jpeg(5, 0)):
            self.assertIsNone(image_size(text(image)), image)

    def test_a_jpeg_that_goes_nowhere_is_left(self) -> None:
        """A JPEG without a frame, or with segments without end, is given up."""
        endless = (b"\xff" * 5000, segment(0xFE, b"") * 5000, b"\xff\x01" * 5000)
        for before in (b"", b"\xff", b"\xff\xda", PHOTO, *endless):
            self.assertIsNone(image_size(text(b"\xff\xd8" + before)))

    @given(st.text(max_size=50) | st.binary(max_size=60).map(text))
    def test_any_text_can_be_asked(self, data: str) -> None:
        """Data that is not base64, or is cut short, has no size rather than an error."""
        size = image_size(data)
        self.assertTrue(size is None or min(size) > 0)

    @given(st.sampled_from([*HEADERS, jpeg(9, 9, PHOTO)]), st.data())
    def test_an_image_that_is_cut_short_has_its_size_or_none(self, image: bytes, data: st.DataObject) -> None:
        """Of half a header no wrong size is read."""
        whole = text(image)
        self.assertIn(image_size(whole[: data.draw(st.integers(0, len(whole)))]), (None, (9, 9)))

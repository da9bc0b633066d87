"""The rules of how large a request is to a model."""

import base64

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.weight import weight
from tests.stack import body


class WeightTests(SynchronousTestCase):
    """A request's bytes, with pictures as what they cost."""

    def test_text(self) -> None:
        """Text counts whole, whatever it says of base64."""
        for text in ("Hello", "base64 " * 5000):
            asked = body(messages=[{"role": "user", "content": text}])
            self.assertEqual(weight(asked), len(asked))

    def test_a_picture(self) -> None:
        """A picture costs no more than 6,400 bytes of text, however large; a small one what it is."""
        for size, counted in ((900_000, 6_400), (1_200, 1_600)):
            data = base64.b64encode(bytes(range(256)) * (size // 256 + 1))[: size // 3 * 4].decode()
            source = {"type": "base64", "media_type": "image/png", "data": data}
            asked = body(messages=[{"role": "user", "content": [{"type": "image", "source": source}]}])
            self.assertEqual(weight(asked), len(asked) - len(data) + counted)

    def test_several(self) -> None:
        """Each picture counts."""
        source = {"type": "base64", "media_type": "image/png", "data": "QUJD" * 10_000}
        picture = {"type": "image", "source": source}
        one, two = (
            body(messages=[{"role": "user", "content": [picture] * number}]) for number in (1, 2)
        )
        self.assertEqual(weight(two) - weight(one), len(two) - len(one) - 40_000 + 6_400)

"""Names that may be labels."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.bounded import BoundedNames
from ccrelay.observe.histogram import Histogram


class BoundedTests(SynchronousTestCase):
    """The first hundred."""

    def test_the_first_count(self) -> None:
        """The first names are known from then on, and all others are together."""
        names = BoundedNames(2)
        self.assertEqual([names.known(name) for name in ("a", "b", "c", "a")], ["a", "b", "other", "a"])
        self.assertEqual([names.named(name) for name in ("a", "c", "")], ["a", "other", "-"])

    def test_no_name(self) -> None:
        """Where there is none a dash stands, and takes nobody's place."""
        names = BoundedNames(1)
        self.assertEqual([names.known(name) for name in ("", "a", "")], ["-", "a", "-"])

    def test_long_names(self) -> None:
        """A name that is longer than any is no label."""
        names = BoundedNames()
        self.assertEqual(names.known("x" * 257), "other")
        self.assertEqual(names.known("x" * 256), "x" * 256)


class HistogramTests(SynchronousTestCase):
    """Values by their size."""

    def test_buckets(self) -> None:
        """Each bucket holds what is at most its bound, and so all that the ones before it hold."""
        histogram = Histogram((0.1, 1))
        for value in (0.05, 0.1, 0.5, 1.0, 7.0):
            histogram.observe(value)
        self.assertEqual(histogram.buckets(), [("0.1", 2), ("1.0", 4), ("+Inf", 5)])
        self.assertAlmostEqual(histogram.sum, 8.65)

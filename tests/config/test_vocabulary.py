"""The rules of the words for what is allowed and what was found."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.model import Settings
from ccrelay.config.vocabulary import Vocabulary, listed, nearest


class VocabularyTests(SynchronousTestCase):
    """Words."""

    def setUp(self) -> None:
        """Take the words from the settings."""
        self.words = Vocabulary(Settings.model_json_schema())

    def test_allowed(self) -> None:
        """What is allowed is told by kind, choice and range."""
        for path, words in (
            (("server", "drain_ms"), "a whole number from 0 to 604800000"),
            (("server", "max_concurrent"), "a whole number of 0 or more"),
            (("server", "max_body_bytes"), "a whole number of 1 or more, or a text such as 32MiB"),
            (("server", "workers"), "a whole number of 1 or more, or auto"),
            (("server", "auth", "allow_bearer"), "true or false"),
            (("server", "auth", "api_key"), "a text, not empty"),
            (("routing", "retry_budget"), "a number from 0 to 1"),
            (("routing", "model_mapping"), "a mapping"),
            (("logging", "level"), "debug, info, warn or error"),
            (("providers",), "a list"),
            (("providers", 3, "price", "m", "input"), "a number of 0 or more"),
            (("providers", 0, "pooling"), "a mapping with strategy"),
            (("metrics", "path"), "a text of the form ^/[!-~]*$"),
        ):
            self.assertEqual(self.words.allowed(path), words)

    def test_secrets(self) -> None:
        """Which keys hold secrets is known, in lists too."""
        self.assertTrue(self.words.secret(("admin", "token")))
        self.assertTrue(self.words.secret(("providers", 1, "keys", 2, "key")))
        self.assertFalse(self.words.secret(("providers", 0, "name")))
        self.assertFalse(self.words.secret(("nothing", "such")))

    def test_shown(self) -> None:
        """A value is shown as it was written, cut where it is long, and not if it may be a secret."""
        path = ("logging", "level")
        for value, shown in (
            ("loud", "'loud'"), (5, "5"), (True, "true"), (None, "nothing"), ("", "an empty text"),
            ({"a": 1}, "a mapping"), ([1], "a list"), ("${A}/${B:-x}", "${A} and ${B}"),
            ("sk-test-0123456789abcdef", "'…cdef'"), ("http://u:p@h", "'http://…@h'"),
            ("a " * 50, "'" + "a " * 30 + "…'"),
        ):  # fmt: skip
            self.assertEqual(self.words.shown(path, value), shown)
        self.assertEqual(self.words.shown(("admin", "token"), "x"), "a text")
        self.assertEqual(self.words.shown(("providers",), "x"), "a text")

    def test_nearest(self) -> None:
        """A typo is answered with the nearest name, whatever its case."""
        self.assertEqual(nearest("lisen", ("listen", "auth")), "listen")
        self.assertEqual(nearest("INFO", ("info", "warn")), "info")
        self.assertIsNone(nearest("xyz", ("listen",)))

    def test_places(self) -> None:
        """A key that belongs elsewhere is found there."""
        found = next(self.words.places("open_duration_ms"))
        self.assertEqual(found, ("health", "circuit_breaker", "open_duration_ms"))

    def test_listed(self) -> None:
        """Names are listed as in a sentence."""
        self.assertEqual(listed(("a", "b", "c")), "a, b or c")
        self.assertEqual(listed(["a"]), "a")
        self.assertEqual(listed([]), "nothing")

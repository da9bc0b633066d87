"""The rules of what a request costs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.ask import Ask, charged_input, model_class
from ccrelay.wire.usage import Usage

COUNTS = st.integers(-5, 5) | st.none()


class AskTests(SynchronousTestCase):
    """What is expected of a request."""

    def test_both_halves_are_the_whole(self) -> None:
        """What a request costs in all is what goes in and what comes out."""
        self.assertEqual(Ask("m", 30, 12).total, 42)

    def test_models_of_a_family_share_their_limits(self) -> None:
        """Whatever a provider calls them, models of one family share what is learned of their limits."""
        self.assertEqual(
            {
                model_class(name)
                for name in (
                    "claude-opus-4-8",
                    "us.anthropic.claude-opus-4-1-20250805-v1:0",
                    "claude-opus-4-6[1m]",
                    "Claude-Opus-4",
                )
            },
            {"opus"},
        )
        self.assertEqual(Ask("claude-haiku-4-5@20251001").model_class, "haiku")
        self.assertEqual(Ask("claude-3-5-sonnet-latest").model_class, "sonnet")

    def test_a_model_of_no_known_family_is_alone(self) -> None:
        """What is learned of a model of an unknown family is about that model."""
        self.assertEqual(Ask("glm-4.7").model_class, "glm-4.7")
        self.assertEqual(Ask("").model_class, "")


class ChargeTests(SynchronousTestCase):
    """What the provider counts as input."""

    def test_cache_reads_are_free(self) -> None:
        """What was read from the prompt cache does not count; what was written to it does."""
        usage = Usage(input=3, cache_read=1000, cache_write=20)
        self.assertEqual(charged_input(usage, cache_reads=False), 23)

    def test_cache_reads_count_where_the_operator_says_so(self) -> None:
        """With C{count_cache_reads}, what was read from the prompt cache counts too."""
        usage = Usage(input=3, cache_read=1000, cache_write=20)
        self.assertEqual(charged_input(usage, cache_reads=True), 1023)

    def test_what_was_not_said_is_not_nothing(self) -> None:
        """A provider that does not tell the input leaves the estimate as it is."""
        self.assertIsNone(charged_input(Usage(output=5, cache_write=9), cache_reads=True))
        self.assertEqual(charged_input(Usage(input=0), cache_reads=True), 0)

    @given(COUNTS, COUNTS, COUNTS, st.booleans())
    def test_nothing_is_less_than_free(
        self, said: int | None, read: int | None, write: int | None, cache_reads: bool
    ) -> None:
        """However odd the numbers of a provider, they take nothing back."""
        charged = charged_input(Usage(said, None, read, write), cache_reads=cache_reads)
        self.assertEqual(charged is None, said is None)
        self.assertGreaterEqual(charged or 0, said or 0)

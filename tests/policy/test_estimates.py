"""The rules of guessing what the next request costs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.ask import Ask
from ccrelay.policy.estimates import Estimates, tokens_in
from ccrelay.wire.usage import Usage


class InputTests(SynchronousTestCase):
    """What goes in."""

    def test_the_first_turn_is_estimated_as_a_whole(self) -> None:
        """Of a conversation that was never heard of, every byte counts."""
        self.assertEqual(Estimates().input("s", 4001), 1001)

    def test_later_turns_cost_the_last_one_and_what_was_added(self) -> None:
        """A later turn costs what was charged for the last one, and an estimate of the bytes since."""
        some = Estimates()
        some.ended("s", "m", 4000, Usage(input=10, output=1, cache_read=5000, cache_write=300))
        self.assertEqual(some.input("s", 4400), 310 + 100)
        self.assertEqual(some.input("s", 4000), 310)
        self.assertEqual(some.input("other", 4400), 1100)

    def test_the_last_turn_is_the_one_that_counts(self) -> None:
        """Each turn replaces the one before."""
        some = Estimates()
        some.ended("s", "m", 4000, Usage(input=1000))
        some.ended("s", "m", 8000, Usage(input=5, cache_write=40))
        self.assertEqual(some.input("s", 8000), 45)

    def test_a_conversation_that_got_shorter_begins_anew(self) -> None:
        """After a compaction the whole is estimated again."""
        some = Estimates()
        some.ended("s", "m", 400_000, Usage(input=100_000))
        self.assertEqual(some.input("s", 40_000), 10_000)

    def test_cache_reads_count_where_the_operator_says_so(self) -> None:
        """With C{count_cache_reads}, what was read from the prompt cache is reserved too."""
        some = Estimates()
        some.ended("s", "m", 4000, Usage(input=10, cache_read=5000), cache_reads=True)
        self.assertEqual(some.input("s", 4000), 5010)

    def test_nothing_said_nothing_remembered(self) -> None:
        """A turn of unknown input leaves the one before; requests without a session share nothing."""
        some = Estimates()
        some.ended("s", "m", 400, Usage(input=7))
        some.ended("s", "m", 800, Usage(output=3))
        some.ended("", "m", 800, Usage(input=7))
        self.assertEqual(some.input("s", 400), 7)
        self.assertEqual(some.input("", 800), 200)
        self.assertEqual(len(some), 1)

    def test_another_estimate_may_be_used(self) -> None:
        """How many tokens some bytes are is for whoever makes it to say."""
        self.assertEqual(Estimates(lambda size: size * 2).input("s", 5), 10)
        self.assertEqual([tokens_in(size) for size in (0, 1, 4, 5)], [0, 1, 1, 2])

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10**7), st.integers(0, 10**6))))
    def test_no_estimate_is_less_than_nothing(self, turns: list[tuple[str, int, int]]) -> None:
        """Whatever came before, a request costs no less than nothing and no less than what was added."""
        some = Estimates()
        last: dict[str, int] = {}
        for session, size, charged in turns:
            self.assertGreaterEqual(some.input(session, size), tokens_in(max(size - last.get(session, 0), 0)))
            some.ended(session, "m", size, Usage(input=charged))
            last[session] = size


class OutputTests(SynchronousTestCase):
    """What comes out."""

    def test_it_is_what_answers_usually_have(self) -> None:
        """The output is expected to be as the model's last answers, and no other model's."""
        some = Estimates(first_output=500)
        self.assertEqual(some.output("m"), 500)
        some.ended("s", "m", 1, Usage(output=100))
        self.assertEqual(some.output("m"), 100)
        some.ended("s", "m", 1, Usage(output=200))
        self.assertEqual(some.output("m"), 120)
        self.assertEqual(some.output("other"), 500)

    def test_it_follows_a_change(self) -> None:
        """After twenty answers of another length, that is what is expected."""
        some = Estimates()
        some.ended("s", "m", 1, Usage(output=10))
        for _ in range(20):
            some.ended("s", "m", 1, Usage(output=1000))
        self.assertTrue(980 <= some.output("m") <= 1000)

    def test_an_answer_is_never_expected_to_be_nothing(self) -> None:
        """However short the last answers were, one token is reserved; numbers below nothing are passed by."""
        some = Estimates()
        some.ended("s", "m", 1, Usage(output=0))
        some.ended("s", "m", 1, Usage(output=-1000))
        self.assertEqual(some.output("m"), 1)

    def test_an_ask_has_both(self) -> None:
        """A request is asked for with what goes in and what comes out."""
        some = Estimates()
        some.ended("s", "m", 400, Usage(input=10, output=70))
        self.assertEqual(some.ask("s", "m", 440), Ask("m", 20, 70))


class BoundTests(SynchronousTestCase):
    """How much is remembered."""

    def test_conversations_are_bounded(self) -> None:
        """Of very many conversations those heard of last are remembered, however old they are."""
        some = Estimates(sessions=10)
        some.ended("old", "m", 400, Usage(input=1))
        for at in range(100):
            some.ended(f"s{at}", "m", 400, Usage(input=1))
            self.assertEqual(some.input("old", 400), 1)
            some.ended("old", "m", 400, Usage(input=1))
        self.assertEqual(len(some), 10)
        self.assertEqual([some.input(f"s{at}", 400) for at in (90, 91, 99)], [100, 1, 1])

    def test_models_are_bounded(self) -> None:
        """Names of models that clients make up take no more room than is set aside for them."""
        some = Estimates(models=3, first_output=500)
        for at in range(10):
            some.ended("s", f"m{at}", 1, Usage(output=1))
        self.assertEqual([some.output(f"m{at}") for at in (6, 7, 9)], [500, 1, 1])

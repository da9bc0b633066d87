"""The rules of what an attempt has cost its key, and of what is remembered of its answer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.allowance import KeyLimits
from ccrelay.wire.usage import NOTHING_KNOWN, Usage
from tests.policy import script
from tests.policy.script import (
    BROKE_OFF,
    BROKEN,
    NONE_FREE,
    OK,
    OVERLOADED,
    SLOW,
    UNFIT,
    UNREACHABLE,
    How,
    end,
    refused,
)
from tests.policy.stage import NOW, OPUS, Stage


class AllowanceTests(SynchronousTestCase):
    """What an attempt has cost its key."""

    def spent(self, how: How | None, usage: Usage = NOTHING_KNOWN, *, answering: bool = False) -> list[int]:
        """Return the requests, input and output tokens that count after an attempt; 100 and 50 expected."""
        stage = Stage("a1", limits=KeyLimits(rpm=10, itpm=1000, otpm=1000))
        trying = stage.trying("")
        if answering:
            trying.answering(NOW, usage, None)
        end(trying, how, usage=usage)
        self.assertEqual(stage.held(), {})
        return [spent.used for spent in stage.keys["a1"].state(NOW).spent]

    def test_while_it_is_under_way(self) -> None:
        """What is expected is reserved as soon as the attempt begins."""
        stage = Stage("a1", limits=KeyLimits(itpm=1000))
        trying = stage.trying("")
        self.assertEqual([spent.used for spent in stage.keys["a1"].state(NOW).spent], [1, 100])
        self.assertEqual(stage.backends["a"].traffic.in_flight, 1)
        trying.answering(NOW, Usage(input=30, cache_write=4, cache_read=99, output=1), None)
        self.assertEqual([spent.used for spent in stage.keys["a1"].state(NOW).spent], [1, 34])

    def test_an_answer(self) -> None:
        """An answer has cost what the provider says; where it says nothing, what was expected."""
        self.assertEqual(self.spent(OK, Usage(input=30, output=7)), [1, 30, 7])
        self.assertEqual(self.spent(OK), [1, 100, 50])

    def test_a_refusal(self) -> None:
        """A refusal has cost a request and no tokens."""
        for how in (refused(400), refused(429), refused(500), OVERLOADED):
            self.assertEqual(self.spent(how), [1, 0, 0])

    def test_what_never_arrived(self) -> None:
        """What never reached the provider has cost nothing."""
        for how in (UNREACHABLE, NONE_FREE, script.NO_TLS, UNFIT):
            self.assertEqual(self.spent(how), [0, 0, 0])

    def test_no_answer_in_time(self) -> None:
        """Where nobody knows what was done for it, what was expected is taken as spent."""
        for how in (SLOW, BROKEN, None):
            self.assertEqual(self.spent(how), [1, 100, 50])

    def test_an_answer_that_breaks_off(self) -> None:
        """Of an answer that was cut short, the output said so far is not all: the estimate stays."""
        begun = Usage(input=30, output=1)
        for how in (BROKE_OFF, script.STALLED, None):
            self.assertEqual(self.spent(how, begun, answering=True), [1, 30, 50])
        self.assertEqual(self.spent(BROKE_OFF, Usage(input=30, output=70)), [1, 30, 70])


class MemoryTests(SynchronousTestCase):
    """What is remembered of an answer."""

    def test_the_next_turn(self) -> None:
        """The next turn of a conversation is expected to cost what this one did, and what is added."""
        stage = Stage("a1")
        trying = stage.trying()
        end(trying, OK)
        trying.remember("s", 4000, Usage(input=700, cache_write=50, cache_read=9000, output=7))
        ask = stage.routing.estimates.ask("s", OPUS, 4400)
        self.assertEqual((ask.input, ask.output), (850, 7))

    def test_the_length_of_answers(self) -> None:
        """Answers that were cut short tell nothing about how long answers are."""
        for how in (None, BROKE_OFF, refused(500)):
            stage = Stage("a1")
            usual = stage.routing.estimates.output(OPUS)
            trying = stage.trying()
            end(trying, how)
            trying.remember("s", 4000, Usage(input=700, output=1))
            ask = stage.routing.estimates.ask("s", OPUS, 4000)
            self.assertEqual((ask.input, ask.output), (700, usual))

    def test_the_speed(self) -> None:
        """How long a streamed answer took to begin is what its provider's speed is measured by."""
        stage = Stage("a1")
        for seconds in (2.0, None, 1.0):
            stage.trying("").answering(NOW, NOTHING_KNOWN, seconds)
        self.assertAlmostEqual(stage.backends["a"].traffic.first_byte.seconds, 1.8)

"""The rules of leaving a key alone for a while."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.waits import CoolDown, Wait, Waits

NOW = 1_700_000_000.0
MODELS = st.sampled_from([None, "opus", "haiku"])
TIMES = st.floats(NOW - 100, NOW + 1000)


class WaitTests(SynchronousTestCase):
    """What a provider asked for."""

    def test_a_wait_for_one_model_leaves_the_others(self) -> None:
        """Where the provider named a model, no other has to wait."""
        waits = Waits()
        waits.put_off(Wait("opus", NOW + 30, "rate limited"), NOW)
        self.assertEqual(waits.until("opus"), NOW + 30)
        self.assertLess(waits.until("haiku"), NOW)
        self.assertLess(waits.until(None), NOW)

    def test_a_wait_for_the_key_is_one_for_every_model(self) -> None:
        """Where the provider named no model, all have to wait, and one that had longer to wait still has."""
        waits = Waits()
        waits.put_off(Wait("opus", NOW + 90, "rate limited"), NOW)
        waits.put_off(Wait(None, NOW + 30, "rate limited"), NOW)
        self.assertEqual([waits.until(m) for m in ("opus", "haiku", None)], [NOW + 90, NOW + 30, NOW + 30])

    def test_only_what_is_still_waited_for_is_shown(self) -> None:
        """The status tells what a key waits for and why, and not what is over."""
        waits = Waits()
        lasting = [Wait(None, NOW + 5, "rate limited"), Wait("opus", NOW + 9, "not permitted")]
        for wait in [*lasting, Wait("haiku", NOW + 1, "rate limited")]:
            waits.put_off(wait, NOW)
        self.assertEqual(waits.shown(NOW + 1), tuple(lasting))
        self.assertEqual(waits.shown(NOW + 9), ())

    @given(st.lists(st.tuples(MODELS, TIMES, TIMES)))
    def test_no_deadline_moves_closer(self, hits: list[tuple[str | None, float, float]]) -> None:
        """Whatever answers come in whatever order, no wait becomes shorter, and the longest one counts."""
        waits = Waits()
        told: dict[str | None, float] = {}
        for model, until, now in hits:
            before = {name: waits.until(name) for name in (None, "opus", "haiku")}
            waits.put_off(Wait(model, until, "rate limited"), now)
            told[model] = max(until, told.get(model, 0.0))
            for name, known in before.items():
                self.assertGreaterEqual(waits.until(name), known)
                self.assertEqual(waits.until(name), max(told.get(name, 0.0), told.get(None, 0.0)))
        self.assertEqual(waits.latest, max(told.values(), default=0.0))

    def test_models_are_bounded(self) -> None:
        """Names of models that clients make up take no more room than is set aside for them."""
        waits = Waits()
        for at in range(1000):
            waits.put_off(Wait(f"made-up-{at}", NOW + 600 + at, "not permitted"), NOW)
        self.assertEqual(
            [wait.model for wait in waits.shown(NOW)], [f"made-up-{at}" for at in range(900, 1000)]
        )

    def test_the_longest_waits_are_remembered(self) -> None:
        """A short wait for one model more does not end a longer one, but what is over makes room."""
        waits = Waits()
        for at in range(100):
            waits.put_off(Wait(f"made-up-{at}", NOW + 600, "not permitted"), NOW)
        waits.put_off(Wait("opus", NOW + 1, "rate limited"), NOW)
        self.assertEqual({waits.until(f"made-up-{at}") for at in range(100)}, {NOW + 600})
        waits.put_off(Wait("opus", NOW + 700, "rate limited"), NOW + 600)
        self.assertEqual(waits.shown(NOW), (Wait("opus", NOW + 700, "rate limited"),))

    def test_a_longer_wait_for_a_known_model_puts_out_no_other(self) -> None:
        """A second wait of a model that is waited for needs no room."""
        waits = Waits()
        for at in range(100):
            waits.put_off(Wait(f"made-up-{at}", NOW + 600, "not permitted"), NOW)
        waits.put_off(Wait("made-up-7", NOW + 900, "not permitted"), NOW)
        self.assertEqual(len(waits.shown(NOW)), 100)


class CoolDownTests(SynchronousTestCase):
    """What is guessed where the provider named no time."""

    def test_it_doubles_up_to_a_minute(self) -> None:
        """A key that is refused again after each pause pauses for 1 s, 2 s, 4 s, and at last for 60 s."""
        pause, now, lengths = CoolDown(), NOW, []
        for _ in range(9):
            pause.refused(now)
            lengths.append(pause.until - now)
            now = pause.until
        self.assertEqual(lengths, [1, 2, 4, 8, 16, 32, 60, 60, 60])

    def test_a_burst_is_one_refusal(self) -> None:
        """Twenty requests that are refused at once make one pause."""
        pause = CoolDown()
        for at in range(20):
            pause.refused(NOW + at / 100)
        self.assertEqual(pause.until, NOW + 1)

    def test_a_success_ends_it(self) -> None:
        """After a success there is no pause, and the next is a short one again."""
        pause = CoolDown()
        for now in (NOW, NOW + 1, NOW + 3):
            pause.refused(now)
        pause.reset()
        self.assertLessEqual(pause.until, NOW + 3)
        pause.refused(NOW + 4)
        self.assertEqual(pause.until, NOW + 5)

    @given(st.lists(st.floats(0, 100)))
    def test_refusals_never_shorten_it(self, steps: list[float]) -> None:
        """However refusals come, the end of the pause never moves closer and is a minute off at most."""
        pause, now = CoolDown(), NOW
        for step in steps:
            now += step
            before = pause.until
            pause.refused(now)
            self.assertGreaterEqual(pause.until, before)
            self.assertTrue(now < pause.until <= now + 60)

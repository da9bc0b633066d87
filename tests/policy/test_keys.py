"""The rules of keys: what forbids their use, and what only puts them behind others."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.allowance import KeyLimits
from ccrelay.policy.ask import Ask
from ccrelay.policy.keys import Key
from ccrelay.wire.http import Pairs
from ccrelay.wire.secret import Secret
from ccrelay.wire.usage import Usage

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
TIMES = st.floats(0, 1e10)
OPUS, HAIKU = Ask("opus", 10, 10), Ask("haiku", 10, 10)
LITTLE_LEFT: Pairs = (
    (b"anthropic-ratelimit-tokens-remaining", b"5"),
    (b"anthropic-ratelimit-tokens-reset", b"2023-11-14T22:14:20Z"),
)


class KeyTests(SynchronousTestCase):
    """When a key may be asked."""

    def test_a_new_key_is_usable(self) -> None:
        """Nothing is held against a key that was never refused."""
        self.assertTrue(Key("a").usable(0.0))
        self.assertFalse(Key("a").soft(0.0, OPUS))

    def test_a_barred_key_is_usable_again_at_the_very_time(self) -> None:
        """A key is left alone until the time named, and not a moment longer."""
        key = Key("a")
        key.bar(100.0)
        self.assertFalse(key.usable(99.9))
        self.assertTrue(key.usable(100.0))

    @given(st.lists(TIMES, min_size=1), TIMES)
    def test_a_second_refusal_never_shortens_the_first(self, refusals: list[float], now: float) -> None:
        """Of all refusals the longest counts, in whatever order they came."""
        key = Key("a")
        for until in refusals:
            key.bar(until)
        self.assertEqual(key.usable(now), now >= max(refusals))

    def test_keys_of_one_name_are_two_keys(self) -> None:
        """What is held against one key is not held against another that is called the same."""
        one, other = Key("a"), Key("a")
        self.assertNotEqual(one, other)
        one.bar(9.0)
        self.assertTrue(other.usable(0.0))

    def test_a_key_does_not_show_its_secret(self) -> None:
        """A key that is printed shows its name alone."""
        self.assertEqual(
            repr(Key("main", Secret("sk-test-0123456789"))), "Key(name='main', priority=1, barred_until=0.0)"
        )


class HardTests(SynchronousTestCase):
    """What forbids the use of a key."""

    def test_one_request_too_many_waits(self) -> None:
        """Request N+1 within a minute may not use the key, also when answers came in between."""
        key = Key("a", limits=KeyLimits(rpm=3))
        for at in range(3):
            self.assertTrue(key.usable(NOW + at, OPUS))
            key.reserve(OPUS, NOW + at).settle(Usage(1, 1))
            key.succeeded(NOW + at)
        self.assertFalse(key.usable(NOW + 59.9, OPUS))
        self.assertEqual(key.frees_at(NOW + 3, OPUS), NOW + 60)
        self.assertTrue(key.usable(NOW + 60, OPUS))

    def test_limits_are_left_aside_without_a_request(self) -> None:
        """Whether a key is good at all does not depend on how much it is used, nor on one model."""
        key = Key("a", limits=KeyLimits(rpm=1))
        key.reserve(OPUS, NOW)
        key.limited(NOW, 30.0, "opus")
        self.assertTrue(key.usable(NOW))
        self.assertFalse(key.usable(NOW, HAIKU))

    def test_a_wait_that_was_asked_for(self) -> None:
        """A key is left alone for the seconds that a provider named, three days if it says so."""
        for wait in (0.5, 30.0, 3 * 86400.0):
            key = Key("a")
            key.limited(NOW, wait)
            self.assertFalse(key.usable(NOW + wait - 0.1))
            self.assertFalse(key.usable(NOW + wait - 0.1, OPUS))
            self.assertEqual(key.frees_at(NOW, OPUS), NOW + wait)
            self.assertTrue(key.usable(NOW + wait, OPUS))
            self.assertFalse(key.soft(NOW, OPUS))

    def test_a_wait_for_one_model(self) -> None:
        """Where the provider named a model, the key goes on with the others."""
        key = Key("a")
        key.limited(NOW, 30.0, "opus")
        self.assertFalse(key.usable(NOW, OPUS))
        self.assertTrue(key.usable(NOW, HAIKU))
        self.assertEqual((key.frees_at(NOW, OPUS), key.frees_at(NOW, HAIKU)), (NOW + 30, NOW))

    def test_a_success_does_not_end_a_wait(self) -> None:
        """An answer to an earlier request does not make a wait shorter that was asked for since."""
        key = Key("a")
        key.limited(NOW, 30.0)
        key.succeeded(NOW + 1)
        key.limited(NOW + 1, 1.0)
        self.assertFalse(key.usable(NOW + 29))

    def test_no_permission(self) -> None:
        """After a 403 a key is left alone for ten minutes, for the model or wholly."""
        key = Key("a")
        key.exclude("opus", NOW)
        self.assertEqual((key.usable(NOW, OPUS), key.usable(NOW, HAIKU)), (False, True))
        key.exclude(None, NOW + 60)
        self.assertEqual((key.frees_at(NOW, OPUS), key.frees_at(NOW, HAIKU)), (NOW + 660, NOW + 660))

    def test_an_invalid_key(self) -> None:
        """A key that the provider does not know is used no more, until it does know it."""
        key = Key("a")
        key.invalidate(NOW)
        self.assertEqual(key.tested, NOW)
        self.assertFalse(key.usable(NOW + 1e9))
        self.assertIsNone(key.frees_at(NOW, OPUS))
        key.validated()
        self.assertTrue(key.usable(NOW, OPUS))

    @given(
        st.lists(
            st.sampled_from(
                [
                    lambda key, now: key.reserve(OPUS, now),
                    lambda key, now: key.reserve(Ask("haiku", 90, 1), now).settle(Usage(40, 90)),
                    lambda key, now: key.limited(now, 7.0),
                    lambda key, now: key.limited(now, 90.0, "opus"),
                    lambda key, now: key.limited(now, None),
                    lambda key, now: key.exclude("haiku", now),
                    lambda key, now: key.bar(now + 33.0),
                    lambda key, now: key.degrade(),
                ]
            )
        ),
        st.sampled_from([0.0, 0.5, 31.0]),
        st.sampled_from([OPUS, HAIKU, Ask("m", 500, 1)]),
    )
    def test_it_is_known_when_a_key_is_free(
        self, calls: list[Callable[[Key, float], object]], step: float, ask: Ask
    ) -> None:
        """The time that is named for a key is when it may be asked, and it may not any sooner."""
        key, now = Key("a", limits=KeyLimits(rpm=3, itpm=100, otpm=100)), NOW
        for call in calls:
            call(key, now)
            now += step
        at = key.frees_at(now, ask)
        assert at is not None
        self.assertEqual(key.usable(now, ask), at == now)
        if at > now:
            self.assertFalse(key.usable(at - 1 / 1024, ask))
        self.assertTrue(key.usable(at, ask))


class SoftTests(SynchronousTestCase):
    """What puts a key behind others."""

    def test_soft_facts_forbid_nothing(self) -> None:
        """A guess, a failed probe or little that is left puts a key behind others and refuses no request."""
        guessed, failed, learned = Key("a"), Key("b"), Key("c")
        guessed.limited(NOW, None)
        failed.degrade()
        learned.learn(LITTLE_LEFT, "opus", NOW)
        for key in (guessed, failed, learned):
            self.assertTrue(key.soft(NOW, OPUS), key)
            self.assertTrue(key.usable(NOW, OPUS), key)
            self.assertEqual(key.frees_at(NOW, OPUS), NOW, key)

    def test_a_refusal_without_a_time_doubles(self) -> None:
        """Where the provider named no wait, or one of 0, the key goes last for 1 s, then 2 s, and so on."""
        key, now = Key("a"), NOW
        for wait, length in ((None, 1), (0.0, 2), (None, 4)):
            key.limited(now, wait)
            self.assertTrue(key.soft(now + length - 0.1, OPUS))
            self.assertFalse(key.soft(now + length, OPUS))
            now += length
        key.succeeded()
        key.limited(now, None)
        self.assertFalse(key.soft(now + 1, OPUS))

    def test_a_success_ends_what_was_guessed(self) -> None:
        """A key that answers is neither pausing nor degraded."""
        key = Key("a")
        key.degrade()
        key.limited(NOW, None)
        key.succeeded(NOW)
        self.assertFalse(key.soft(NOW, OPUS))

    def test_what_was_learned_is_forgotten_at_its_reset(self) -> None:
        """Little that was left puts a key last until the reset, for models of that class alone."""
        key = Key("a")
        key.learn(LITTLE_LEFT, "opus", NOW)
        self.assertFalse(key.soft(NOW, HAIKU))
        self.assertTrue(key.soft(NOW + 59.9, OPUS))
        self.assertFalse(key.soft(NOW + 60, OPUS))

    def test_without_a_reset_nothing_is_learned(self) -> None:
        """What does not say when it is over is not believed."""
        key = Key("a")
        key.learn(LITTLE_LEFT[:1], "opus", NOW)
        self.assertFalse(key.soft(NOW, OPUS))

    def test_the_last_success_is_remembered(self) -> None:
        """When a key last succeeded is known; 0 if it never has."""
        key = Key("a")
        self.assertEqual(key.last_success, 0.0)
        key.succeeded()
        self.assertEqual(key.last_success, 0.0)
        key.succeeded(NOW)
        key.succeeded()
        self.assertEqual(key.last_success, NOW)

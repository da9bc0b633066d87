"""The rules of what is kept of a key over a reload, and of what is shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.allowance import KeyLimits, Spent
from ccrelay.policy.ask import Ask
from ccrelay.policy.keys import Key
from ccrelay.policy.rate_limits import Learned
from ccrelay.policy.waits import Wait
from ccrelay.wire.http import Pairs
from ccrelay.wire.secret import Secret
from ccrelay.wire.usage import Usage

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
OPUS = Ask("opus", 10, 10)
LITTLE_LEFT: Pairs = (
    (b"anthropic-ratelimit-tokens-remaining", b"5"),
    (b"anthropic-ratelimit-tokens-reset", b"2023-11-14T22:14:20Z"),
)


class ReloadTests(SynchronousTestCase):
    """What a reload changes."""

    def adapted(self, key: Key, limits: KeyLimits) -> None:
        """Let a key be what the operator says now."""
        key.adapt(limits, priority=7, weight=3, count_cache_reads=True, name="new")

    def test_the_operator_is_obeyed(self) -> None:
        """Name, priority, weight and limits are those of the new configuration."""
        key = Key("old")
        self.adapted(key, KeyLimits(rpm=5, itpm=50))
        self.assertEqual(
            (key.name, key.priority, key.weight, key.count_cache_reads, key.limits),
            ("new", 7, 3, True, KeyLimits(rpm=5, itpm=50)),
        )
        key.reserve(Ask("m", 1, 1), NOW).settle(Usage(input=1, cache_read=20))
        self.assertEqual(key.state(NOW).spent, (Spent("requests", 5, 1), Spent("input-tokens", 50, 21)))

    def test_what_is_in_the_windows_is_held_to_the_new_limits(self) -> None:
        """What was used in the last minute counts against limits that were changed."""
        key = Key("old", limits=KeyLimits(rpm=10))
        for at in range(4):
            key.reserve(OPUS, NOW + at)
        self.adapted(key, KeyLimits(rpm=4))
        self.assertFalse(key.usable(NOW + 10, OPUS))
        self.assertEqual(key.frees_at(NOW + 10, OPUS), NOW + 60)

    def test_what_is_known_survives(self) -> None:
        """Waits, guesses, lessons and what is under way survive a reload."""
        key = Key("old")
        lease = key.reserve(OPUS, NOW)
        key.limited(NOW, 30.0, "opus")
        key.learn(LITTLE_LEFT, "haiku", NOW)
        key.succeeded(NOW)
        key.degrade()
        self.adapted(key, KeyLimits())
        self.assertFalse(key.usable(NOW, OPUS))
        self.assertTrue(key.degraded)
        self.assertEqual(key.last_success, NOW)
        state = key.state(NOW)
        self.assertEqual((state.name, state.in_flight, len(state.learned)), ("new", 1, 1))
        lease.settle(Usage(1, 1))
        self.assertEqual(key.state(NOW).in_flight, 0)


class StateTests(SynchronousTestCase):
    """What is shown."""

    def test_everything_known_is_shown(self) -> None:
        """The state tells what is used, what is waited for and what was learned, and nothing that is over."""
        key = Key("a", limits=KeyLimits(rpm=5))
        key.reserve(OPUS, NOW)
        key.limited(NOW, 5.0, "haiku")
        key.exclude("opus", NOW)
        key.learn(LITTLE_LEFT, "opus", NOW)
        state = key.state(NOW + 5)
        self.assertEqual(state.spent, (Spent("requests", 5, 1),))
        self.assertEqual(state.waits, (Wait("opus", NOW + 600, "not permitted"),))
        self.assertEqual(state.learned, (("opus", Learned("tokens", None, 5, NOW + 60)),))
        self.assertEqual((state.name, state.standing, state.until, state.in_flight), ("a", "ready", None, 1))

    def test_the_worst_is_shown_first(self) -> None:
        """As things are mended one by one, the next best reason is shown with the time at which it ends."""
        key, shown = Key("a", limits=KeyLimits(itpm=10)), []
        for worse in (
            key.degrade,
            lambda: key.limited(NOW, None),
            lambda: key.reserve(OPUS, NOW),
            lambda: key.limited(NOW, 70.0),
            lambda: key.bar(NOW + 80),
            lambda: key.invalidate(NOW),
            key.validated,
        ):
            worse()
            shown.append((key.state(NOW).standing, key.state(NOW).until))
        times = [
            ("degraded", None),
            ("cooling", NOW + 1),
            ("full", NOW + 60),
            ("waiting", NOW + 70),
            ("exhausted", NOW + 80),
        ]
        self.assertEqual(shown, [*times, ("invalid", None), times[-1]])
        self.assertEqual(key.state(NOW + 80).standing, "degraded")

    def test_a_secret_is_never_shown(self) -> None:
        """A key without a name shows the end of its secret and no more, wherever it is shown."""
        secret = Secret("sk-test-0123456789")
        key = Key(str(secret), secret)
        for shown in (repr(key), str(key.state(NOW))):
            self.assertIn("…6789", shown)
            self.assertNotIn("56789", shown)

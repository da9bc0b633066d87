"""The rules of what the end of an attempt means for key and circuit."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.ask import Ask
from ccrelay.policy.breaker import State, Thresholds
from ccrelay.policy.keys import Key
from ccrelay.wire.usage import NOTHING_KNOWN
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
from tests.policy.stage import HAIKU, NOW, OPUS, Stage, at

ONCE = Thresholds(failures=1)
FOR_A_MODEL = "This would exceed your organization's rate limit (model: claude-opus-5)"


def ended(how: How | None, layout: str = "a1") -> Stage:
    """Return a stage on which one attempt with the first key has ended."""
    stage = Stage(layout, thresholds=ONCE)
    end(stage.trying(""), how)
    return stage


def usable(key: Key, model: str, seconds: float = 0.0) -> bool:
    """Return whether a key may be asked for a model so many seconds later."""
    return key.usable(NOW + seconds, Ask(model, 100, 50))


class KeyTests(SynchronousTestCase):
    """What an answer says about the key."""

    def shown(self, how: How | None) -> tuple[str, float | None]:
        """Return how the key stands after an attempt, and for how many seconds."""
        state = ended(how).keys["a1"].state(NOW)
        return state.standing, None if state.until is None else round(state.until - NOW, 3)

    def test_401(self) -> None:
        """A key that the provider does not know is used no more until it is found to be valid."""
        self.assertEqual(self.shown(refused(401)), ("invalid", None))

    def test_401_without_a_key(self) -> None:
        """A provider that wants no key has none that could be invalid."""
        stage = Stage("a1")
        stage.keys["a1"].secret = None
        end(stage.trying(""), refused(401))
        self.assertTrue(stage.keys["a1"].valid)

    def test_402_and_no_credit(self) -> None:
        """A key without credit is left alone for an hour, or until the time that is named."""
        self.assertEqual(self.shown(refused(402)), ("exhausted", 3600.0))
        self.assertEqual(self.shown(refused(400, "Your credit balance is too low")), ("exhausted", 3600.0))
        limits = "You have reached your usage limits. You will regain access on 2023-11-15 at 00:00 UTC."
        self.assertEqual(self.shown(refused(400, limits)), ("exhausted", 6400.0))

    def test_403(self) -> None:
        """A key that is not permitted is left alone for ten minutes, for that model."""
        for words in (
            "no",
            "Your organization may not use this model",
            "Your account has no access to claude-opus-5",
        ):
            key = ended(refused(403, words)).keys["a1"]
            self.assertEqual((usable(key, OPUS), usable(key, OPUS, 600)), (False, True))
            self.assertTrue(usable(key, HAIKU))

    def test_403_of_the_key(self) -> None:
        """If the words name the account or the key, it is left alone for every model."""
        for words in ("Your account is disabled", "This API key was revoked", "organisation suspended"):
            key = ended(refused(403, words)).keys["a1"]
            self.assertEqual((usable(key, OPUS), usable(key, HAIKU)), (False, False))
            self.assertTrue(usable(key, HAIKU, 600))

    def test_429_with_a_wait(self) -> None:
        """A 429 that names a time cools that key, and no other, until then."""
        stage = ended(refused(429, retry_after="7"), "a1 a2")
        self.assertEqual([usable(key, HAIKU) for key in stage.keys.values()], [False, True])
        self.assertEqual(self.shown(refused(429, retry_after_ms="1500")), ("waiting", 1.5))
        self.assertEqual(self.shown(refused(429, retry_after="Tue, 14 Nov 2023 22:14:00 GMT"))[1], 40.0)

    def test_429_of_a_model(self) -> None:
        """A 429 that names a model cools the key for that model alone."""
        for words in (FOR_A_MODEL, "Too many requests for claude-opus-5", "limit of this model reached"):
            key = ended(refused(429, words, retry_after="7")).keys["a1"]
            self.assertEqual((usable(key, OPUS), usable(key, HAIKU)), (False, True))

    def test_429_without_a_wait(self) -> None:
        """A 429 that names no time puts the key behind others for a second, and forbids nothing."""
        for how in (refused(429), refused(429, retry_after="0"), refused(429, x_should_retry="false")):
            self.assertEqual(self.shown(how), ("cooling", 1.0))
            self.assertTrue(usable(ended(how).keys["a1"], OPUS))

    def test_a_later_hit(self) -> None:
        """A second 429 never moves the time closer."""
        stage = Stage("a1")
        first, second = stage.trying(""), stage.trying("")
        end(first, refused(429, retry_after="50"))
        end(second, refused(429, retry_after="5"), at(1))
        self.assertEqual(stage.keys["a1"].state(NOW).until, NOW + 50)

    def test_success(self) -> None:
        """A success ends a guessed pause, and makes a key that a probe has found wanting well again."""
        stage = ended(refused(429))
        key = stage.keys["a1"]
        key.degrade()
        stage.breakers.of("a").reset()
        end(stage.trying(""), OK)
        self.assertEqual((key.state(NOW).standing, key.last_success), ("ready", NOW))

    def test_what_is_not_the_keys_fault(self) -> None:
        """Whatever a provider, a client or the relay is to be blamed for says nothing about the key."""
        for how in (
            OVERLOADED, BROKEN, BROKE_OFF, SLOW, UNREACHABLE, NONE_FREE, UNFIT, None,
            refused(400), refused(404), refused(408), refused(500), refused(503, retry_after="9"),
        ):  # fmt: skip
            self.assertEqual(self.shown(how), ("ready", None))

    def test_the_clients_own_bearer(self) -> None:
        """A client's own bearer is never judged, nor are the keys and the provider for it."""
        for status in (401, 402, 403, 429):
            stage = Stage("a1", thresholds=ONCE)
            end(stage.trying(own="a"), refused(status, retry_after="9"))
            self.assertEqual(stage.keys["a1"].state(NOW).standing, "ready")
            self.assertTrue(stage.breakers.admits("a", OPUS, NOW))
            stage.keys["a1"].bar(NOW + 60)
            end(stage.trying(own="a"), refused(429))
            self.assertTrue(stage.breakers.admits("a", OPUS, NOW))

    def test_what_headers_teach(self) -> None:
        """What an answer says is left of a key's limits puts it behind others, for that class of models."""
        stage = Stage("a1 a2")
        trying = stage.trying("")
        trying.learn(
            (
                (b"anthropic-ratelimit-tokens-remaining", b"5"),
                (b"anthropic-ratelimit-tokens-reset", b"2023-11-14T22:14:20Z"),
            ),
            NOW,
        )
        end(trying, OK)
        key = stage.keys["a1"]
        self.assertEqual([key.soft(NOW, Ask(model, 100, 50)) for model in (OPUS, HAIKU)], [True, False])


class CircuitTests(SynchronousTestCase):
    """What an answer says about the provider."""

    def counted(self, how: How | None, layout: str = "a1") -> tuple[bool, bool]:
        """Return whether an attempt closed the way to its model, and to other models."""
        breakers = ended(how, layout).breakers
        return not breakers.admits("a", OPUS, NOW), not breakers.admits("a", HAIKU, NOW)

    def test_failures(self) -> None:
        """Connect errors, timeouts, 5xx and broken streams are failures of the provider."""
        for how in (UNREACHABLE, SLOW, BROKEN, BROKE_OFF, script.STALLED, script.NO_TLS, refused(500)):
            self.assertEqual(self.counted(how), (True, True))

    def test_no_failures(self) -> None:
        """Other 4xx, clients that leave, and what the relay itself is to be blamed for are none."""
        for how in (
            OK, None, UNFIT, NONE_FREE, refused(400), refused(401), refused(402), refused(403), refused(404),
            refused(404, mapped=True), refused(408), refused(409), refused(413),
        ):  # fmt: skip
            self.assertEqual(self.counted(how), (False, False))

    def test_overload(self) -> None:
        """Overload closes the way to that model only."""
        self.assertEqual(self.counted(OVERLOADED), (True, False))

    def test_a_429_if_every_key_is_limited(self) -> None:
        """A 429 is a failure of the provider only if every key of it is limited."""
        for how in (refused(429), refused(429, retry_after="9")):
            self.assertEqual(self.counted(how), (True, True))
            self.assertEqual(self.counted(how, "a1 a2"), (False, False))
            stage = Stage("a1 a2", thresholds=ONCE)
            for _ in range(2):
                end(stage.trying(""), how)
            self.assertFalse(stage.breakers.admits("a", OPUS, NOW))

    def test_a_429_of_a_model(self) -> None:
        """If keys are limited for one model, the way to the others stays open."""
        self.assertEqual(self.counted(refused(429, FOR_A_MODEL, retry_after="9")), (False, False))

    def test_other_keys_that_cannot_serve(self) -> None:
        """Keys that are invalid, exhausted or full are no help: the last one's 429 counts."""
        for spoil in (lambda key: key.invalidate(NOW), lambda key: key.bar(NOW + 60)):
            stage = Stage("a1 a2", thresholds=ONCE)
            spoil(stage.keys["a2"])
            end(stage.trying(""), refused(429))
            self.assertFalse(stage.breakers.admits("a", OPUS, NOW))

    def test_an_answer_that_begins(self) -> None:
        """A half-open gate takes the beginning of an answer for its success, however long that streams."""
        stage = Stage("a1", thresholds=Thresholds(failures=1, half_open_probes=1))
        stage.open("a")
        trying = stage.trying("", NOW + 30)
        self.assertIs(stage.breakers.of("a").state(NOW + 30), State.HALF_OPEN)
        trying.answering(NOW + 30, NOTHING_KNOWN, None)
        self.assertIs(stage.breakers.of("a").state(NOW + 30), State.CLOSED)

    def test_no_return_to_who_failed(self) -> None:
        """Conversations do not return to a provider that failed or was overloaded within the minute."""
        for how, returns in ((BROKEN, False), (OVERLOADED, False), (refused(429), False), (None, True)):
            stage = Stage("a1 b1")
            stage.served("s", "a1", NOW - 100)
            stage.served("s", "b1", NOW - 90)
            end(stage.trying("other"), how)
            self.assertEqual(stage.trying("s").route.provider, "a" if returns else "b")

"""The rules of the places of conversations, of counting, and of when a request could be served."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.affinity import Move
from ccrelay.policy.allowance import KeyLimits
from ccrelay.policy.breaker import Thresholds
from ccrelay.wire.usage import NOTHING_KNOWN
from tests.policy.script import BROKEN, OK, OVERLOADED, end, refused
from tests.policy.stage import NOW, Stage, at

LATER = NOW + 3600.0
NOTHING_LEFT = (
    (b"anthropic-ratelimit-requests-remaining", b"0"),
    (b"anthropic-ratelimit-requests-reset", b"2023-11-14T22:14:20Z"),
)


class ConversationTests(SynchronousTestCase):
    """How a conversation comes to its place, and to another."""

    def test_it_is_settled_at_once(self) -> None:
        """The second request of a new conversation finds the place of the first, answered or not."""
        for number in range(20):
            stage = Stage("a1 a2 a3 a4", strategy="round_robin", seed=number)
            first = stage.trying(f"s{number}")
            self.assertEqual(stage.trying(f"s{number}").route.key, first.route.key)

    def test_new_ones_share_the_keys(self) -> None:
        """New conversations are spread evenly over equal keys of the provider."""
        stage = Stage("a1 a2 a3 a4")
        keys = Counter(stage.trying(f"s{number}").route.key_name for number in range(40))
        self.assertTrue(all(8 <= number <= 12 for number in keys.values()), keys)

    def test_it_moves_where_it_is_served(self) -> None:
        """After a failover the conversation stays where it was answered, once that has begun."""
        stage = Stage("a1 b1")
        stage.served("s", "a1", NOW - 100)
        selection = stage.selection()
        first = selection.next(NOW)
        assert first is not None
        end(first, BROKEN)
        selection.failed(BROKEN.of(first.route, at(0)))
        second = selection.next(NOW)
        assert second is not None
        self.assertEqual(stage.place(), "a1")
        second.answering(NOW + 1, NOTHING_KNOWN, None)
        self.assertEqual(stage.place(), "b1")
        self.assertEqual(stage.affinity.moves, {Move.PROVIDER: 1})

    def test_an_answer_that_began_in_vain(self) -> None:
        """Where an answer begins, breaks off and another provider steps in, the conversation follows."""
        stage = Stage("a1 b1 c1")
        stage.served("s", "a1", NOW - 100)
        selection = stage.selection()
        for now in (NOW, NOW + 1, NOW + 2):
            trying = selection.next(now)
            assert trying is not None
            if now > NOW:
                trying.answering(now + 0.5, NOTHING_KNOWN, None)
            end(trying, BROKEN)
            selection.failed(BROKEN.of(trying.route, at(0)))
        self.assertEqual(stage.place(), "c1")

    def test_one_that_starts_away_from_home(self) -> None:
        """A conversation placed while the preferred provider fails goes there once that is well."""
        stage = Stage("a1 b1")
        stage.open("a")
        self.assertEqual(stage.trying().route.provider, "b")
        stage.breakers.of("a").reset()
        self.assertEqual(stage.trying(now=NOW + 59).route.provider, "b")
        self.assertEqual(stage.trying(now=NOW + 61).route.provider, "a")

    def test_the_clients_bearer_leaves_no_trace(self) -> None:
        """What a client's own bearer served has no place: a bearer has no key to stay on."""
        stage = Stage("a1 b")
        trying = stage.trying(own="b")
        trying.answering(NOW, NOTHING_KNOWN, None)
        end(trying, OK)
        self.assertEqual((trying.route.key_name, stage.place()), ("client", ""))

    def test_without_affinity(self) -> None:
        """With affinity off each request goes as the strategy says."""
        stage = Stage("a1 b1", strategy="round_robin", affinity=False)
        self.assertEqual([stage.trying("s").route.provider for _ in range(4)], ["a", "b", "a", "b"])


class PinnedTests(SynchronousTestCase):
    """A request that names something that lives at one place."""

    def test_nowhere_else(self) -> None:
        """It goes to its conversation's provider and key, or nowhere."""
        stage = Stage("a1 b1 b2")
        stage.served("s", "b2")
        selection = stage.selection(pinned=True)
        trying = selection.next(NOW)
        assert trying is not None
        self.assertEqual(trying.route.key_name, "b2")
        end(trying, refused(429, retry_after="9"))
        selection.failed(refused(429).of(trying.route, at(0)))
        self.assertIsNone(selection.next(NOW))
        self.assertIsNone(stage.next(pinned=True))

    def test_not_home_either(self) -> None:
        """A return that is due does not concern what lives where the conversation is."""
        stage = Stage("a1 b1")
        stage.served("s", "a1")
        stage.served("s", "b1")
        self.assertEqual(stage.trying(now=NOW + 100).route.provider, "a")
        self.assertEqual(stage.trying(now=NOW + 100, pinned=True).route.provider, "b")

    def test_when_it_frees(self) -> None:
        """The time that a client is told is that of the one key that can serve it."""
        stage = Stage("a1 a2")
        stage.served("s", "a2")
        stage.keys["a2"].limited(NOW, 30.0)
        selection = stage.selection(pinned=True)
        self.assertEqual((selection.usable(NOW), selection.frees_at(NOW)), (False, NOW + 30))


class CountingTests(SynchronousTestCase):
    """Requests that only count tokens."""

    def test_nobody_is_judged(self) -> None:
        """However counting ends, no circuit, no key and no conversation takes notice."""
        for how in (OK, BROKEN, OVERLOADED, refused(401), refused(402), refused(403), refused(429)):
            stage = Stage("a1", thresholds=Thresholds(failures=1))
            trying = stage.trying(counting=True)
            trying.learn(NOTHING_LEFT, NOW)
            trying.answering(NOW, NOTHING_KNOWN, None)
            end(trying, how)
            key = stage.keys["a1"]
            self.assertEqual((key.state(NOW).standing, key.taken, stage.place()), ("ready", 0, ""))
            self.assertEqual(key.state(NOW).learned, ())
            self.assertEqual([s.failures for s in stage.breakers.snapshot(NOW)], [0])
            self.assertEqual(stage.held(), {})

    def test_limits_of_messages_do_not_count(self) -> None:
        """Counting has limits of its own: a key that is full, or waits for the model, still counts."""
        for session in ("", "new", "old"):
            stage = Stage("a1 a2", limits=KeyLimits(rpm=1))
            stage.served("old", "a2")
            for key in stage.keys.values():
                key.reserve(stage.ways()[0].ask, NOW)
                key.limited(NOW, 9.0, stage.ways()[0].model)
            self.assertIsNone(stage.next(session))
            trying = stage.trying(session, counting=True)
            self.assertEqual(trying.route.key_name, "a2" if session == "old" else "a1")

    def test_where_the_conversation_is(self) -> None:
        """Counting goes where the conversation is, else as the strategy says, without taking a turn."""
        stage = Stage("a1 b1 b2", strategy="round_robin")
        stage.served("s", "b2")
        self.assertEqual(stage.trying("s", counting=True).route.key_name, "b2")
        for number in range(3):
            self.assertEqual(stage.trying(f"s{number}", counting=True).route.provider, "a")
        self.assertEqual([stage.trying(f"s{number}").route.provider for number in range(3)], ["a", "b", "a"])

    def test_not_through_an_open_circuit(self) -> None:
        """Counting goes to providers that are well, and only if none is, to another."""
        stage = Stage("a1 b1")
        stage.open("a")
        self.assertEqual(stage.trying(counting=True).route.provider, "b")
        stage.open("b", NOW - 1)
        self.assertEqual(stage.trying(counting=True).route.provider, "b")


class ReadyTests(SynchronousTestCase):
    """What is known of when a request could be served."""

    def test_the_soonest_key(self) -> None:
        """Where no key is usable, it is known when the soonest frees, of those that ever will."""
        stage = Stage("a1 a2 b1 b2", limits=KeyLimits(rpm=1))
        for name, seconds in (("a1", 50.0), ("a2", 40.0), ("b1", 30.0)):
            stage.keys[name].limited(NOW, seconds)
        stage.keys["b2"].invalidate(NOW)
        selection = stage.selection()
        self.assertFalse(selection.usable(NOW))
        self.assertEqual(selection.frees_at(NOW), NOW + 30)
        self.assertEqual(selection.frees_at(NOW, but=stage.keys["b1"]), NOW + 40)

    def test_a_full_key(self) -> None:
        """A key at its limit frees when its window has room again."""
        stage = Stage("a1", limits=KeyLimits(rpm=1))
        stage.trying("")
        self.assertAlmostEqual(stage.selection().frees_at(NOW + 10) or 0.0, NOW + 60)

    def test_never_by_itself(self) -> None:
        """Where every key is invalid no time is named."""
        stage = Stage("a1 b1")
        for key in stage.keys.values():
            key.invalidate(NOW)
        self.assertIsNone(stage.selection().frees_at(NOW))

    def test_who_has_failed_is_no_hope(self) -> None:
        """Keys of a provider that failed this request do not make it worth a repeat."""
        stage = Stage("a1 b1")
        stage.keys["b1"].limited(NOW, 30.0)
        selection = stage.selection("")
        selection.failed(BROKEN.of(stage.trying("").route, at(0)))
        self.assertEqual(selection.frees_at(NOW), NOW + 30)

    def test_a_key_that_is_not_to_be_asked_again(self) -> None:
        """A key with `x-should-retry: false` and no time is no hope; with a time it is, from then on."""
        for headers, frees in (({}, None), ({"retry_after": "30"}, NOW + 30)):
            stage = Stage("a1")
            selection = stage.selection("")
            trying = selection.next(NOW)
            assert trying is not None
            how = refused(429, x_should_retry="false", **headers)
            end(trying, how)
            selection.failed(how.of(trying.route, at(0)))
            self.assertEqual(selection.frees_at(NOW), frees)

    def test_when_a_circuit_is_due(self) -> None:
        """Where every gate is full, it is known when the next circuit lets something through."""
        stage = Stage("a1 b1", thresholds=Thresholds(half_open_probes=1))
        stage.open("a")
        stage.open("b", NOW + 5)
        selection = stage.selection()
        self.assertEqual((selection.usable(NOW), selection.due(NOW)), (True, NOW + 30))
        self.assertEqual(Stage("a1").selection().due(NOW), NOW)

    def test_no_provider_at_all(self) -> None:
        """A request that nobody may take is told apart from one that nobody can take now."""
        stage = Stage("a1")
        stage.open("a")
        self.assertFalse(stage.selection().empty)
        self.assertTrue(Stage("a").selection().empty)
        self.assertFalse(Stage("a").selection(own="a").empty)
        self.assertTrue(Stage("a").selection(own="a").usable(NOW))


class AgainTests(SynchronousTestCase):
    """Whether a place can be asked once more."""

    def test_while_all_is_well(self) -> None:
        """A place that may be asked is asked once more, and says that it is a repeat."""
        for own, name in (("", "a1"), ("a", "client")):
            stage = Stage("a1")
            selection = stage.selection(own=own)
            first = selection.next(NOW)
            assert first is not None
            end(first, BROKEN)
            outcome = BROKEN.of(first.route, at(0))
            self.assertEqual(selection.ready_at(outcome, NOW), NOW)
            again = selection.again(outcome, NOW)
            assert again is not None
            self.assertEqual((again.route.key_name, again.repeat, first.repeat), (name, True, False))

    def test_not_before_its_key_is_free(self) -> None:
        """A key that waits is ready when its wait is over, and one that is invalid never."""
        stage = Stage("a1")
        selection, outcome = stage.selection(), BROKEN.of(stage.trying("").route, at(0))
        stage.keys["a1"].limited(NOW, 3.0)
        self.assertEqual(selection.ready_at(outcome, NOW), NOW + 3)
        self.assertIsNone(selection.again(outcome, NOW + 2.9))
        self.assertIsNotNone(selection.again(outcome, NOW + 3))
        stage.keys["a1"].invalidate(NOW)
        self.assertIsNone(selection.ready_at(outcome, NOW + 3))

    def test_not_through_a_circuit_that_is_not_closed(self) -> None:
        """What is failing is not asked again, be it the provider or the model, and open or half open."""
        for model in (False, True):
            stage = Stage("a1", thresholds=Thresholds(failures=1))
            trying = stage.trying("")
            end(trying, OVERLOADED if model else BROKEN)
            outcome = BROKEN.of(trying.route, at(0))
            for now in (NOW, NOW + 31):
                self.assertIsNone(stage.selection().ready_at(outcome, now))
                self.assertIsNone(stage.selection().again(outcome, now))

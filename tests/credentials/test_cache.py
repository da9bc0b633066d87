"""The rules of a credential that is fetched, told by a clock that is turned by hand."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.credentials.cache import EARLY, PATIENCE, CredentialCache, Fetched
from ccrelay.credentials.wording import Unavailable
from ccrelay.errors import CredentialFailed, UpstreamError
from tests.credentials.hands import WALL, Hands, at_once

HOUR = 3600.0


class CacheTestCase(SynchronousTestCase):
    """A cache over threads that the test ends itself."""

    def setUp(self) -> None:
        """Begin with nothing fetched."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.hands = Hands()
        self.log: list[str] = []
        globalLogPublisher.addObserver(self.keep)
        self.addCleanup(globalLogPublisher.removeObserver, self.keep)
        self.cache: CredentialCache[str] = CredentialCache(
            "the credential of a", lambda: Fetched("?"), self.hands.run, self.clock
        )

    def keep(self, event: Any) -> None:
        if event.get("log_namespace", "").startswith("ccrelay."):
            self.log.append(event["log_format"].format(**event))

    @property
    def now(self) -> float:
        return WALL + self.clock.seconds()

    def get(self) -> Deferred[str]:
        return self.cache.get(self.now)

    def have(self, value: str, lasts: float | None = HOUR) -> None:
        """Let a fetch that is asked for bring a value."""
        waiting = self.get()
        self.bring(value, lasts)
        self.assertEqual(self.successResultOf(waiting), value)

    def bring(self, value: str, lasts: float | None = HOUR) -> None:
        self.hands.bring(Fetched(value, None if lasts is None else self.now + lasts))

    def message(self, waiting: Deferred[Any]) -> str:
        return self.failureResultOf(waiting, CredentialFailed).value.message


class FetchTests(CacheTestCase):
    """One fetch for all."""

    def test_nothing_is_fetched_unasked(self) -> None:
        """Until somebody asks, no thread is used."""
        self.assertEqual(self.hands.begun, 0)
        self.assertEqual((self.cache.held, self.cache.expires), (None, None))

    def test_one_fetch_for_all_who_wait(self) -> None:
        """A hundred requests that need a credential cost one fetch."""
        waiting = [self.get() for _ in range(100)]
        self.assertEqual(self.hands.begun, 1)
        self.bring("one")
        self.assertEqual([self.successResultOf(d) for d in waiting], ["one"] * 100)

    def test_it_is_kept(self) -> None:
        """Who asks later gets it at once, without a thread."""
        self.have("one")
        self.clock.advance(HOUR - EARLY - 1)
        self.assertEqual(self.successResultOf(self.get()), "one")
        self.assertEqual(self.hands.begun, 1)

    def test_one_that_never_expires(self) -> None:
        """Keys without an end are fetched once, and the log says so."""
        self.have("one", None)
        self.assertEqual(self.log, ["the credential of a: fetched, with no end"])
        self.clock.advance(1e9)
        self.assertEqual(self.successResultOf(self.get()), "one")
        self.assertEqual(self.hands.begun, 1)

    def test_who_leaves_takes_nothing_along(self) -> None:
        """A client that hangs up while a credential is fetched costs the others nothing."""
        first, second, third = self.get(), self.get(), self.get()
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.bring("one")
        self.assertEqual((self.successResultOf(first), self.successResultOf(third)), ("one", "one"))

    def test_all_may_leave(self) -> None:
        """If everybody has gone, what was fetched is kept for the next."""
        first = self.get()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.bring("one")
        self.assertEqual(self.successResultOf(self.get()), "one")
        self.assertEqual(self.hands.begun, 1)

    def test_one_who_waited_may_send_another_away(self) -> None:
        """What the first does with the credential may cancel the second, and the third still gets it."""
        first, second, third = self.get(), self.get(), self.get()
        first.addCallback(lambda _: second.cancel())
        self.bring("one")
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.successResultOf(third), "one")

    def test_a_fetch_that_ends_at_once(self) -> None:
        """A fetch may be over before it has been waited for."""
        cache = CredentialCache("a", lambda: Fetched("one"), at_once, self.clock)
        self.assertEqual(self.successResultOf(cache.get(self.now)), "one")

    def test_warmed_at_start(self) -> None:
        """Fetched at start, it is there when the first request comes."""
        self.cache.warm(self.now)
        self.cache.warm(self.now)
        self.bring("one")
        self.assertEqual(self.successResultOf(self.get()), "one")
        self.assertEqual(self.hands.begun, 1)


class RenewalTests(CacheTestCase):
    """What is near its end is renewed."""

    def test_renewed_early_while_requests_go_on(self) -> None:
        """From five minutes before the end on one renewal runs, and requests go on with the old one."""
        self.have("one")
        self.clock.advance(HOUR - EARLY)
        self.assertEqual([self.successResultOf(self.get()) for _ in range(50)], ["one"] * 50)
        self.assertEqual(self.hands.begun, 2)
        self.bring("two")
        self.assertEqual(self.successResultOf(self.get()), "two")

    def test_expired_ones_are_not_used(self) -> None:
        """Nobody gets a credential that has expired: who asks waits for the new one."""
        self.have("one")
        self.clock.advance(HOUR)
        waiting = self.get()
        self.assertNoResult(waiting)
        self.bring("two")
        self.assertEqual(self.successResultOf(waiting), "two")

    def test_one_about_to_expire_is_not_used(self) -> None:
        """A credential must not expire on its way to the provider: its last seconds are not used."""
        self.have("one")
        self.clock.advance(HOUR - 4)
        self.assertNoResult(self.get())

    def test_a_renewal_that_fails_stops_nobody(self) -> None:
        """While the old one is good, a failed renewal is for the log alone."""
        self.have("one")
        self.clock.advance(HOUR - EARLY)
        self.get()
        self.hands.bring(Unavailable("no answer", "look"))
        self.assertEqual(self.successResultOf(self.get()), "one")
        self.assertEqual(self.log[1:], ["the credential of a could not be had: no answer; look"])

    def test_short_lives_are_no_storm(self) -> None:
        """Where each credential has only minutes to live, renewals are half a minute apart."""
        self.have("1", 120)
        for second in range(50):
            self.assertEqual(self.successResultOf(self.get()), "1")
            self.assertEqual(self.hands.begun, 1 if second < 30 else 2)
            self.clock.advance(1)

    def test_expired_as_it_comes(self) -> None:
        """A credential that came already expired means a wrong clock, and that is said."""
        waiting = self.get()
        self.bring("one", -HOUR)
        self.assertIn("already expired; check the clock", self.message(waiting))
        self.assertIsNone(self.cache.held)


class FailureTests(CacheTestCase):
    """What cannot be had."""

    def test_all_who_wait_are_told(self) -> None:
        """Whoever waited gets an error of the relay's own that names the credential and the remedy."""
        waiting = [self.get() for _ in range(3)]
        self.hands.bring(Unavailable("the key has expired", "make a new one"))
        errors = [self.failureResultOf(d, CredentialFailed).value for d in waiting]
        self.assertEqual(
            {e.message for e in errors},
            {"the credential of a could not be had: the key has expired; make a new one"},
        )
        self.assertEqual((errors[0].status, isinstance(errors[0], UpstreamError)), (502, True))
        self.assertEqual(len(set(map(id, errors))), 3)

    def test_an_unforeseen_failure(self) -> None:
        """Any exception of an SDK is told in one short line, and none of its frames is kept."""
        waiting = self.get()
        self.hands.bring(KeyError("<html>" + "x" * 1000))
        self.assertIn("KeyError: (a web page); look at", self.message(waiting))
        gc.collect()
        self.assertEqual([o for o in gc.get_objects() if isinstance(o, KeyError) and "<html>" in str(o)], [])

    def test_no_storm_after_a_failure(self) -> None:
        """After a failure, requests are refused at once for a second; then one of them tries again."""
        waiting = self.get()
        self.hands.bring(Unavailable("down", "wait"))
        self.message(waiting)
        for _ in range(100):
            self.assertIn("down; wait", self.message(self.get()))
        self.assertEqual(self.hands.begun, 1)
        self.clock.advance(1)
        self.assertNoResult(self.get())
        self.assertNoResult(self.get())
        self.assertEqual(self.hands.begun, 2)

    def test_the_pauses_double(self) -> None:
        """The pause after a failure doubles up to half a minute, and is a second again after a success."""
        for tries, pause in enumerate((1, 2, 4, 8, 16, 30, 30), 1):
            waiting = self.get()
            self.hands.bring(Unavailable("down", "wait"))
            self.message(waiting)
            self.clock.advance(pause - 0.1)
            self.message(self.get())
            self.assertEqual(self.hands.begun, tries)
            self.clock.advance(0.2)
        self.have("one", None)
        self.assertEqual(self.cache.state(self.now).failures, 0)

    def test_a_recovery_is_told(self) -> None:
        """The log says that a credential failed, once for each try, and that it is there again."""
        self.get().addErrback(lambda _: None)
        self.hands.bring(Unavailable("down", "wait"))
        self.clock.advance(1)
        self.have("one")
        at = datetime.fromtimestamp(self.now + HOUR, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.assertEqual(
            self.log,
            [
                "the credential of a could not be had: down; wait",
                f"the credential of a: fetched, good until {at}, after failures",
            ],
        )


class HangingTests(CacheTestCase):
    """A fetch that does not end."""

    def test_requests_do_not_hang_along(self) -> None:
        """Whoever waits for a fetch is told after half a minute, and no timer is left."""
        waiting = self.get()
        self.clock.advance(PATIENCE - 0.1)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        self.assertIn("takes longer than 30 s", self.message(waiting))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_second_fetch_beside_it(self) -> None:
        """While one hangs no other is begun, however long: requests are refused at once."""
        self.get().addErrback(lambda _: None)
        self.clock.advance(PATIENCE)
        for _ in range(100):
            self.clock.advance(60)
            self.assertIn("takes longer", self.message(self.get()))
        self.assertEqual(self.hands.begun, 1)

    def test_what_comes_late_is_taken(self) -> None:
        """If it comes in the end, it is used."""
        self.get().addErrback(lambda _: None)
        self.clock.advance(PATIENCE)
        self.bring("late")
        self.assertEqual(self.successResultOf(self.get()), "late")
        self.assertEqual(self.cache.state(self.now).failure, "")

    def test_what_fails_late_is_tried_again(self) -> None:
        """If it fails in the end, the next try is an ordinary one."""
        self.get().addErrback(lambda _: None)
        self.clock.advance(PATIENCE)
        self.hands.bring(Unavailable("gone", "look"))
        self.assertIn("gone", self.message(self.get()))
        self.clock.advance(2)
        self.have("one")

    def test_a_renewal_that_hangs_stops_nobody(self) -> None:
        """While the old one is good, requests go on with it though its renewal hangs."""
        self.have("one")
        self.clock.advance(HOUR - EARLY)
        self.get()
        self.clock.advance(PATIENCE + 100)
        self.assertEqual(self.successResultOf(self.get()), "one")
        self.assertEqual(self.hands.begun, 2)


class RefusalTests(CacheTestCase):
    """What a provider refused."""

    def test_renewed_once(self) -> None:
        """A refused credential is dropped, and the next request waits for another."""
        self.have("one")
        self.assertTrue(self.cache.invalidate("one"))
        waiting = self.get()
        self.bring("two")
        self.assertEqual(self.successResultOf(waiting), "two")

    def test_only_the_one_that_was_refused(self) -> None:
        """Ten requests refused with the same credential cost one renewal."""
        self.have("one")
        self.cache.invalidate("one")
        waiting = self.get()
        self.bring("two")
        self.successResultOf(waiting)
        self.assertEqual([self.cache.invalidate("one") for _ in range(9)], [True] * 9)
        self.assertEqual((self.successResultOf(self.get()), self.hands.begun), ("two", 2))

    def test_refused_again(self) -> None:
        """If the next is refused as well, it is not the credential's fault: it is kept for a minute."""
        self.have("one")
        self.cache.invalidate("one")
        self.have("one")
        self.assertFalse(self.cache.invalidate("one"))
        self.assertEqual((self.successResultOf(self.get()), self.hands.begun), ("one", 2))
        self.clock.advance(60)
        self.assertTrue(self.cache.invalidate("one"))

    def test_refused_before_there_is_any(self) -> None:
        """A refusal that arrives while the next is fetched asks for nothing more."""
        self.get()
        self.assertTrue(self.cache.invalidate("one"))
        self.assertEqual(self.hands.begun, 1)


class StandingTests(CacheTestCase):
    """What can be shown of a credential."""

    def test_facts(self) -> None:
        """Whether it is good, when it expires, whether it is being fetched, what failed: all can be read."""
        waiting = self.get()
        standing = self.cache.state(self.now)
        self.assertEqual((standing.ready, standing.expires, standing.fetching), (False, None, True))
        self.hands.bring(Unavailable("down", "wait"))
        self.message(waiting)
        standing = self.cache.state(self.now)
        self.assertEqual((standing.fetching, standing.failures), (False, 1))
        self.assertIn("down; wait", standing.failure)
        self.clock.advance(1)
        self.have("one")
        standing = self.cache.state(self.now)
        self.assertEqual((standing.ready, standing.expires), (True, self.now + HOUR))
        self.assertEqual((standing.failures, standing.failure), (0, ""))
        self.clock.advance(HOUR)
        self.assertFalse(self.cache.state(self.now).ready)
        self.assertEqual(self.cache.expires, self.now)

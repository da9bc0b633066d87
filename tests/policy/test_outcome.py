"""The rules of what an attempt's end is called, and of whether it is worth a repeat."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.keys import Key
from ccrelay.policy.outcome import Outcome
from ccrelay.policy.route import Route
from ccrelay.policy.verdict import Verdict
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
    refused,
)
from tests.policy.stage import OPUS, at

WAITS = st.none() | st.integers(0, 100).map(str)
SAID = st.sampled_from([None, "true", "false", "maybe"])


def ended(how: How) -> Outcome:
    """Return the outcome of an attempt that ended that way."""
    return how.of(Route("a", Key("a1"), OPUS), at(0))


class EndTests(SynchronousTestCase):
    """What ends a series."""

    def test_answers(self) -> None:
        """An answer, the request's own fault, and whatever the client has a part of, are final."""
        for how in (OK, BROKE_OFF, refused(400), refused(413), refused(400, x_should_retry="false")):
            self.assertTrue(ended(how).final)

    def test_failures(self) -> None:
        """Whatever another key or provider may do better is not final."""
        statuses = (401, 402, 403, 408, 409, 429, 500, 503, 529)
        hows = (BROKEN, UNREACHABLE, SLOW, UNFIT, refused(404, mapped=True), *map(refused, statuses))
        for how in (*hows, refused(400, x_should_retry="true")):
            self.assertFalse(ended(how).final)

    def test_reasons(self) -> None:
        """In the log a refusal is by status and type, a failure by its words, others by their verdict."""
        self.assertEqual(ended(refused(429)).reason, "429 rate_limit_error")
        self.assertEqual(ended(BROKEN).reason, "not HTTP")
        self.assertEqual(ended(OK).reason, "ok")

    def test_failures_of_the_provider(self) -> None:
        """Connect errors, timeouts, 5xx and broken streams are the provider's failures; no 4xx is."""
        for how in (UNREACHABLE, SLOW, BROKEN, BROKE_OFF, script.NO_TLS, refused(500), refused(503)):
            self.assertTrue(ended(how).provider_failed)
        statuses = (400, 401, 402, 403, 404, 408, 409, 413, 429)
        for how in (OK, UNFIT, NONE_FREE, refused(404, mapped=True), *map(refused, statuses)):
            self.assertFalse(ended(how).provider_failed)

    def test_what_never_arrived(self) -> None:
        """Without a connection, and for what a provider cannot take, nothing was sent to it."""
        for how in (UNREACHABLE, NONE_FREE, script.NO_TLS, UNFIT):
            self.assertTrue(ended(how).never_arrived)
        for how in (OK, BROKEN, SLOW, refused(400), refused(500)):
            self.assertFalse(ended(how).never_arrived)


class WordsTests(SynchronousTestCase):
    """What a provider says of a repeat."""

    def test_should_retry(self) -> None:
        """`x-should-retry` is true or false, in any letters; anything else was not said."""
        for said, meant in (("true", True), ("False", False), (" TRUE ", True), ("1", None), ("", None)):
            self.assertIs(ended(refused(500, x_should_retry=said)).should_retry, meant)
        self.assertIsNone(ended(refused(500)).should_retry)
        self.assertIsNone(ended(BROKEN).should_retry)

    def test_retry_after(self) -> None:
        """A wait is counted from when the provider named it, whichever way it did."""
        self.assertEqual(ended(refused(429, retry_after="7.5")).retry_after, 7.5)
        self.assertEqual(ended(refused(429, retry_after_ms="250", retry_after="7")).retry_after, 0.25)
        dated = refused(503, retry_after="Tue, 14 Nov 2023 22:13:50 GMT")
        self.assertEqual(dated.of(Route("a", None, OPUS), at(10)).retry_after, 20.0)
        self.assertIsNone(ended(refused(429)).retry_after)


class RepeatTests(SynchronousTestCase):
    """What is worth a repeat in place."""

    def test_what_may_pass(self) -> None:
        """A lost connection, a 408, 409, 429, 5xx, overload and a broken answer may pass."""
        statuses = (408, 409, 429, 500, 502, 503, 504, 529)
        for how in (UNREACHABLE, BROKEN, OVERLOADED, *map(refused, statuses)):
            self.assertTrue(ended(how).worth_a_repeat(5.0))

    def test_what_lasts(self) -> None:
        """Timeouts, bad certificates, refused keys, no connection or credit left: these last."""
        statuses = (400, 401, 402, 403, 404, 413)
        lasting = (SLOW, script.STALLED, script.NO_TLS, NONE_FREE, UNFIT, OK, refused(404, mapped=True))
        quota = How(Verdict.KEY, 429, barred_for=60.0)
        for how in (*lasting, quota, refused(400, "credit balance is too low"), *map(refused, statuses)):
            self.assertFalse(ended(how).worth_a_repeat(5.0))

    def test_overload_of_any_status(self) -> None:
        """Overload is overload, whatever status the provider gives it."""
        self.assertTrue(ended(How(Verdict.BUSY, 400)).worth_a_repeat(5.0))

    @given(st.sampled_from([400, 401, 402, 403, 404, 408, 429, 500, 529]), WAITS, SAID, st.booleans())
    def test_the_provider_has_its_way(
        self, status: int, wait: str | None, said: str | None, invited: bool
    ) -> None:
        """Who says no, or asks for too long a wait, is not repeated; who says yes is, if that counts."""
        headers = {"retry_after": wait, "x_should_retry": said}
        outcome = ended(refused(status, **{name: value for name, value in headers.items() if value}))
        plain = ended(refused(status)).worth_a_repeat(5.0)
        wanted = said != "false" and int(wait or 0) <= 5 and (plain or (said == "true" and invited))
        self.assertEqual(outcome.worth_a_repeat(5.0, invited=invited), wanted)

"""The rules of what a refusal means: whose fault it is, and for how long."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import EXHAUSTED_S, Complaint, Verdict, barred_for, judge, seconds_until
from ccrelay.wire.error_json import NO_WORDS, ErrorBody

NOON = 1_795_521_600.0  # 2026-11-24 12:00:00 UTC
NO_CREDIT = "Your credit balance is too low to access the Anthropic API."
LIMITS = "You have reached your specified API usage limits. You will regain access on {} UTC."


def saying(message: str = "", kind: str = "invalid_request_error") -> ErrorBody:
    """Return an error body in Anthropic's envelope."""
    return ErrorBody(enveloped=True, kind=kind, code="", message=message)


class JudgeTests(SynchronousTestCase):
    """Who is asked next."""

    def test_each_status(self) -> None:
        """401 to 403 and 429 are the key's; 5xx, 408, 409, 3xx the provider's; other 4xx the client's."""
        expected = {
            Verdict.KEY: (401, 402, 403, 429),
            Verdict.BUSY: (529,),
            Verdict.BROKEN: (301, 302, 304, 307, 308, 408, 409, 500, 501, 502, 503, 504, 520, 530, 599),
            Verdict.CLIENT: (400, 404, 405, 410, 412, 413, 415, 418, 422, 431, 451, 499),
        }
        for verdict, statuses in expected.items():
            for status in statuses:
                self.assertIs(judge(status, NO_WORDS, mapped=False), verdict, status)

    def test_overload_by_any_status(self) -> None:
        """What calls itself overloaded is, whatever its status."""
        for status in (200, 429, 500, 503, 529):
            self.assertIs(judge(status, saying(kind="overloaded_error"), mapped=False), Verdict.BUSY)

    def test_credit_and_limits_are_the_keys(self) -> None:
        """A 400 about credit or usage limits exhausts its key; any other 400 is the client's fault."""
        for words in (NO_CREDIT, LIMITS.format("2026-12-01 at 00:00"), "CREDIT BALANCE"):
            self.assertIs(judge(400, saying(words), mapped=False), Verdict.KEY, words)
        for words in ("prompt is too long", "max_tokens: too large", ""):
            self.assertIs(judge(400, saying(words), mapped=False), Verdict.CLIENT, words)
        self.assertIs(judge(413, saying(NO_CREDIT), mapped=False), Verdict.CLIENT)

    def test_an_unknown_model(self) -> None:
        """A 404 is the client's fault, unless the model was renamed for this provider."""
        self.assertIs(judge(404, saying(kind="not_found_error"), mapped=False), Verdict.CLIENT)
        self.assertIs(judge(404, saying(kind="not_found_error"), mapped=True), Verdict.BROKEN)
        self.assertIs(judge(400, saying(), mapped=True), Verdict.CLIENT)

    @given(st.integers(300, 999), st.booleans())
    def test_no_failure_is_an_answer(self, status: int, mapped: bool) -> None:
        """Whatever the status of a refusal, it is never taken for a success."""
        self.assertIsNot(judge(status, NO_WORDS, mapped=mapped), Verdict.OK)


class BarredTests(SynchronousTestCase):
    """How long a key without credit is left alone."""

    def test_an_hour_where_no_time_is_named(self) -> None:
        """402, and a 400 about credit, exhaust a key for an hour."""
        self.assertEqual(barred_for(402, NO_WORDS, NOON), EXHAUSTED_S)
        self.assertEqual(barred_for(400, saying(NO_CREDIT), NOON), EXHAUSTED_S)
        self.assertEqual(EXHAUSTED_S, 3600)

    def test_until_the_time_named(self) -> None:
        """Where the words name the time at which access comes back, the key waits until then, in UTC."""
        said = saying(LIMITS.format("2026-11-24 at 13:30"))
        self.assertEqual(barred_for(400, said, NOON), 5400)
        self.assertEqual(barred_for(402, said, NOON), 5400)

    def test_a_time_that_has_passed_or_is_none(self) -> None:
        """A time in the past frees the key almost at once; a date that does not exist is no date."""
        self.assertEqual(barred_for(400, saying(LIMITS.format("2026-11-24 at 11:00")), NOON), 1)
        self.assertEqual(barred_for(400, saying(LIMITS.format("2026-02-31 at 25:00")), NOON), EXHAUSTED_S)

    @given(st.integers(300, 599))
    def test_nothing_else_exhausts_a_key(self, status: int) -> None:
        """Whatever has another reason bars no key, whatever its status."""
        if status != 402:
            self.assertEqual(barred_for(status, saying("slow down"), NOON), 0)
        if status not in (400, 402):
            self.assertEqual(barred_for(status, saying(NO_CREDIT), NOON), 0)


class StampTests(SynchronousTestCase):
    """Times in a provider's own words."""

    def test_a_zone(self) -> None:
        """A stamp is read on the clock that it was written by."""
        self.assertEqual(seconds_until("2026-11-24 20:30:00", 8, NOON), 1800)
        self.assertEqual(seconds_until("2026-11-24 12:30:00", 0, NOON), 1800)
        self.assertEqual(seconds_until("2026-11-24 07:30:00", -5, NOON), 1800)

    def test_the_past_is_soon(self) -> None:
        """A time that has passed, by a clock that runs ahead of ours, say, means a second."""
        self.assertEqual(seconds_until("2026-11-24 12:00:00", 8, NOON), 1)

    def test_what_is_no_time(self) -> None:
        """A stamp that is no date is no time."""
        for stamp in ("", "2026-11-24", "2026-13-01 00:00:00", "2026-11-24 24:00:00", "soon"):
            self.assertIsNone(seconds_until(stamp, 8, NOON), stamp)


class ComplaintTests(SynchronousTestCase):
    """What the client reads."""

    def test_own_bytes_go_on(self) -> None:
        """A body that is Anthropic's already goes on as it is."""
        complaint = Complaint(Verdict.CLIENT, 400, "invalid_request_error", "m", body=b'{ "type":"error" }')
        self.assertEqual(complaint.rendered("req_1"), b'{ "type":"error" }')

    def test_an_empty_body_is_a_body(self) -> None:
        """Bytes that are none at all are still the provider's own."""
        self.assertEqual(Complaint(Verdict.BROKEN, 500, "api_error", "m", body=b"").rendered("req_1"), b"")

    def test_words_are_put_into_an_envelope(self) -> None:
        """What a provider says in its own way is said in Anthropic's, with the id of the request."""
        said = json.loads(Complaint(Verdict.KEY, 429, "rate_limit_error", "slow").rendered("req_1"))
        self.assertEqual(
            said,
            {
                "type": "error",
                "error": {"type": "rate_limit_error", "message": "slow"},
                "request_id": "req_1",
            },
        )

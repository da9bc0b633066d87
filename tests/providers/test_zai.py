"""The rules of Z.AI's error codes: each in any of its shapes means one thing in Anthropic's terms."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import EXHAUSTED_S, Complaint, Verdict
from ccrelay.providers.registry import provider_of
from ccrelay.wire.error_json import read_error
from ccrelay.wire.http import ResponseHead, first

NOW = 1_795_521_600.0  # 2026-11-24 12:00:00 UTC: 20:00 in Beijing
JSON = (b"content-type", b"application/json")
WORDS = "Too much at once."
KEY, CLIENT, BUSY, BROKEN = Verdict.KEY, Verdict.CLIENT, Verdict.BUSY, Verdict.BROKEN

# code: HTTP status, verdict, and what the client is told (docs/wire.md, Z.AI)
CODES = {
    "1000": (401, KEY, 401, "authentication_error"),
    "1001": (401, KEY, 401, "authentication_error"),
    "1002": (401, KEY, 401, "authentication_error"),
    "1003": (401, KEY, 401, "authentication_error"),
    "1004": (401, KEY, 401, "authentication_error"),
    "1113": (429, KEY, 402, "billing_error"),
    "1210": (400, CLIENT, 400, "invalid_request_error"),
    "1214": (400, CLIENT, 400, "invalid_request_error"),
    "1302": (429, KEY, 429, "rate_limit_error"),
    "1305": (429, BUSY, 529, "overloaded_error"),
    "1308": (429, KEY, 429, "rate_limit_error"),
    "1309": (429, KEY, 402, "billing_error"),
    "1310": (429, KEY, 429, "rate_limit_error"),
    "1311": (429, KEY, 403, "permission_error"),
    "1313": (429, KEY, 429, "rate_limit_error"),
    "1314": (429, KEY, 402, "billing_error"),
}


def coded(code: str, words: str) -> bytes:
    """Return the first shape: the code stands in C{error.code}."""
    return json.dumps({"error": {"code": code, "message": words}, "request_id": "2026"}).encode()


def typed(code: str, words: str) -> bytes:
    """Return the second shape: it looks like Anthropic's, but C{error.type} is the code."""
    return json.dumps({"type": "error", "error": {"type": code, "message": words}}).encode()


def wrapped(code: str, words: str) -> bytes:
    """Return the third shape: Anthropic's type, and all else wrapped into the words."""
    said = {"type": "rate_limit_error", "message": f"[{code}][{words}][20261124200000c0ffee]"}
    return json.dumps({"type": "error", "error": said}).encode()


SHAPES = (coded, typed, wrapped)


class ZaiTests(SynchronousTestCase):
    """What the client gets to read, and who is asked next."""

    def setUp(self) -> None:
        """Make the provider."""
        self.provider = provider_of("zai", None, None, has_key=True)

    def classified(self, status: int, body: bytes, *, mapped: bool = False) -> Complaint:
        """Return the complaint in an answer."""
        return self.provider.classify(ResponseHead(status, (JSON,)), body, NOW, mapped=mapped)

    def test_each_code_in_each_shape(self) -> None:
        """A code means the same wherever it stands; its words reach the client without the wrapping."""
        for code, (status, verdict, answered, kind) in CODES.items():
            for shape in SHAPES:
                complaint = self.classified(status, shape(code, WORDS))
                self.assertEqual(
                    (complaint.verdict, complaint.status, complaint.kind, complaint.message),
                    (verdict, answered, kind, WORDS),
                    (code, shape.__name__),
                )
                said = read_error(complaint.rendered("req_1"))
                self.assertEqual((said.enveloped, said.kind, said.message), (True, kind, WORDS))

    def test_a_code_that_is_a_number(self) -> None:
        """A code means the same with and without quotes."""
        self.assertEqual(self.classified(429, b'{"error":{"code":1305,"message":"m"}}').status, 529)

    def test_each_code_as_the_first_event(self) -> None:
        """A code in an C{error} event that comes first means what it means in an answer."""
        for code, (_, verdict, answered, kind) in CODES.items():
            for shape in SHAPES:
                data = shape(code, WORDS)
                complaint = self.provider.classify_event(read_error(data), data, NOW)
                self.assertEqual(
                    (complaint.verdict, complaint.status, complaint.kind), (verdict, answered, kind), code
                )

    def test_short_waits(self) -> None:
        """Too many at once is worth a repeat in two seconds, an unfair share in a minute."""
        for code, wait in (("1302", b"2"), ("1313", b"60")):
            for shape in SHAPES:
                complaint = self.classified(429, shape(code, WORDS))
                self.assertEqual(first(complaint.headers, b"retry-after"), wait)
                self.assertIsNone(first(complaint.headers, b"x-should-retry"))
                self.assertEqual(complaint.barred_for, 0)

    def test_money(self) -> None:
        """Without balance or plan no repeat helps, and the key is left alone for an hour."""
        for code in ("1113", "1309", "1314"):
            complaint = self.classified(429, coded(code, WORDS))
            self.assertEqual(first(complaint.headers, b"x-should-retry"), b"false")
            self.assertEqual(complaint.barred_for, EXHAUSTED_S)

    def test_an_overload_is_nobodys_fault(self) -> None:
        """An overloaded model bars no key and names no time."""
        complaint = self.classified(429, coded("1305", WORDS))
        self.assertEqual((complaint.barred_for, complaint.headers), (0, ()))

    def test_a_quota_ends_in_beijing(self) -> None:
        """A used up quota comes back at the time in its words, which is the time of Beijing."""
        words = "Usage limit reached for 5 hour. Your limit will reset at 2026-11-24 21:30:00"
        for code in ("1308", "1310"):
            for shape in SHAPES:
                complaint = self.classified(429, shape(code, words))
                self.assertEqual(complaint.barred_for, 5400)
                self.assertEqual(complaint.headers, ((b"retry-after", b"5400"),))
                self.assertEqual(complaint.message, words)

    def test_a_quota_without_a_time(self) -> None:
        """Where no time can be read the client is told not to repeat, and the key rests for an hour."""
        for words in (WORDS, "reset at 2026-13-45 21:30:00", "reset at 21:30"):
            complaint = self.classified(429, coded("1308", words))
            self.assertEqual((complaint.status, complaint.barred_for), (429, EXHAUSTED_S))
            self.assertEqual(complaint.headers, ((b"x-should-retry", b"false"),))

    def test_a_quota_whose_time_has_come(self) -> None:
        """A time that has passed by our clock means a second, never none."""
        complaint = self.classified(429, coded("1308", "reset at 2026-11-24 20:00:00"))
        self.assertEqual((complaint.barred_for, complaint.headers), (1, ((b"retry-after", b"1"),)))

    def test_an_unknown_model(self) -> None:
        """A model that Z.AI does not know is not found; where we named it, another provider may know it."""
        body = coded("1214", "Unknown Model, please check the model code.")
        complaint = self.classified(400, body)
        self.assertEqual((complaint.status, complaint.kind), (404, "not_found_error"))
        self.assertIs(complaint.verdict, Verdict.CLIENT)
        self.assertIs(self.classified(400, body, mapped=True).verdict, Verdict.BROKEN)

    def test_a_full_context_window(self) -> None:
        """An overlong conversation carries the token on which Claude Code compacts, whatever the status."""
        words = "The model has reached its context window limit."
        for status, body in (
            (400, coded("1210", words)),
            (400, typed("invalid_request_error", words)),
            (429, wrapped("1302", words)),
            (500, json.dumps({"error": {"code": "1234", "message": words}}).encode()),
        ):
            complaint = self.classified(status, body)
            self.assertEqual((complaint.verdict, complaint.status), (Verdict.CLIENT, 400))
            self.assertEqual(complaint.kind, "invalid_request_error")
            self.assertEqual(complaint.message, f"capability_rejected: prompt_too_long. {words}")

    def test_statuses_of_its_own(self) -> None:
        """434 and 435, which no client knows, become 403 and 413."""
        for status, verdict, answered, kind in (
            (434, KEY, 403, "permission_error"),
            (435, CLIENT, 413, "request_too_large"),
        ):
            for body in (b"", coded("9999", WORDS)):
                complaint = self.classified(status, body)
                self.assertEqual(
                    (complaint.verdict, complaint.status, complaint.kind), (verdict, answered, kind)
                )
                self.assertTrue(complaint.message)

    def test_a_code_nobody_knows(self) -> None:
        """A new code is judged by its status, and its words are translated."""
        complaint = self.classified(500, coded("9999", WORDS))
        self.assertEqual((complaint.verdict, complaint.status, complaint.kind), (BROKEN, 500, "api_error"))
        self.assertEqual(complaint.message, WORDS)

    @given(
        st.sampled_from(sorted(CODES)), st.sampled_from(SHAPES), st.text(max_size=60), st.integers(400, 599)
    )
    def test_any_words(self, code: str, shape: object, words: str, status: int) -> None:
        """Whatever words come with a code, the client gets one of Anthropic's errors."""
        body = shape(code, words.encode("utf-8", "replace").decode())  # type: ignore[operator]
        complaint = self.classified(status, body)
        self.assertIsNot(complaint.verdict, Verdict.OK)
        self.assertTrue(read_error(complaint.rendered("req_1")).enveloped)
        self.assertGreaterEqual(complaint.barred_for, 0)

    def test_where_and_how(self) -> None:
        """Z.AI is asked at its own address, with the key as a bearer, as its documentation says."""
        self.assertEqual(
            (self.provider.scheme, self.provider.base_url), ("bearer", "https://api.z.ai/api/anthropic")
        )

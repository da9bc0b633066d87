"""The rules of what is repeated of an SDK's complaint."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.credentials.wording import LONGEST, clock_is_wrong, remedy_for, words
from ccrelay.wire.secret import Secret

SECRET = "Test8SecretOf0ccrelay/TESTS+only"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ0ZXN0In0.c2lnbmF0dXJlLW9mLWEtdGVzdA"


class WordingTests(SynchronousTestCase):
    """A complaint as an operator reads it."""

    def test_a_plain_complaint_is_repeated(self) -> None:
        """What tells the operator something is kept: codes, roles, hosts, paths, ids."""
        for said in (
            "An error occurred (AccessDenied) when calling AssumeRole: no arn:aws:iam::1:role/a",
            "Could not connect to the endpoint URL: http://127.0.0.1:8080/latest/meta-data/iam/",
            "File /var/lib/ccrelay/keys/my-project-service-account-production.json was not found",
            "AADSTS7000215: Invalid client secret. Trace ID: 6e74172b-0d2c-4f26-9c0a-4bd5d1b0a2a3",
            "invalid_grant: Invalid JWT Signature",
        ):
            self.assertEqual(words(said), said)

    def test_a_web_page_is_not(self) -> None:
        """Where a proxy answered with a page, that it was one is what matters."""
        page = "('<!DOCTYPE html>\n<html><head><title>Log in</title></head>" + "<p>x</p>" * 999 + "</html>',)"
        self.assertEqual(words("unexpected answer: " + page), "unexpected answer: (a web page)")
        self.assertEqual(words("<html>"), "(a web page)")

    def test_connections_that_fail(self) -> None:
        """Who could not be reached and why are said once, without the names of what tried."""
        refused = (
            "HTTPSConnectionPool(host='a.test', port=443): Max retries exceeded with url: /t?x=1 (Caused by "
            "NewConnectionError(\"HTTPSConnection(host='a.test', port=443): Failed to establish a new "
            'connection: [Errno 111] Connection refused"))'
        )
        why = "Failed to establish a new connection: [Errno 111] Connection refused"
        self.assertEqual(words(refused), f"a.test:443: {why}")
        late = (
            "HTTPConnectionPool(host='a.test', port=80): Max retries exceeded with url: / (Caused by "
            "ConnectTimeoutError(<HTTPConnection(host='a.test', port=80) at 0x7f0>, "
            "'Connection to a.test timed out. (connect timeout=5)'))"
        )
        self.assertIn("a.test:80: 'Connection to a.test timed out", words(late))

    def test_one_short_line(self) -> None:
        """It is one line of at most 200 characters, without control characters."""
        said = words("first\r\nsecond\x1b[31m\tthird " + "very long " * 100)
        self.assertTrue(said.startswith("first second [31m third very long"))
        self.assertEqual((len(said) <= LONGEST, said[-1]), (True, "…"))

    def test_no_secrets(self) -> None:
        """Tokens, keys, queries, user names in addresses and named secrets are left out."""
        for said in (
            f"bad token {JWT} sent",
            "got -----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----",
            f"POST https://login.test/token?client_secret={SECRET}&x=1 failed",
            f"cannot reach http://user:{SECRET}@proxy.test:3128/",
            f"body was client_secret={SECRET}&grant_type=x",
            json.dumps({"access_token": SECRET, "error": "odd"}),
            "ya29.a0AfH6SMBx8Test9TokenOfGoogle7LooksLikeThis",
        ):
            shown = words(said)
            for part in (JWT[10:], SECRET, "MIIEvQ", "Test9Token"):
                self.assertNotIn(part, shown)
        self.assertEqual(
            words(f"https://login.test/token?x={SECRET} failed"), "https://login.test/token failed"
        )

    @given(st.text(max_size=60), st.text(max_size=300))
    def test_what_is_known_to_be_secret_never_shows(self, before: str, after: str) -> None:
        """Whatever stands around it, a configured secret is not repeated, and the line stays short."""
        shown = words(f"{before}{SECRET}{after}", (Secret(SECRET), None))
        self.assertNotIn(SECRET, shown)
        self.assertTrue(0 < len(shown) <= LONGEST)
        self.assertEqual(shown.splitlines(), [shown])

    def test_nothing_said(self) -> None:
        """An exception without words is shown by its name."""
        self.assertEqual(words(TimeoutError()), "TimeoutError")

    def test_the_remedy_goes_by_the_kind(self) -> None:
        """The nearest of an exception's classes that is known says what to do."""
        table = {"OSError": "look at the disk", "FileNotFoundError": "make the file"}
        self.assertEqual(remedy_for(FileNotFoundError(), table, "?"), "make the file")
        self.assertEqual(remedy_for(PermissionError(), table, "?"), "look at the disk")
        self.assertEqual(remedy_for(KeyError(), table, "?"), "?")

    def test_a_wrong_clock(self) -> None:
        """Refusals that come of a wrong clock say so, whatever else they are."""
        for said in (
            "Signature expired: 20261125T000000Z is now earlier than 20261125T001000Z",
            "Signature not yet current: 20261125T010000Z is still later than 20261125T001000Z",
            "invalid_grant: Invalid JWT: Token must be a short-lived token. Check your iat and exp values.",
            "AADSTS700024: Client assertion is not within its valid time range.",
        ):
            self.assertTrue(clock_is_wrong(said))
            self.assertIn("clock", remedy_for(ValueError(said), {"ValueError": "?"}, "?"))
        self.assertFalse(clock_is_wrong("invalid_grant: Invalid JWT Signature"))

"""The rules of signatures for AWS."""

from __future__ import annotations

from dataclasses import replace as replaced

from msgspec.structs import replace
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from ccrelay.credentials.cache import CredentialCache, Fetched
from ccrelay.credentials.interfaces import ICredential
from ccrelay.credentials.sigv4 import LARGE, AwsKeys, SigV4, signed
from ccrelay.wire.http import UpstreamRequest, first
from ccrelay.wire.secret import Secret
from tests.credentials.hands import WALL, Hands, at_once
from tests.credentials.sigv4_verifier import Refused, verify_sigv4

SECRET = "test-secret/of+ccrelay-0123456789abcdef"
KEYS = AwsKeys("AKIATESTCCRELAY00000", Secret(SECRET), Secret("test-session-token=="))
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"
MODEL = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"
HEADERS = (
    (b"content-type", b"application/json"),
    (b"accept", b"application/json"),
    (b"user-agent", b"ccrelay-test"),
    (b"x-amzn-bedrock-trace", b"ENABLED"),
)
REQUEST = UpstreamRequest("POST", HOST + MODEL, HEADERS, b'{"max_tokens": 1}')


def verified(request: UpstreamRequest, now: float = WALL, secret: str = SECRET) -> str:
    """Return the key that AWS would find a request signed with."""
    return verify_sigv4(request.method, request.url, request.headers, request.body or b"", secret, now)


class SignatureTests(SynchronousTestCase):
    """A signed request, as AWS looks at it."""

    def test_published_examples(self) -> None:
        """The signatures are those that AWS published in its test suite for Signature Version 4."""
        keys = AwsKeys("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
        form = ((b"content-type", b"application/x-www-form-urlencoded"),)
        for request, signature in (
            (
                UpstreamRequest("GET", "https://example.amazonaws.com/", ()),
                b"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                UpstreamRequest("GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1", ()),
                b"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                UpstreamRequest("POST", "https://example.amazonaws.com/", form, b"Param1=value1"),
                b"ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ):
            made = signed(request, keys, "us-east-1", 1440938160.0, "service")
            self.assertIn(b"Signature=" + signature, first(made.headers, b"authorization") or b"")

    def test_aws_takes_it(self) -> None:
        """A request is signed for the service bedrock, with the key that was given."""
        self.assertEqual(verified(signed(REQUEST, KEYS, "us-east-1", WALL)), "AKIATESTCCRELAY00000")

    def test_model_ids_of_every_form(self) -> None:
        """Ids with colons, encoded or not, ARNs with encoded slashes, semicolons: signed as they are sent."""
        for model in (
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-sonnet-4-5-20250929-v1%3A0",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile%2Fabc123",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aprovisioned-model%2Fabc123",
            "us.anthropic.claude-opus-4-8%3Bx",
        ):
            request = replace(REQUEST, url=f"{HOST}/model/{model}/invoke-with-response-stream")
            made = signed(request, KEYS, "us-east-1", WALL)
            self.assertEqual(made.url, request.url)
            verified(made)

    def test_other_hosts(self) -> None:
        """A port that is not the scheme's own is part of the host, as in the Host field."""
        for url in ("http://127.0.0.1:8443/model/m/invoke", "http://[::1]:8443/model/m/invoke"):
            verified(signed(replace(REQUEST, url=url), KEYS, "eu-central-1", WALL))
        default = signed(
            replace(REQUEST, url="https://localhost:443/model/m/invoke"), KEYS, "eu-west-1", WALL
        )
        verified(replace(default, url="https://localhost/model/m/invoke"))

    def test_few_fields_are_signed(self) -> None:
        """What arrives unchanged is signed, and what Amazon gives a meaning: proxies may touch the rest."""
        made = signed(REQUEST, KEYS, "us-east-1", WALL)
        amazon = b"x-amz-date;x-amz-security-token;x-amzn-bedrock-trace,"
        names = b"SignedHeaders=accept;content-type;host;" + amazon
        self.assertIn(names, first(made.headers, b"authorization") or b"")
        verified(made.adding((b"user-agent", b"other"), (b"connection", b"close")))

    def test_the_operators_host(self) -> None:
        """A Host of the operator's own is what goes up and what is signed, wherever the URL leads."""
        host = b"bedrock-runtime.us-east-1.amazonaws.com"
        there = replace(REQUEST, url="http://localhost:9301/model/m/invoke").adding((b"host", host))
        made = signed(there, KEYS, "us-east-1", WALL)
        verified(replace(made, url=f"https://{host.decode()}/model/m/invoke"))

    def test_nothing_else_is_touched(self) -> None:
        """Method, URL, body and the other fields stay as they are, and so does the request given."""
        made = signed(REQUEST, KEYS, "us-east-1", WALL)
        self.assertEqual((made.method, made.url, made.body), (REQUEST.method, REQUEST.url, REQUEST.body))
        self.assertEqual(made.headers[: len(HEADERS)], HEADERS)
        self.assertEqual(REQUEST.headers, HEADERS)

    def test_without_a_session(self) -> None:
        """Keys that do not expire have no session token, and none of an earlier signature stays."""
        before = signed(REQUEST, KEYS, "us-east-1", WALL)
        again = signed(before, replaced(KEYS, session_token=None), "r", WALL)
        self.assertIsNone(first(again.headers, b"x-amz-security-token"))
        verified(again)

    def test_signed_anew(self) -> None:
        """A repeat carries one signature, of its own time."""
        once = signed(REQUEST, KEYS, "us-east-1", WALL)
        again = signed(once, KEYS, "us-east-1", WALL + 600)
        for name in (b"authorization", b"x-amz-date", b"x-amz-security-token"):
            self.assertEqual(len([1 for field, _ in again.headers if field == name]), 1)
        verified(again, WALL + 600)
        self.assertRaises(Refused, verified, once, WALL + 600)

    def test_without_a_body(self) -> None:
        """A probe has no body, and is signed like any other."""
        verified(signed(UpstreamRequest("GET", HOST + "/x?b=2&a=1", (), None), KEYS, "us-east-1", WALL))

    def test_it_shows_nothing(self) -> None:
        """Neither keys nor a signed request show their secrets when they are printed."""
        shown = repr(KEYS) + repr(signed(REQUEST, KEYS, "us-east-1", WALL))
        self.assertNotIn(SECRET, shown)
        self.assertNotIn("test-session", shown)


class VerifierTests(SynchronousTestCase):
    """The stand-in for AWS refuses what AWS refuses."""

    def setUp(self) -> None:
        """Sign a request."""
        self.made = signed(REQUEST, KEYS, "us-east-1", WALL)

    def refusal(self, request: UpstreamRequest, now: float = WALL, secret: str = SECRET) -> str:
        return str(self.assertRaises(Refused, verified, request, now, secret))

    def test_a_wrong_secret(self) -> None:
        """A signature with another secret is refused."""
        self.assertIn("does not match", self.refusal(self.made, secret=SECRET + "x"))

    def test_a_changed_byte(self) -> None:
        """One byte of the body, the URL or a signed field makes another request."""
        for changed in (
            replace(self.made, body=b'{"max_tokens": 2}'),
            replace(self.made, url=self.made.url.replace("%3A", ":")),
            replace(self.made, url=self.made.url + "?x=1"),
            replace(self.made, method="PUT"),
            self.made.adding((b"content-type", b"application/jsonl")),
            self.made.adding((b"x-amz-security-token", b"other")),
        ):
            self.assertIn("does not match", self.refusal(changed))

    def test_a_skewed_clock(self) -> None:
        """More than five minutes off is refused, either way, in AWS's words."""
        verified(self.made, WALL + 299)
        verified(self.made, WALL - 299)
        self.assertIn("Signature expired", self.refusal(self.made, WALL + 301))
        self.assertIn("Signature not yet current", self.refusal(self.made, WALL - 301))

    def test_no_signature(self) -> None:
        """A request that is not signed is refused."""
        self.assertIn("MissingAuthenticationToken", self.refusal(REQUEST))

    def test_another_service(self) -> None:
        """A signature for another service is refused."""
        self.assertIn("signed for sts", self.refusal(signed(REQUEST, KEYS, "us-east-1", WALL, "sts")))


class SigV4Tests(SynchronousTestCase):
    """The credential that signs."""

    def setUp(self) -> None:
        """Have a credential whose fetch and threads the test ends."""
        self.fetches = Hands()
        self.threads = Hands()
        cache = CredentialCache("a", lambda: Fetched(KEYS), self.fetches.run, Clock())
        self.credential = SigV4(cache, "us-east-1", self.threads.run)

    def test_it_is_a_credential(self) -> None:
        """It keeps what the interface promises."""
        self.assertTrue(verifyObject(ICredential, self.credential))

    def test_signed_when_the_keys_are_there(self) -> None:
        """The first request waits for the keys; the next is signed at once, with its own time."""
        waiting = self.credential.authorize(REQUEST, WALL)
        self.assertNoResult(waiting)
        self.fetches.bring(Fetched(KEYS))
        verified(self.successResultOf(waiting))
        later = self.successResultOf(self.credential.authorize(REQUEST, WALL + 3600))
        verified(later, WALL + 3600)
        self.assertEqual(self.threads.begun, 0)

    def test_large_bodies_are_hashed_in_a_thread(self) -> None:
        """A body over 1 MiB does not hold up the others while it is hashed."""
        self.credential.cache.warm(WALL)
        self.fetches.bring(Fetched(KEYS))
        self.successResultOf(self.credential.authorize(replace(REQUEST, body=b"x" * LARGE), WALL))
        waiting = self.credential.authorize(replace(REQUEST, body=b"x" * (LARGE + 1)), WALL)
        self.assertNoResult(waiting)
        sign, _ = self.threads.running[0]
        self.threads.bring(sign())
        verified(self.successResultOf(waiting))

    def test_refused_keys_are_fetched_anew(self) -> None:
        """Keys that AWS refused are dropped, once, and only if they are still the ones in use."""
        old = signed(REQUEST, AwsKeys("AKIATESTOLD", Secret("x")), "us-east-1", WALL)
        self.assertTrue(self.credential.refused(old))
        self.credential.cache.warm(WALL)
        self.fetches.bring(Fetched(KEYS))
        made = self.successResultOf(self.credential.authorize(REQUEST, WALL))
        same_key = replaced(KEYS, session_token=Secret("an older session's"))
        for other in (old, signed(REQUEST, same_key, "us-east-1", WALL)):
            self.assertTrue(self.credential.refused(other))
            self.assertEqual(self.credential.cache.held, KEYS)
        self.assertTrue(self.credential.refused(made))
        self.assertIsNone(self.credential.cache.held)
        self.credential.cache.warm(WALL)
        self.fetches.bring(Fetched(KEYS))
        self.assertFalse(self.credential.refused(made))

    def test_who_hangs_up_while_it_is_signed(self) -> None:
        """A client that goes takes nothing from the others."""
        cache = CredentialCache("a", lambda: Fetched(KEYS), at_once, Clock())
        credential = SigV4(cache, "us-east-1", self.threads.run)
        waiting = credential.authorize(replace(REQUEST, body=b"x" * (LARGE + 1)), WALL)
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        self.assertEqual(credential.cache.held, KEYS)

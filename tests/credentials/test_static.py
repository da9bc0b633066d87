"""The rules of credentials that need no fetching."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from ccrelay.credentials.interfaces import ICredential
from ccrelay.credentials.static import ApiKey, Bearer, NoCredential, static_credential
from ccrelay.wire.http import UpstreamRequest
from ccrelay.wire.secret import Secret

KEY = Secret("sk-test-0123456789abcdef")
HEADERS = ((b"accept", b"application/json"), (b"anthropic-beta", b"a"), (b"anthropic-beta", b"b"))
REQUEST = UpstreamRequest("POST", "http://upstream.test/v1/messages?beta=true", HEADERS, b"{}")


class StaticCredentialTests(SynchronousTestCase):
    """What a request looks like once it is authorized."""

    def authorized(self, credential: ICredential, request: UpstreamRequest = REQUEST) -> UpstreamRequest:
        """Return the request with the credential on, which must be there at once."""
        return self.successResultOf(credential.authorize(request, 0.0))

    def test_each_is_a_credential(self) -> None:
        """Every scheme keeps what the interface promises."""
        for scheme in ("x-api-key", "bearer", "none"):
            self.assertTrue(verifyObject(ICredential, static_credential(scheme, KEY)))

    def test_x_api_key(self) -> None:
        """A key goes into C{x-api-key}, as it is, behind all that was there."""
        self.assertEqual(
            self.authorized(static_credential("x-api-key", KEY)).headers,
            (*HEADERS, (b"x-api-key", b"sk-test-0123456789abcdef")),
        )

    def test_bearer(self) -> None:
        """A bearer goes into C{Authorization}."""
        self.assertEqual(
            self.authorized(static_credential("bearer", KEY)).headers,
            (*HEADERS, (b"authorization", b"Bearer sk-test-0123456789abcdef")),
        )

    def test_none(self) -> None:
        """Where no credential is wanted, or none is there, the request is left alone."""
        for credential in (static_credential("none", KEY), static_credential("bearer", None), NoCredential()):
            self.assertIs(self.authorized(credential), REQUEST)

    def test_only_the_credential_is_put_on(self) -> None:
        """Method, URL, body and the other fields are not touched, and the request given is not either."""
        for credential in (ApiKey(KEY), Bearer(KEY)):
            authorized = self.authorized(credential)
            self.assertEqual(
                (authorized.method, authorized.url, authorized.body), ("POST", REQUEST.url, b"{}")
            )
            self.assertEqual(authorized.headers[:3], HEADERS)
        self.assertEqual(REQUEST.headers, HEADERS)

    def test_it_replaces_what_was_there(self) -> None:
        """A request never carries two credentials of one kind: ours is the one that counts."""
        for name, credential in ((b"x-api-key", ApiKey(KEY)), (b"authorization", Bearer(KEY))):
            shown = REQUEST.adding((name, b"sk-test-of-a-client"))
            authorized = self.authorized(credential, shown)
            self.assertEqual(len([1 for field, _ in authorized.headers if field == name]), 1)
            self.assertNotIn(b"of-a-client", repr(authorized.headers).encode())

    def test_a_refusal_is_final(self) -> None:
        """What cannot be had anew is not tried again when a provider refuses it."""
        for credential in (ApiKey(KEY), Bearer(KEY), NoCredential()):
            self.assertFalse(credential.refused(self.authorized(credential)))

    def test_a_key_of_any_letters(self) -> None:
        """A key with letters beyond ASCII is sent as UTF-8, and ends nothing on the way."""
        authorized = self.authorized(ApiKey(Secret("schlüssel-0123456789")))
        self.assertEqual(authorized.headers[-1], (b"x-api-key", "schlüssel-0123456789".encode()))

    def test_it_shows_nothing(self) -> None:
        """A credential that is printed shows no more than the last four characters."""
        for credential in (ApiKey(KEY), Bearer(KEY)):
            self.assertNotIn("0123456789abcdef", repr(credential))

"""The rules of Google's tokens, each shown with a local stand-in for what gives them out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from ccrelay.credentials.cache import Fetched
from ccrelay.credentials.google import GoogleSettings, fetch_token, google_credential
from ccrelay.credentials.interfaces import ICredential
from ccrelay.credentials.wording import Unavailable
from ccrelay.errors import CredentialFailed
from ccrelay.wire.http import UpstreamRequest, first
from ccrelay.wire.secret import Secret
from tests.credentials.hands import at_once
from tests.credentials.standins import Standin, environment, isolated, nobody, page, said, standin
from tests.credentials.standins_google import (
    EMAIL,
    SUBJECT_TOKEN,
    TOKEN,
    Account,
    an_account,
    exchange,
    external_account,
    metadata,
)

REQUEST = UpstreamRequest("POST", "https://aiplatform.googleapis.com/v1/x:rawPredict", (), b"{}")
FETCH = """
from ccrelay.credentials.google import GoogleSettings, fetch_token
try:
    found = fetch_token(GoogleSettings())
except Exception as problem:
    print("failed:", problem.what, "|", problem.remedy)
else:
    print("fetched:", found.value.reveal(), found.expires)
"""


def fetched_elsewhere(folder: Path, **variables: str) -> str:
    """Return what a process of its own says of a fetch: google-auth looks at some variables only once."""
    done = subprocess.run(
        [sys.executable, "-c", FETCH],
        env=isolated(folder, variables),
        capture_output=True,
        timeout=60,
        check=True,
        text=True,
    )
    return (done.stdout + done.stderr).strip()


class GoogleTestCase(SynchronousTestCase):
    """Fetches in the thread of the test."""

    def setUp(self) -> None:
        """Have a folder, a service account, and no credentials."""
        self.account = an_account()
        self.folder = environment(self)

    def written(self, content: Any) -> str:
        path = self.folder / "key.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def service_account(self, service: Standin) -> str:
        return self.written(self.account.info(f"{service.url}/token"))

    def failure(self, path: str | None) -> str:
        problem = self.assertRaises(Unavailable, fetch_token, GoogleSettings(path))
        for secret in (TOKEN, SUBJECT_TOKEN, self.account.pem, self.account.pem[100:140]):
            self.assertNotIn(secret, problem.what + problem.remedy)
        self.assertLess(len(problem.what), 301)
        return f"{problem.what}; {problem.remedy}"

    def assertToken(self, found: Fetched[Secret], lasts: float = 3600.0) -> None:
        """Assert that this is the token, with the end that was given, in true time."""
        self.assertEqual(found.value, Secret(TOKEN))
        self.assertApproximates(found.expires, time.time() + lasts, 30)


class SourceTests(GoogleTestCase):
    """Where tokens come from."""

    def test_a_service_account(self) -> None:
        """A key file signs an assertion, which is exchanged for a token."""
        service = standin(self, self.account.tokens())
        self.assertToken(fetch_token(GoogleSettings(self.service_account(service))))
        self.assertEqual(len(service.asked), 1)

    def test_named_in_the_environment(self) -> None:
        """GOOGLE_APPLICATION_CREDENTIALS names the file where none is configured."""
        service = standin(self, self.account.tokens())
        path = self.service_account(service)
        environment(self, GOOGLE_APPLICATION_CREDENTIALS=path)
        self.assertToken(fetch_token(GoogleSettings()))

    def test_workload_identity(self) -> None:
        """A pod's token is exchanged for Google's, and Google is asked for nothing else."""
        service = standin(self, exchange)
        (self.folder / "token").write_text(SUBJECT_TOKEN)
        path = self.written(external_account(service.url + "/v1/token", str(self.folder / "token")))
        self.assertToken(fetch_token(GoogleSettings(path)))
        self.assertEqual(len(service.asked), 1)

    def test_workload_identity_by_a_command(self) -> None:
        """A command that prints the token is run, where the operator allows it."""
        service = standin(self, exchange)
        token = {
            "version": 1,
            "success": True,
            "token_type": "urn:ietf:params:oauth:token-type:jwt",
            "id_token": SUBJECT_TOKEN,
            "expiration_time": int(time.time()) + 600,
        }
        (self.folder / "token.json").write_text(json.dumps(token))
        command = {"command": f"cat {self.folder}/token.json", "timeout_millis": 5000}
        path = self.written(
            external_account(service.url, "") | {"credential_source": {"executable": command}}
        )
        self.assertIn("need to be explicitly allowed", self.failure(path))
        environment(self, GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES="1")
        self.assertToken(fetch_token(GoogleSettings(path)))

    def test_workload_identity_of_aws(self) -> None:
        """On a machine of AWS its own keys vouch for it."""
        service = standin(self, exchange)
        source = {
            "environment_id": "aws1",
            "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity",
        }
        kind = {"subject_token_type": "urn:ietf:params:aws:token-type:aws4_request"}
        path = self.written(external_account(service.url, "") | kind | {"credential_source": source})
        environment(
            self,
            AWS_ACCESS_KEY_ID="AKIATESTCCRELAY00000",
            AWS_SECRET_ACCESS_KEY="test-secret",
            AWS_REGION="eu-central-1",
        )
        self.assertToken(fetch_token(GoogleSettings(path)))

    def test_the_machine(self) -> None:
        """A machine's service account is had from its metadata server."""
        service = standin(self, metadata)
        said = fetched_elsewhere(
            self.folder, NO_GCE_CHECK="false", GCE_METADATA_HOST=service.host, GCE_METADATA_IP=service.host
        )
        self.assertIn(f"fetched: {TOKEN}", said)

    def test_gcloud(self) -> None:
        """What `gcloud auth application-default login` left is used; its tokens come from Google alone."""
        (self.folder / "application_default_credentials.json").write_text(
            json.dumps(
                {
                    "type": "authorized_user",
                    "client_id": "test.apps.googleusercontent.com",
                    "client_secret": "test-secret-0123456789",
                    "refresh_token": "test-refresh-0123456789",
                }
            )
        )
        said = fetched_elsewhere(
            self.folder, CLOUDSDK_CONFIG=str(self.folder), HTTPS_PROXY=nobody(self), GOOGLE_CLOUD_PROJECT="p"
        )
        self.assertTrue(said.startswith("failed: "), said)
        self.assertIn("oauth2.googleapis.com", said)
        self.assertIn("look at the network, the proxy", said)
        self.assertNotIn("test-secret", said)

    def test_a_key_that_was_replaced(self) -> None:
        """A key file that was replaced counts from the next fetch on."""
        service = standin(self, self.account.tokens())
        path = self.written(Account().info(f"{service.url}/token"))
        self.assertIn("Invalid JWT Signature", self.failure(path))
        self.service_account(service)
        self.assertToken(fetch_token(GoogleSettings(path)))


class BadTests(GoogleTestCase):
    """What can go wrong, and what is said then."""

    def test_none(self) -> None:
        """Where there is no credential at all, it is said what to set."""
        said = fetched_elsewhere(self.folder)
        self.assertIn("default credentials were not found", said)
        self.assertIn("set gcp_credentials_file, or run `gcloud auth application-default login`", said)
        self.assertEqual(len(said.splitlines()), 1)

    def test_no_such_file(self) -> None:
        """A file that is not there is named."""
        self.assertIn("/nowhere/key.json cannot be read: No such file", self.failure("/nowhere/key.json"))
        environment(self, GOOGLE_APPLICATION_CREDENTIALS="/nowhere/other.json")
        self.assertIn("/nowhere/other.json cannot be read", self.failure(None))

    def test_no_service_account(self) -> None:
        """A file that is something else is told, with what would be right."""
        for content, what in (
            ("-----BEGIN PRIVATE KEY-----", "key.json is not JSON; set gcp_credentials_file"),
            ("[]", "key.json is no credential: it has no type"),
            ("{}", "key.json is no credential: it has no type"),
            ({"installed": {"client_id": "x"}}, "it is an OAuth client's; set gcp_credentials_file"),
            ({"type": "service_acount"}, "key.json is no credential: its type is service_acount"),
            ({"type": "service_account"}, "was not in the expected format, missing fields"),
            ({"type": "external_account"}, "set gcp_credentials_file"),
            (self.account.info("http://x.test") | {"private_key": "no key"}, "set gcp_credentials_file"),
        ):
            self.assertIn(what, self.failure(self.written(content)))

    def test_refused(self) -> None:
        """A refusal is told in Google's words."""
        service = standin(self, lambda _: said({"error": "invalid_grant", "error_description": "gone"}, 400))
        failure = self.failure(self.service_account(service))
        self.assertIn("invalid_grant: gone; see whether the account exists", failure)

    def test_a_wrong_clock(self) -> None:
        """If Google finds the time wrong, the clock is what to look at."""
        described = {
            "error": "invalid_grant",
            "error_description": "Invalid JWT: Check your iat and exp values",
        }
        service = standin(self, lambda _: said(described, 400))
        self.assertIn("set the clock of this machine right", self.failure(self.service_account(service)))

    def test_nobody_there(self) -> None:
        """An endpoint that is down is told."""
        path = self.written(self.account.info(nobody(self) + "/token"))
        self.assertIn("Connection refused", self.failure(path))
        self.assertIn("look at the network", self.failure(path))

    def test_a_web_page(self) -> None:
        """A page in place of a token is told, and not repeated."""
        service = standin(self, page)
        failure = self.failure(self.service_account(service))
        self.assertIn("perhaps a web page; see what answers", failure)
        self.assertNotIn("Sign in to", failure)

    def test_an_answer_without_a_token(self) -> None:
        """An answer that holds no token is no token."""
        service = standin(self, lambda _: said({"expires_in": 3600}))
        self.assertIn("No access token", self.failure(self.service_account(service)))

    def test_a_pod_whose_token_is_refused(self) -> None:
        """Workload identity that is refused is told in Google's words, without the token."""
        service = standin(self, exchange)
        (self.folder / "token").write_text("another-token")
        path = self.written(external_account(service.url, str(self.folder / "token")))
        self.assertIn("The token is not from the pool", self.failure(path))
        path = self.written(external_account(service.url, "/nowhere/token"))
        self.assertIn("/nowhere/token", self.failure(path))


class CredentialTests(GoogleTestCase):
    """The whole: fetched, kept, shown."""

    def test_shown_as_a_bearer(self) -> None:
        """The token is fetched once and shown in Authorization."""
        service = standin(self, self.account.tokens())
        credential = google_credential(
            "vertex-1", GoogleSettings(self.service_account(service)), at_once, Clock()
        )
        self.assertTrue(verifyObject(ICredential, credential))
        for _ in range(5):
            made = self.successResultOf(credential.authorize(REQUEST, time.time()))
            self.assertEqual(first(made.headers, b"authorization"), b"Bearer " + TOKEN.encode())
        self.assertEqual(len(service.asked), 1)

    def test_refused_once(self) -> None:
        """A token that Vertex refuses is fetched anew, once."""
        service = standin(self, self.account.tokens())
        credential = google_credential(
            "vertex-1", GoogleSettings(self.service_account(service)), at_once, Clock()
        )
        made = self.successResultOf(credential.authorize(REQUEST, time.time()))
        self.assertTrue(credential.refused(REQUEST.adding((b"authorization", b"Bearer older"))))
        self.assertEqual(credential.cache.held, Secret(TOKEN))
        self.assertTrue(credential.refused(made))
        self.successResultOf(credential.authorize(REQUEST, time.time()))
        self.assertFalse(credential.refused(made))
        self.assertEqual(len(service.asked), 2)

    def test_the_error_names_the_provider(self) -> None:
        """What a client reads names whose credentials are missing."""
        credential = google_credential("vertex-1", GoogleSettings("/nowhere"), at_once, Clock())
        error = self.failureResultOf(credential.authorize(REQUEST, 0.0), CredentialFailed).value
        self.assertTrue(error.message.startswith("the Google credentials of vertex-1 could not be had: /now"))
        self.assertNotIn(EMAIL, error.message)

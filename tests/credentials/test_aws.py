"""The rules of AWS's keys, each shown with a local stand-in for what gives them out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from hashlib import sha1
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.credentials.aws import AwsSettings, aws_credential, fetch_keys
from ccrelay.credentials.cache import Fetched
from ccrelay.credentials.sigv4 import AwsKeys
from ccrelay.credentials.wording import Unavailable
from ccrelay.errors import CredentialFailed
from ccrelay.wire.http import UpstreamRequest
from ccrelay.wire.secret import Secret
from tests.credentials.hands import at_once
from tests.credentials.sigv4_verifier import verify_sigv4
from tests.credentials.standins import environment, isolated, nobody, page, standin
from tests.credentials.standins_aws import (
    KEY_ID,
    OWN_KEY_ID,
    OWN_SECRET,
    ROLE,
    SECRET,
    TOKEN,
    WEB_TOKEN,
    at,
    container,
    imds,
    refusal,
    sso,
    sts,
)

REGION = "eu-central-1"
OWN = {"AWS_ACCESS_KEY_ID": OWN_KEY_ID, "AWS_SECRET_ACCESS_KEY": OWN_SECRET}
URL = f"https://bedrock-runtime.{REGION}.amazonaws.com/model/m/invoke"
FETCH = """
import sys
from ccrelay.credentials.aws import AwsSettings, fetch_keys
try:
    found = fetch_keys(AwsSettings("eu-central-1", profile=sys.argv[1] or None))
except Exception as problem:
    print("failed:", problem.what, "|", problem.remedy)
else:
    print("fetched:", found.value.access_key_id, found.value.session_token is not None, found.expires)
"""


def fetched_elsewhere(folder: Path, profile: str, variables: dict[str, str]) -> str:
    """Return what a process of its own says of a fetch: for what SDKs look at when they are imported."""
    done = subprocess.run(
        [sys.executable, "-c", FETCH, profile],
        env=isolated(folder, variables),
        capture_output=True,
        timeout=60,
        check=True,
        text=True,
    )
    return (done.stdout + done.stderr).strip()


class AwsTestCase(SynchronousTestCase):
    """Fetches in the thread of the test."""

    def fetch(self, **settings: Any) -> Fetched[AwsKeys]:
        return fetch_keys(AwsSettings(REGION, **settings))

    def failure(self, **settings: Any) -> str:
        problem = self.assertRaises(Unavailable, self.fetch, **settings)
        for secret in (SECRET, OWN_SECRET, TOKEN, WEB_TOKEN):
            self.assertNotIn(secret, problem.what + problem.remedy)
        self.assertLess(len(problem.what), 201)
        return f"{problem.what}; {problem.remedy}"

    def assertSession(self, found: Fetched[AwsKeys], lasts: float = 3600.0) -> None:
        """Assert that these are a session's keys, with the end that was given."""
        self.assertEqual(found.value, AwsKeys(KEY_ID, Secret(SECRET), Secret(TOKEN)))
        self.assertApproximates(found.expires, time.time() + lasts, 30)


class ChainTests(AwsTestCase):
    """Where keys come from."""

    def test_configured(self) -> None:
        """Keys that are written down are used, before all others, and never expire."""
        environment(self, AWS_ACCESS_KEY_ID="AKIATESTOTHER", AWS_SECRET_ACCESS_KEY="other")
        found = self.fetch(access_key_id=OWN_KEY_ID, secret_access_key=Secret(OWN_SECRET))
        self.assertEqual(found, Fetched(AwsKeys(OWN_KEY_ID, Secret(OWN_SECRET))))
        found = self.fetch(
            access_key_id=KEY_ID, secret_access_key=Secret(SECRET), session_token=Secret(TOKEN)
        )
        self.assertEqual(found, Fetched(AwsKeys(KEY_ID, Secret(SECRET), Secret(TOKEN))))

    def test_configured_beside_a_profile(self) -> None:
        """A profile in the environment, be it there or not, is no matter to keys that are written down."""
        environment(self, AWS_PROFILE="gone")
        found = self.fetch(access_key_id=OWN_KEY_ID, secret_access_key=Secret(OWN_SECRET))
        self.assertEqual(found, Fetched(AwsKeys(OWN_KEY_ID, Secret(OWN_SECRET))))

    def test_the_environment(self) -> None:
        """AWS_ACCESS_KEY_ID and the like are used where nothing is configured."""
        environment(self, **OWN, AWS_SESSION_TOKEN=TOKEN)
        self.assertEqual(self.fetch(), Fetched(AwsKeys(OWN_KEY_ID, Secret(OWN_SECRET), Secret(TOKEN))))

    def test_a_profile(self) -> None:
        """A profile's keys are used, and after a change of the file the next fetch has the new ones."""
        folder = environment(self)
        shared = folder / "no-credentials"
        for key in (OWN_KEY_ID, "AKIATESTROTATED00000"):
            shared.write_text(f"[relay]\naws_access_key_id={key}\naws_secret_access_key={OWN_SECRET}\n")
            self.assertEqual(self.fetch(profile="relay"), Fetched(AwsKeys(key, Secret(OWN_SECRET))))

    def test_web_identity(self) -> None:
        """A pod's token file is exchanged for a session's keys."""
        service = standin(self, sts())
        folder = environment(self, AWS_ENDPOINT_URL_STS=service.url, AWS_ROLE_ARN=ROLE)
        (folder / "token").write_text(WEB_TOKEN)
        os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"] = str(folder / "token")
        self.assertSession(self.fetch())
        self.assertEqual({asked.form["Action"] for asked in service.asked}, {"AssumeRoleWithWebIdentity"})

    def test_an_assumed_role(self) -> None:
        """A profile's role is assumed, with a request that is signed with its source's keys."""
        service = standin(self, sts())
        folder = environment(self, AWS_ENDPOINT_URL_STS=service.url)
        (folder / "no-config").write_text(
            f"[profile relay]\nrole_arn={ROLE}\nsource_profile=own\n"
            f"[profile own]\naws_access_key_id={OWN_KEY_ID}\naws_secret_access_key={OWN_SECRET}\n"
        )
        self.assertSession(self.fetch(profile="relay"))

    def test_the_machine(self) -> None:
        """A machine's role is had from its metadata."""
        service = standin(self, imds())
        environment(self, AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url, AWS_EC2_METADATA_DISABLED="false")
        self.assertSession(self.fetch())
        self.assertEqual(service.asked[0].method, "PUT")

    def test_a_container(self) -> None:
        """A container's role is had from its endpoint, with the token that it was given."""
        service = standin(self, container())
        environment(
            self,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{service.url}/role",
            AWS_CONTAINER_AUTHORIZATION_TOKEN="test-container-token",
        )
        self.assertSession(self.fetch())

    def test_a_process(self) -> None:
        """A profile's credential_process is run."""
        folder = environment(self)
        keys = {"Version": 1, "AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "SessionToken": TOKEN}
        (folder / "keys.json").write_text(json.dumps(keys | {"Expiration": at(3600)}))
        (folder / "no-config").write_text(f"[profile relay]\ncredential_process=cat {folder}/keys.json\n")
        self.assertSession(self.fetch(profile="relay"))

    def test_single_sign_on(self) -> None:
        """Who has signed in with `aws sso login` has the keys of the profile's role."""
        service = standin(self, sso())
        folder = environment(self)
        self.assertIn(f"fetched: {KEY_ID} True", self.signed_on(folder, service.url, at(3600)))

    def signed_on(self, folder: Path, portal: str, until: str) -> str:
        (folder / "config").write_text(
            "[profile relay]\nsso_start_url=https://relay-test.awsapps.com/start\nsso_region=eu-central-1\n"
            "sso_account_id=123456789012\nsso_role_name=relay-test\n"
        )
        cache = folder / ".aws/sso/cache"
        cache.mkdir(parents=True)
        name = sha1(b"https://relay-test.awsapps.com/start", usedforsecurity=False).hexdigest()
        (cache / f"{name}.json").write_text(json.dumps({"accessToken": "test-sso-token", "expiresAt": until}))
        variables = {"AWS_CONFIG_FILE": str(folder / "config"), "AWS_ENDPOINT_URL_SSO": portal}
        return fetched_elsewhere(folder, "relay", variables)

    def test_single_sign_on_that_has_ended(self) -> None:
        """Who signed in too long ago is told to do it again."""
        service = standin(self, sso())
        folder = environment(self)
        self.assertIn("aws sso login", self.signed_on(folder, service.url, at(-60)))


class BadTests(AwsTestCase):
    """What can go wrong, and what is said then."""

    def test_none(self) -> None:
        """Where there are no keys at all, it is said where they were looked for, and what to set."""
        environment(self)
        self.assertIn("none were found in the environment, ~/.aws", self.failure())
        self.assertIn("set aws_access_key_id and aws_secret_access_key", self.failure())

    def test_half_a_key(self) -> None:
        """Half a key is told from none."""
        environment(self)
        self.assertIn("aws_secret_access_key is not; set both", self.failure(access_key_id=OWN_KEY_ID))
        failure = self.failure(secret_access_key=Secret(OWN_SECRET))
        self.assertIn("aws_secret_access_key is set and aws_access_key_id is not; set both", failure)
        environment(self, AWS_ACCESS_KEY_ID=OWN_KEY_ID)
        self.assertIn("set both halves", self.failure())

    def test_no_such_profile(self) -> None:
        """A profile that is not there is named."""
        environment(self)
        self.assertIn("(relay) could not be found; correct aws_profile", self.failure(profile="relay"))

    def test_a_broken_file(self) -> None:
        """A file that cannot be read is named."""
        folder = environment(self)
        (folder / "no-config").write_text("no section\n=\n")
        self.assertIn("no-config; correct it there", self.failure(profile="relay"))

    def web_identity(self, url: str, token: str = WEB_TOKEN, role: str = ROLE) -> None:
        folder = environment(self)
        (folder / "token").write_text(token)
        environment(
            self,
            AWS_ENDPOINT_URL_STS=url,
            AWS_ROLE_ARN=role,
            AWS_WEB_IDENTITY_TOKEN_FILE=str(folder / "token"),
        )

    def test_refused(self) -> None:
        """A refusal is told in AWS's words, with what to correct."""
        service = standin(self, sts())
        self.web_identity(service.url, token="another-token")
        self.assertIn("InvalidIdentityToken", self.failure())
        self.web_identity(service.url, role=ROLE + "2")
        self.assertIn("not allowed to assume " + ROLE + "2; correct the role", self.failure())

    def test_a_wrong_clock(self) -> None:
        """If AWS finds the time wrong, the clock is what to look at."""
        service = standin(
            self, lambda _: refusal("SignatureDoesNotMatch", "Signature expired: 20261125", 403)
        )
        self.web_identity(service.url)
        self.assertIn("set the clock of this machine right", self.failure())

    def test_nobody_there(self) -> None:
        """An endpoint that is down is told by its address."""
        url = nobody(self)
        self.web_identity(url)
        self.assertIn(f'Could not connect to the endpoint URL: "{url}/"; look at the network', self.failure())

    def test_a_web_page(self) -> None:
        """A page in place of AWS's answer is told, and not repeated."""
        service = standin(self, page)
        self.web_identity(service.url)
        failure = self.failure()
        self.assertIn("it is not AWS", failure)
        self.assertNotIn("Sign in to", failure)

    def test_no_token_file(self) -> None:
        """A token file that is not there is named."""
        environment(self, AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE="/nowhere/token")
        self.assertIn("/nowhere/token'; make the file, or correct its path", self.failure())

    def test_a_container_that_refuses(self) -> None:
        """A container's endpoint that refuses is told."""
        service = standin(self, container())
        environment(self, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{service.url}/role")
        self.assertIn('403 from container metadata: {"code": "AccessDenied"', self.failure())

    def process(self, command: str) -> str:
        folder = environment(self)
        (folder / "run").write_text(f"#!/bin/sh\n{command}\n")
        (folder / "no-config").write_text(f"[profile relay]\ncredential_process=sh {folder}/run\n")
        return self.failure(profile="relay")

    def test_a_process_that_fails(self) -> None:
        """What a process says as it fails is repeated; what it should not have printed is not."""
        self.assertIn(
            "vault is sealed; run credential_process by hand",
            self.process("echo vault is sealed >&2; exit 1"),
        )
        self.assertIn("print JSON", self.process("echo hello"))
        self.assertIn("SecretAccessKey", self.process("""echo '{"Version": 1, "AccessKeyId": "AKIATEST"}'"""))
        self.process(f"echo client_secret={SECRET} >&2; exit 1")

    def test_keys_that_come_expired(self) -> None:
        """Keys that have expired when they come are not used."""
        folder = environment(self)
        keys = {"Version": 1, "AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "SessionToken": TOKEN}
        (folder / "keys.json").write_text(json.dumps(keys | {"Expiration": at(-60)}))
        (folder / "no-config").write_text(f"[profile relay]\ncredential_process=cat {folder}/keys.json\n")
        self.assertIn("still expired; set the clock", self.failure(profile="relay"))


class CredentialTests(AwsTestCase):
    """The whole: found, kept, signed with."""

    def test_signed_with_what_was_found(self) -> None:
        """A request is signed with the keys of the chain; later ones do not look for them again."""
        service = standin(self, imds())
        environment(self, AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url, AWS_EC2_METADATA_DISABLED="false")
        credential = aws_credential("bedrock-1", AwsSettings(REGION), at_once, Clock())
        request = UpstreamRequest("POST", URL, ((b"content-type", b"application/json"),), b"{}")
        now = time.time()
        for later in range(5):
            made = self.successResultOf(credential.authorize(request, now + later))
            verify_sigv4("POST", URL, made.headers, b"{}", SECRET, now + later)
        self.assertEqual(len(service.asked), 3)
        self.assertApproximates(credential.cache.expires, now + 3600, 30)

    def test_renewed_ten_minutes_before_the_end(self) -> None:
        """Keys are renewed from ten minutes before their end on, as botocore does."""
        service = standin(self, imds())
        environment(self, AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url, AWS_EC2_METADATA_DISABLED="false")
        credential = aws_credential("bedrock-1", AwsSettings(REGION), at_once, Clock())
        now = time.time()
        for passed, asked in ((0, 3), (2990, 3), (3010, 6)):
            credential.authorize(UpstreamRequest("GET", URL, ()), now + passed)
            self.assertEqual(len(service.asked), asked)

    def test_the_error_names_the_provider(self) -> None:
        """What a client reads names whose credentials are missing."""
        environment(self)
        credential = aws_credential("bedrock-1", AwsSettings(REGION), at_once, Clock())
        waiting = credential.authorize(UpstreamRequest("GET", URL, ()), time.time())
        error = self.failureResultOf(waiting, CredentialFailed).value
        self.assertTrue(error.message.startswith("the AWS credentials of bedrock-1 could not be had: none"))

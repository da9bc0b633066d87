"""The rules of Entra ID's tokens, each shown with a local stand-in for what gives them out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from ccrelay.credentials.cache import Fetched
from ccrelay.credentials.entra import EntraSettings, entra_credential, fetch_token
from ccrelay.credentials.interfaces import ICredential
from ccrelay.credentials.wording import Unavailable
from ccrelay.errors import CredentialFailed
from ccrelay.wire.http import UpstreamRequest, first
from ccrelay.wire.secret import Secret
from tests.credentials.hands import at_once
from tests.credentials.standins import Answer, Asked, Standin, environment, nobody, page, standin
from tests.credentials.standins_entra import (
    CLIENT,
    FEDERATED,
    SECRET,
    TENANT,
    TOKEN,
    app_service,
    authority,
    certificates,
    refusal,
)

REQUEST = UpstreamRequest("POST", "https://r.services.ai.azure.com/anthropic/v1/messages", (), b"{}")
PRODUCTION = {"AZURE_TOKEN_CREDENTIALS": "prod"}  # else a developer's command lines are looked for as well


class EntraTestCase(SynchronousTestCase):
    """Fetches in the thread of the test."""

    def setUp(self) -> None:
        """Have a folder with certificates, and no credentials."""
        self.folder: Path = environment(self)
        self.server, self.trusted = certificates(self.folder)

    def authority(self, answer: Callable[[Asked], Answer] | None = None) -> Standin:
        return standin(self, answer or authority(), certificate=self.server)

    def settings(self, url: str, **more: Any) -> EntraSettings:
        given = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": Secret(SECRET), **more}
        return EntraSettings(**given, authority=url, ca_file=str(self.trusted))

    def failure(self, settings: EntraSettings) -> str:
        problem = self.assertRaises(Unavailable, fetch_token, settings)
        for secret in (SECRET, TOKEN, FEDERATED):
            self.assertNotIn(secret, problem.what + problem.remedy)
        self.assertLess(len(problem.what), 201)
        return f"{problem.what}; {problem.remedy}"

    def assertToken(self, found: Fetched[Secret], lasts: float = 3600.0) -> None:
        """Assert that this is the token, with the end that was given."""
        self.assertEqual(found.value, Secret(TOKEN))
        self.assertApproximates(found.expires, time.time() + lasts, 30)


class SourceTests(EntraTestCase):
    """Where tokens come from."""

    def test_a_client_secret(self) -> None:
        """A client's secret is exchanged for a token, for the configured scope, with that authority alone."""
        service = self.authority()
        self.assertToken(fetch_token(self.settings(service.url)))
        self.assertEqual(service.asked[-1].form["scope"].split()[0], "https://ai.azure.com/.default")

    def test_another_scope(self) -> None:
        """Another scope can be asked for."""
        service = self.authority()
        older = self.settings(service.url, scope="https://cognitiveservices.azure.com/.default")
        self.assertIn("AADSTS500011", self.failure(older))

    def test_workload_identity(self) -> None:
        """A pod's token file is exchanged for a token; what Kubernetes sets is enough."""
        service = self.authority()
        (self.folder / "token").write_text(FEDERATED)
        environment(
            self,
            AZURE_TENANT_ID=TENANT,
            AZURE_CLIENT_ID=CLIENT,
            AZURE_FEDERATED_TOKEN_FILE=str(self.folder / "token"),
            AZURE_AUTHORITY_HOST=service.url,
            **PRODUCTION,
        )
        self.assertToken(fetch_token(EntraSettings(ca_file=str(self.trusted))))
        self.assertEqual(service.asked[-1].form["client_assertion"], FEDERATED)

    def test_managed_identity(self) -> None:
        """An App Service's managed identity is used, the one that is named where there are several."""
        service = standin(self, app_service)
        environment(self, IDENTITY_ENDPOINT=service.url, IDENTITY_HEADER="test-identity-header", **PRODUCTION)
        self.assertToken(fetch_token(EntraSettings()))
        self.assertToken(fetch_token(EntraSettings(client_id=CLIENT)))
        self.assertEqual([asked.query.get("client_id") for asked in service.asked], [None, CLIENT])

    def test_the_environment(self) -> None:
        """AZURE_CLIENT_SECRET and the like are used where nothing is configured."""
        service = self.authority()
        environment(
            self,
            AZURE_TENANT_ID=TENANT,
            AZURE_CLIENT_ID=CLIENT,
            AZURE_CLIENT_SECRET=SECRET,
            AZURE_AUTHORITY_HOST=service.url,
        )
        self.assertToken(fetch_token(EntraSettings(ca_file=str(self.trusted))))


class BadTests(EntraTestCase):
    """What can go wrong, and what is said then."""

    def test_none(self) -> None:
        """Where there is no credential at all, it is said what to set."""
        environment(self, AZURE_POD_IDENTITY_AUTHORITY_HOST=nobody(self), **PRODUCTION)
        failure = self.failure(EntraSettings())
        self.assertIn("none was found in the environment, as an identity of the machine", failure)
        self.assertIn("set azure_tenant_id, azure_client_id, azure_client_secret", failure)

    def test_half_of_it(self) -> None:
        """A secret without tenant or client is told."""
        for name, other in (("tenant_id", "azure_tenant_id"), ("client_id", "azure_client_id")):
            failure = self.failure(self.settings("https://x.test", **{name: None}))
            self.assertIn(f"azure_client_secret is set and {other} is not; set", failure)

    def test_refused(self) -> None:
        """A refusal is told in Entra's words, in one line, without the secret."""
        service = self.authority()
        failure = self.failure(self.settings(service.url, client_secret=Secret("test-another-secret")))
        self.assertIn("AADSTS7000215: Invalid client secret provided. Trace ID: 1 Timestamp: now;", failure)
        self.assertIn("see that the secret has not expired", failure)

    def test_a_secret_that_is_repeated(self) -> None:
        """A secret that an authority repeats does not reach the log."""

        def repeating(asked: Asked) -> Answer:
            return (
                refusal(f"AADSTS1: not {asked.form['client_secret']}") if asked.body else authority()(asked)
            )

        service = self.authority(repeating)
        self.assertIn("AADSTS1: not …; correct", self.failure(self.settings(service.url)))

    def test_no_such_tenant(self) -> None:
        """A tenant that is not known, or cannot be one, is told."""
        service = self.authority()
        self.assertIn("correct azure_tenant_id", self.failure(self.settings(service.url, tenant_id="other")))
        self.assertIn("correct azure_tenant_id", self.failure(self.settings(service.url, tenant_id="a b/c")))

    def test_a_wrong_clock(self) -> None:
        """If Entra finds the time wrong, the clock is what to look at."""
        words = "AADSTS700024: Client assertion is not within its valid time range."
        service = self.authority(lambda asked: refusal(words) if asked.body else authority()(asked))
        self.assertIn("set the clock of this machine right", self.failure(self.settings(service.url)))

    def test_nobody_there(self) -> None:
        """An authority that is down is told by its address."""
        gone = nobody(self).replace("http:", "https:")
        failure = self.failure(self.settings(gone))
        self.assertIn("Connection refused; look at the network", failure)
        self.assertIn(gone.removeprefix("https://"), failure)

    def test_not_https(self) -> None:
        """An authority without TLS is refused before anything is sent to it."""
        service = standin(self, authority())
        self.assertIn("AZURE_AUTHORITY_HOST", self.failure(self.settings(service.url)))
        self.assertEqual(service.asked, [])

    def test_an_unknown_certificate(self) -> None:
        """An authority whose certificate is not trusted gets no secret."""
        service = self.authority()
        settings = EntraSettings(TENANT, CLIENT, Secret(SECRET), authority=service.url)
        self.assertIn("certificate", self.failure(settings).lower())
        self.assertEqual(service.asked, [])

    def test_a_web_page(self) -> None:
        """A page in place of an answer is told, and not repeated."""
        for answer in (page, lambda asked: page(asked) if asked.body else authority()(asked)):
            service = self.authority(answer)
            failure = self.failure(self.settings(service.url))
            self.assertNotIn("Sign in to", failure)
            self.assertIn("see what answers", failure)

    def test_a_pod_whose_token_is_refused(self) -> None:
        """Of all that was tried, the one that was there and failed is told."""
        service = self.authority()
        (self.folder / "token").write_text("another-token")
        environment(
            self,
            AZURE_TENANT_ID=TENANT,
            AZURE_CLIENT_ID=CLIENT,
            AZURE_FEDERATED_TOKEN_FILE=str(self.folder / "token"),
            AZURE_AUTHORITY_HOST=service.url,
            **PRODUCTION,
        )
        failure = self.failure(EntraSettings(ca_file=str(self.trusted)))
        self.assertIn("AADSTS70021: No matching federated identity record found", failure)


class CredentialTests(EntraTestCase):
    """The whole: fetched, kept, shown."""

    def test_shown_as_a_bearer(self) -> None:
        """The token is fetched once and shown in Authorization."""
        service = self.authority()
        credential = entra_credential("azure-1", self.settings(service.url), at_once, Clock())
        self.assertTrue(verifyObject(ICredential, credential))
        for _ in range(5):
            made = self.successResultOf(credential.authorize(REQUEST, time.time()))
            self.assertEqual(first(made.headers, b"authorization"), b"Bearer " + TOKEN.encode())
        self.assertEqual(len([asked for asked in service.asked if asked.body]), 1)

    def test_a_refused_token_is_not_given_again(self) -> None:
        """After a refusal the authority is asked again: the SDK's memory of the token is not."""
        service = self.authority()
        credential = entra_credential("azure-1", self.settings(service.url), at_once, Clock())
        made = self.successResultOf(credential.authorize(REQUEST, time.time()))
        self.assertTrue(credential.refused(made))
        self.successResultOf(credential.authorize(REQUEST, time.time()))
        self.assertEqual(len([asked for asked in service.asked if asked.body]), 2)

    def test_the_error_names_the_provider(self) -> None:
        """What a client reads names whose credentials are missing."""
        credential = entra_credential("azure-1", self.settings(nobody(self)), at_once, Clock())
        error = self.failureResultOf(credential.authorize(REQUEST, 0.0), CredentialFailed).value
        self.assertTrue(error.message.startswith("the Entra ID credentials of azure-1 could not be had: "))

"""The rules of Azure: Anthropic's format, and a front door with errors of its own."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import Complaint, Verdict
from ccrelay.providers.azure import Azure, resource_url
from ccrelay.wire.http import ResponseHead
from ccrelay.wire.request import MessagesRequest

KEY, CLIENT, BUSY, BROKEN = Verdict.KEY, Verdict.CLIENT, Verdict.BUSY, Verdict.BROKEN
GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


class AzureTests(SynchronousTestCase):
    """A Foundry resource."""

    def setUp(self) -> None:
        """Make the provider."""
        self.azure = Azure(resource_url("res"), probed="my-deployment")

    def classified(self, status: int, code: str, message: str = "no", *, mapped: bool = False) -> Complaint:
        """Return the complaint in an answer of the front door."""
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        return self.azure.classify(ResponseHead(status, ()), body, 0.0, mapped=mapped)

    def test_where_it_goes(self) -> None:
        """Requests go to the resource; the model is the name of a deployment and stays in the body."""
        request = MessagesRequest.parse(b'{"model":"my-deployment","messages":[]}')
        composed = self.azure.compose(request, ((b"anthropic-version", b"2026-10-21"),), b"")
        self.assertEqual(composed.url, "https://res.services.ai.azure.com/anthropic/v1/messages")
        self.assertIs(composed.body, request.body)
        self.assertEqual(composed.headers, ((b"anthropic-version", b"2026-10-21"),))

    def test_a_probe(self) -> None:
        """One word is counted: other paths answer 404 although all is well."""
        probe = self.azure.probe()
        url = "https://res.services.ai.azure.com/anthropic/v1/messages/count_tokens"
        self.assertEqual((probe.method, probe.url), ("POST", url))
        self.assertEqual(json.loads(probe.body)["model"], "my-deployment")
        self.assertIn((b"content-type", b"application/json"), probe.headers)
        self.assertIn((b"anthropic-version", b"2023-06-01"), probe.headers)

    def test_codes_of_the_front_door(self) -> None:
        """A code that says more than its status is believed; any other is judged by the status."""
        for status, code, verdict, answered in (
            (404, "DeploymentNotFound", CLIENT, 404),
            (400, "api_not_supported", CLIENT, 404),
            (401, "401", KEY, 401),
            (401, "PermissionDenied", KEY, 403),
            (403, "403", KEY, 403),
            (429, "RateLimitReached", KEY, 429),
            (503, "NoCapacity", BUSY, 529),
            (503, "503", BROKEN, 503),
            (400, "of_tomorrow", CLIENT, 400),
            (500, "InternalServerError", BROKEN, 500),
        ):
            said = self.classified(status, code)
            self.assertEqual((said.verdict, said.status, said.message), (verdict, answered, "no"), code)

    def test_without_words(self) -> None:
        """A code without words is told as it is."""
        self.assertEqual(
            self.classified(404, "DeploymentNotFound", "").message, "Azure answered DeploymentNotFound."
        )

    def test_a_deployment_that_is_not_there(self) -> None:
        """Where a model was mapped to a deployment that there is not, another provider is tried."""
        self.assertIs(self.classified(404, "DeploymentNotFound", mapped=True).verdict, BROKEN)

    def test_the_other_shape(self) -> None:
        """The front door's other shape, with statusCode, is read likewise."""
        body = b'{"statusCode": 401, "message": "Unauthorized. Access token is missing or invalid."}'
        said = self.azure.classify(ResponseHead(401, ()), body, 0.0, mapped=False)
        self.assertEqual((said.verdict, said.status, said.kind), (KEY, 401, "authentication_error"))
        self.assertIn("Access token", said.message)

    def test_a_prompt_that_is_too_long(self) -> None:
        """Claude Code finds the token it compacts on."""
        said = self.classified(400, "invalid_request", "Prompt is too long")
        self.assertEqual(said.message, "capability_rejected: prompt_too_long. Prompt is too long")

    def test_nothing_private(self) -> None:
        """Ids of subscriptions, tenants and principals reach no client."""
        words = f"The principal {GUID} lacks x on /subscriptions/{GUID}/resourceGroups/rg, see docs."
        said = self.classified(401, "PermissionDenied", words)
        self.assertEqual(said.message, "The principal (id) lacks x on (id), see docs.")

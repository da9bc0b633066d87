"""Azure AI Foundry through the whole relay: what it is sent, and what becomes of what it answers."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.credentials.wording import Unavailable
from ccrelay.policy.verdict import Verdict
from ccrelay.simulator.acts import Refuses, Says, Sends
from ccrelay.simulator.script import Script
from ccrelay.wire.sse import render
from tests.clouds.rooms import TENANT, Clouds, flags, front, said
from tests.network import sse
from tests.relay.test_failover import text
from tests.stack import HEADERS, KEY, body

EXPIRED = front(401, "401", "Access denied due to invalid subscription key or wrong API endpoint.")
SSE = "text/event-stream"
BEGUN = b"".join(
    render(json.loads(data)["type"].encode(), data)
    for data in (
        b'{"type":"message_start","message":{"id":"m","usage":{"input_tokens":1,"output_tokens":1}}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'
        + TENANT.encode() + b'"}}',
    )
)
ASKED = b'{ "stream":%b, "model": "claude-sonnet-4-5", "max_tokens":9,"n":1234567890123456789,"messages":[]}'


class SentTests(SynchronousTestCase):
    """What goes up."""

    def test_the_client_s_own_bytes(self) -> None:
        """Body and query are the client's; the answer's bytes are Azure's."""
        for stream in (b"false", b"true"):
            stack = Clouds(self, {"azure": [Says("hello")]})
            answer = stack.ask(ASKED % stream, path="/v1/messages?beta=true")
            self.assertEqual((answer.status, text(answer)), (200, "hello"))
            asked = stack.asked("azure")[0]
            self.assertEqual(asked.target, "/anthropic/v1/messages?beta=true")
            self.assertEqual(asked.body, ASKED % stream)
        self.assertEqual([name for name, _ in sse(answer.body)][-1], "message_stop")

    def test_the_credential(self) -> None:
        """A key is shown in x-api-key, a token of Entra ID as a bearer, never both and never the client's."""
        extra = (*HEADERS, ("authorization", "Bearer of-a-client"), ("api-key", "of-a-client"))
        stack = Clouds(self, {"azure": [Says("x")]})
        stack.ask(headers=extra)
        shown = [stack.asked("azure")[0].header(name) for name in ("x-api-key", "authorization", "api-key")]
        self.assertEqual(shown, [KEY, None, None])
        stack = Clouds(self, {"entra": [Says("x")]})
        stack.ask(headers=extra)
        shown = [stack.asked("entra")[0].header(name) for name in ("x-api-key", "authorization", "api-key")]
        self.assertEqual(shown, [None, "Bearer token-number-1", None])

    def test_the_version_stays(self) -> None:
        """The client's version and flags go up in their header fields, as to Anthropic itself."""
        stack = Clouds(self, {"azure": [Says("x")]})
        stack.ask(headers=flags("context-1m-2025-08-07"))
        asked = stack.asked("azure")[0]
        self.assertEqual(asked.header("anthropic-version"), "2023-06-01")
        self.assertEqual(asked.header("anthropic-beta"), "context-1m-2025-08-07")

    def test_deployments(self) -> None:
        """A model is asked for under the name of its deployment, which may be any; no other byte changes."""
        mapping = {"claude-sonnet-4-5": "our sonnet", "claude-haiku-*": "cheap"}
        stack = Clouds(self, {"azure": [Says("x")]}, azure={"model_mapping": mapping})
        for model in ("claude-sonnet-4-5", "claude-haiku-4-5-20251001", "claude-opus-4-8"):
            stack.ask(body(model=model))
        sent = [asked.json["model"] for asked in stack.asked("azure")]
        self.assertEqual(sent, ["our sonnet", "cheap", "claude-opus-4-8"])

    def test_the_resource_s_host(self) -> None:
        """Without a base_url the name of the resource says which host is asked."""
        fields = {"base_url": None, "azure_resource_name": "our-res"}
        stack = Clouds(self, {"azure": [Says("x")]}, azure=fields)
        stack.network.listen("our-res.services.ai.azure.com", stack.simulators["azure"].site)
        self.assertEqual(stack.ask().status, 200)
        asked = stack.asked("azure")[0]
        self.assertEqual((asked.header("host"), asked.path), (
            "our-res.services.ai.azure.com", "/anthropic/v1/messages",
        ))  # fmt: skip


class ErrorTests(SynchronousTestCase):
    """What Azure's refusals become."""

    TABLE = (
        (404, "DeploymentNotFound", (404, "not_found_error")),
        (404, "unknown_model", (404, "not_found_error")),
        (400, "api_not_supported", (404, "not_found_error")),
        (401, "PermissionDenied", (403, "permission_error")),
        (401, "401", (401, "authentication_error")),
        (429, "RateLimitReached", (429, "rate_limit_error")),
        (503, "NoCapacity", (529, "overloaded_error")),
        (500, "InternalServerError", (500, "api_error")),
        (400, "BadRequest", (400, "invalid_request_error")),
    )

    def test_the_table(self) -> None:
        """Errors of the front door come in Anthropic's terms, streamed or not."""
        for status, code, becomes in self.TABLE:
            for stream in (False, True):
                stack = Clouds(self, {"azure": [front(status, code, "Words of Azure.")]})
                answer = stack.ask(body(stream=stream))
                self.assertEqual(said(answer), (*becomes, "Words of Azure."), code)
                self.assertEqual(answer.headers["content-type"], "application/json")

    def test_words_of_the_model(self) -> None:
        """What comes in Anthropic's envelope passes byte for byte."""
        words = b'{"type":"error", "error":{"type":"invalid_request_error","message":"no"},"request_id":"r"}'
        answer = Clouds(self, {"azure": [Refuses(400, body=words)]}).ask()
        self.assertEqual((answer.status, answer.body), (400, words))

    def test_no_ids(self) -> None:
        """Ids of tenants and subscriptions reach neither clients nor the log."""
        words = f"The principal {TENANT} lacks Foundry User on /subscriptions/{TENANT}/resourceGroups/ours"
        for status, code in ((401, "PermissionDenied"), (403, "Other"), (400, "Other")):
            stack = Clouds(self, {"azure": [front(status, code, words)]})
            answer = stack.ask()
            self.assertIn("The principal (id) lacks", said(answer)[2])
            for secret in (TENANT, "ours"):
                self.assertNotIn(secret, answer.body.decode() + "".join(stack.lines))

    def test_no_ids_in_any_shape(self) -> None:
        """Nor do they where it is in Anthropic's envelope, or in a stream, before content or after it."""
        words = f"tenant {TENANT} of /subscriptions/{TENANT}/x is blocked"
        error = {"type": "error", "error": {"type": "permission_error", "message": words}, "request_id": "r"}
        event = render(b"error", json.dumps(error).encode())
        refusal = Refuses(403, body=json.dumps(error).encode())
        for act, begun in ((refusal, b""), (Sends(event, SSE), b""), (Sends(BEGUN + event, SSE), BEGUN)):
            stack = Clouds(self, {"azure": [act]})
            answer = stack.ask(body(stream=True))
            self.assertIn(b"tenant (id) of (id) is blocked", answer.body)
            self.assertTrue(answer.body.startswith(begun))  # what the model says is its own affair
            self.assertNotIn(TENANT, answer.body[len(begun) :].decode() + "".join(stack.lines))

    def test_other_errors_in_streams(self) -> None:
        """An error that names nothing private passes byte for byte, GUIDs of requests and all."""
        error = {"type": "error", "error": {"type": "api_error", "message": "no"}, "request_id": TENANT}
        event = render(b"error", json.dumps(error).encode())
        answer = Clouds(self, {"azure": [Sends(BEGUN + event, SSE)]}).ask(body(stream=True))
        self.assertEqual(answer.body, BEGUN + event)

    def test_a_prompt_that_is_too_long(self) -> None:
        """The front door's words for it get the token that Claude Code compacts on."""
        act = front(400, "BadRequest", "prompt is too long: 250000 tokens > 200000 maximum")
        self.assertIn("capability_rejected: prompt_too_long", said(Clouds(self, {"azure": [act]}).ask())[2])

    def test_who_is_asked_next(self) -> None:
        """Overload, limits and refused keys go to another provider; a wrong request does not."""
        for status, code, next_one in (
            (503, "NoCapacity", True), (429, "RateLimitReached", True), (401, "PermissionDenied", True),
            (401, "401", True), (400, "BadRequest", False), (404, "DeploymentNotFound", False),
        ):  # fmt: skip
            stack = Clouds(self, {"azure": [front(status, code, "x")], "a": [Says("from a")]})
            self.assertEqual(stack.ask().status == 200, next_one, code)
            self.assertEqual(len(stack.asked("a")), int(next_one), code)

    def test_an_unknown_deployment(self) -> None:
        """A deployment that is not there is tried elsewhere only where its name was the operator's."""
        act = front(404, "DeploymentNotFound", "The API deployment for this resource does not exist.")
        for mapping, answered in (({}, 404), ({"claude-*": "gone"}, 200)):
            stack = Clouds(self, {"azure": [act], "a": [Says("x")]}, azure={"model_mapping": mapping})
            self.assertEqual(stack.ask().status, answered)

    def test_a_key_that_is_refused(self) -> None:
        """A key cannot be had anew: it is shown once, and no more."""
        stack = Clouds(self, {"azure": [EXPIRED], "a": [Says("from a")]})
        for _ in range(3):
            self.assertEqual(text(stack.ask()), "from a")
        self.assertEqual(len(stack.asked("azure")), 1)
        self.assertEqual(stack.told.attempts[0].mended, ())


class TokenTests(SynchronousTestCase):
    """A token of Entra ID: fetched once, renewed once where it is refused."""

    def shown(self, stack: Clouds) -> list[str]:
        """Return the credentials that Azure was shown."""
        return [asked.header("authorization") for asked in stack.asked("entra")]

    def test_renewed_once(self) -> None:
        """A refused token is fetched anew and the request repeated at once; the client sees one answer."""
        for stream in (False, True):
            stack = Clouds(self, {"entra": [EXPIRED, Says("hello")]})
            answer = stack.ask(body(stream=stream))
            self.assertEqual((answer.status, text(answer)), (200, "hello"))
            self.assertEqual(self.shown(stack), ["Bearer token-number-1", "Bearer token-number-2"])
            (attempt,) = stack.told.attempts
            self.assertEqual((attempt.verdict, attempt.mended), (Verdict.OK, ("credential",)))

    def test_refused_again(self) -> None:
        """A second refusal is not the token's age: another provider answers, and for a minute it is kept."""
        stack = Clouds(self, {"entra": [EXPIRED], "a": [Says("from a")]})
        for _ in range(2):
            self.assertEqual(text(stack.ask()), "from a")
        self.assertEqual(self.shown(stack), [f"Bearer token-number-{number}" for number in (1, 2, 2)])

    def test_no_credential(self) -> None:
        """A credential that cannot be had is the provider's failure, told with its remedy."""
        stack = Clouds(self, {"entra": [Says("x")], "a": [Says("from a")]})
        stack.tokens.missing = Unavailable("no such tenant", "correct azure_tenant_id")
        self.assertEqual(text(stack.ask()), "from a")
        self.assertEqual(
            stack.told.attempts[0].reason,
            "the Entra ID credentials of entra could not be had: no such tenant; correct azure_tenant_id",
        )


class CountTests(SynchronousTestCase):
    """Tokens, counted by Azure."""

    def counting(self, *acts: object) -> Script:
        """Return the script of an Azure that answers counts so."""
        return Script([Says("hello")], {"*/count_tokens": acts})

    def test_the_request(self) -> None:
        """The client's bytes go to Azure's own counting, with the deployment's name."""
        script = self.counting(Sends(b'{"input_tokens": 42}', "application/json"))
        stack = Clouds(self, {"azure": script}, azure={"model_mapping": {"claude-*": "ours"}})
        answer = stack.count(body())
        self.assertEqual((answer.status, answer.body), (200, b'{"input_tokens": 42}'))
        asked = stack.asked("azure")[0]
        self.assertEqual(asked.path, "/anthropic/v1/messages/count_tokens")
        self.assertEqual(asked.json["model"], "ours")

    def test_where_it_cannot(self) -> None:
        """Where there is no counting, the answer is an estimate that says so, or 404 where that is wanted."""
        script = self.counting(front(404, "404", "Resource not found"))
        stack = Clouds(self, {"azure": script})
        answer = stack.count(body())
        self.assertEqual((answer.status, answer.headers.get("x-ccrelay-estimate")), (200, "true"))
        self.assertGreater(json.loads(answer.body)["input_tokens"], 0)
        self.assertEqual(text(stack.ask()), "hello")
        stack = Clouds(self, {"azure": script}, azure={"count_tokens": "404"})
        self.assertEqual(stack.count(body()).status, 404)

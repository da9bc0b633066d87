"""Vertex through the whole relay: what it is sent, and what becomes of what it answers."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import Verdict
from ccrelay.simulator.acts import Refuses, Says, Sends
from tests.clouds.rooms import COUNTED, MODEL, MODELS, PROJECT, Clouds, flags, platform, said, vertex
from tests.network import sse
from tests.relay.test_failover import text
from tests.stack import HEADERS, body

EXPIRED = platform("UNAUTHENTICATED", 401, "Request had invalid authentication credentials.")
ASKED = (
    b'{ "stream": %b,\n "model" : "claude-sonnet-4-5@20250929", "max_tokens":9, "big":12345678901234567890,'
    b' "messages":[{"role":"user","content":"h\\u00e4 \xe2\x80\xa8"}]}'
)


class SentTests(SynchronousTestCase):
    """What goes up."""

    def test_the_request(self) -> None:
        """The model goes into the path, the version into the body; every other byte stays."""
        for stream, verb in ((b"false", "rawPredict"), (b"true", "streamRawPredict")):
            stack = Clouds(self, {"vertex": vertex([Says("hello")])})
            answer = stack.ask(ASKED % stream, path="/v1/messages?beta=true")
            self.assertEqual((answer.status, text(answer)), (200, "hello"))
            asked = stack.asked("vertex")[0]
            self.assertEqual(asked.target, f"{MODELS}/{MODEL}:{verb}")
            rest = (ASKED % stream).replace(b',\n "model" : "claude-sonnet-4-5@20250929"', b"").lstrip(b"{")
            self.assertEqual(asked.body, b'{"anthropic_version":"vertex-2023-10-16",' + rest)
        self.assertEqual([name for name, _ in sse(answer.body)][-1], "message_stop")

    def test_the_header_fields(self) -> None:
        """The token as a bearer, no version, and nothing by which the client has shown who it is."""
        stack = Clouds(self, {"vertex": vertex([Says("x")])})
        extra = (("authorization", "Bearer of-a-client"), ("cookie", "a"), ("x-claude-code-session-id", "s"))
        stack.ask(headers=(*HEADERS, *extra))
        names = [name.decode() for name, _ in stack.asked("vertex")[0].headers]
        self.assertEqual(
            sorted(names),
            ["accept-encoding", "authorization", "content-length", "content-type", "host",
             "x-claude-code-session-id"],
        )  # fmt: skip
        self.assertEqual(list(stack.bearers), ["Bearer token-number-1"])

    def test_each_region_s_host(self) -> None:
        """Without a base_url the region says which of Google's hosts is asked."""
        for region, host in (
            ("global", "aiplatform.googleapis.com"),
            ("eu", "aiplatform.eu.rep.googleapis.com"),
            ("europe-west1", "europe-west1-aiplatform.googleapis.com"),
        ):
            stack = Clouds(
                self, {"vertex": vertex([Says("x")])}, vertex={"base_url": None, "gcp_region": region}
            )
            stack.network.listen(host, stack.simulators["vertex"].site)
            self.assertEqual(stack.ask().status, 200)
            asked = stack.asked("vertex")[0]
            self.assertEqual(asked.header("host"), host)
            self.assertIn(f"/projects/{PROJECT}/locations/{region}/publishers/", asked.target)

    def test_names_of_models(self) -> None:
        """A model is asked for under the name that the operator gives it there, with its date behind an @."""
        mapping = {"claude-sonnet-4-5": MODEL, "claude-haiku-*": "claude-haiku-4-5@20251001"}
        stack = Clouds(self, {"vertex": vertex([Says("x")])}, vertex={"model_mapping": mapping})
        for model in ("claude-sonnet-4-5", "claude-haiku-4-5-20251001", "claude-opus-4-8", "a;b/c"):
            stack.ask(body(model=model))
        sent = [asked.target.removeprefix(MODELS + "/") for asked in stack.asked("vertex")]
        models = [MODEL, "claude-haiku-4-5@20251001", "claude-opus-4-8", "a%3Bb%2Fc"]
        self.assertEqual(sent, [f"{model}:rawPredict" for model in models])

    def test_own_header_fields_and_version(self) -> None:
        """The operator's header fields and version go along."""
        fields = {"headers": {"x-goog-user-project": "billed"}, "anthropic_version": "2026-10-21"}
        stack = Clouds(self, {"vertex": vertex([Says("x")])}, vertex=fields)
        stack.ask()
        asked = stack.asked("vertex")[0]
        self.assertEqual(asked.header("x-goog-user-project"), "billed")
        self.assertEqual(asked.json["anthropic_version"], "2026-10-21")

    def test_no_models_that_make_other_paths(self) -> None:
        """A name of a model that would lead astray is refused without asking anybody, or goes elsewhere."""
        stack = Clouds(self, {"vertex": vertex([Says("x")])})
        self.assertEqual(stack.ask(body(model="..")).status, 400)
        self.assertEqual(stack.asked("vertex"), [])
        stack = Clouds(self, {"vertex": vertex([Says("x")]), "a": [Says("from a")]})
        self.assertEqual(text(stack.ask(body(model=".."))), "from a")


class ErrorTests(SynchronousTestCase):
    """What Google's refusals become."""

    TABLE = (
        ("INVALID_ARGUMENT", 400, (400, "invalid_request_error")),
        ("PERMISSION_DENIED", 403, (403, "permission_error")),
        ("NOT_FOUND", 404, (404, "not_found_error")),
        ("RESOURCE_EXHAUSTED", 429, (429, "rate_limit_error")),
        ("INTERNAL", 500, (500, "api_error")),
        ("UNAVAILABLE", 503, (529, "overloaded_error")),
        ("DEADLINE_EXCEEDED", 504, (504, "timeout_error")),
    )

    def test_the_table(self) -> None:
        """Platform errors come in Anthropic's terms, in an array or not, streamed or not."""
        for status, code, becomes in self.TABLE:
            for stream in (False, True):
                for wrapped in (False, True):
                    act = platform(status, code, "Words of Google.", wrapped=wrapped)
                    stack = Clouds(self, {"vertex": vertex([act])})
                    answer = stack.ask(body(stream=stream))
                    self.assertEqual(said(answer), (*becomes, "Words of Google."), (status, stream, wrapped))
                    self.assertEqual(answer.headers["content-type"], "application/json")

    def test_words_of_the_model(self) -> None:
        """What comes in Anthropic's envelope passes byte for byte, with the request's id of Vertex in it."""
        words = (
            b'{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: 0 is too few"},'
            b'"request_id":"req_vrtx_011"}'
        )
        stack = Clouds(self, {"vertex": vertex([Refuses(400, body=words)])})
        answer = stack.ask()
        self.assertEqual((answer.status, answer.body), (400, words))

    def test_a_prompt_that_is_too_long(self) -> None:
        """Google's own words for it get the token that Claude Code compacts on."""
        act = platform("INVALID_ARGUMENT", 400, "Prompt is too long: 300000 tokens > 200000 maximum")
        _, kind, words = said(Clouds(self, {"vertex": vertex([act])}).ask())
        self.assertEqual(kind, "invalid_request_error")
        self.assertIn("capability_rejected: prompt_too_long", words)

    def test_no_names_of_projects(self) -> None:
        """Neither id nor number of a project reaches a client or the log."""
        words = (
            f"Permission 'aiplatform.endpoints.predict' denied on resource "
            f"'//aiplatform.googleapis.com/projects/{PROJECT}/locations/us-east5' "
            "(consumer project_number:123456789012)"
        )
        detail = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "metadata": {"consumer": PROJECT}}]
        shapes = [
            platform("PERMISSION_DENIED", 403, words, details=detail),
            Refuses(403, words, kind="permission_error"),
            platform("NEVER_HEARD_OF", 418, words),
        ]
        for shape in shapes:
            for counting in (False, True):
                stack = Clouds(self, {"vertex": vertex([shape], [shape])}, routing={"max_attempts": 1})
                answer = stack.count(body()) if counting else stack.ask()
                for secret in (PROJECT, "123456789012"):
                    self.assertNotIn(secret, answer.body.decode())
                    self.assertNotIn(secret, "".join(stack.lines))
            self.assertEqual(answer.status == 200, shape.status == 403)

    def test_who_is_asked_next(self) -> None:
        """Overload and lost quota go to another provider; a wrong request does not."""
        for status, code, next_one in (
            ("UNAVAILABLE", 503, True), ("RESOURCE_EXHAUSTED", 429, True), ("PERMISSION_DENIED", 403, True),
            ("INVALID_ARGUMENT", 400, False), ("NOT_FOUND", 404, False),
        ):  # fmt: skip
            stack = Clouds(self, {"vertex": vertex([platform(status, code, "x")]), "a": [Says("from a")]})
            self.assertEqual(stack.ask().status == 200, next_one, status)
            self.assertEqual(len(stack.asked("a")), int(next_one), status)

    def test_an_unknown_model(self) -> None:
        """A model that is not there is tried elsewhere only where its name was the operator's for Vertex."""
        act = platform("NOT_FOUND", 404, "Publisher Model was not found.")
        for mapping, answered in (({}, 404), ({"claude-*": "claude-nine@20991231"}, 200)):
            stack = Clouds(
                self, {"vertex": vertex([act]), "a": [Says("from a")]}, vertex={"model_mapping": mapping}
            )
            self.assertEqual(stack.ask().status, answered)

    def test_overload(self) -> None:
        """UNAVAILABLE is overload: repeated in place after a moment, and no mark against the credential."""
        act = platform("UNAVAILABLE", 503, "Try again.")
        stack = Clouds(self, {"vertex": vertex([act, Says("better")])}, routing={"max_wait_ms": 5000})
        answer = stack.ask(seconds=5)
        self.assertEqual((answer.status, text(answer)), (200, "better"))
        verdicts = [attempt.verdict for attempt in stack.told.attempts]
        self.assertEqual(verdicts, [Verdict.BUSY, Verdict.OK])
        self.assertEqual(stack.tokens.fetched, 1)

    def test_a_web_page(self) -> None:
        """A page under status 200 is no answer; it is said where to look, and another provider is asked."""
        stack = Clouds(self, {"vertex": vertex([Sends(b"<html>hi</html>")])})
        status, _, words = said(stack.ask())
        self.assertEqual(status, 502)
        self.assertIn("vertex: answered 200 with a body that is text/html", words)


class CountTests(SynchronousTestCase):
    """Tokens, counted by Vertex."""

    FLAGS = ("web-search-2025-03-05", "context-1m-2025-08-07")

    def test_the_request(self) -> None:
        """The model stays in the body, and flags that only messages may have go."""
        stack = Clouds(self, {"vertex": vertex([Says("x")])}, vertex={"model_mapping": {"claude-*": MODEL}})
        answer = stack.count(body(), headers=flags(*self.FLAGS))
        self.assertEqual((answer.status, answer.body), (200, b'{"input_tokens": 42}'))
        self.assertNotIn("x-ccrelay-estimate", answer.headers)
        asked = stack.asked("vertex")[0]
        self.assertEqual(asked.target, f"{MODELS}/count-tokens:rawPredict")
        self.assertEqual(asked.json["model"], MODEL)
        self.assertEqual(asked.json["anthropic_version"], "vertex-2023-10-16")
        self.assertEqual(asked.header("anthropic-beta"), self.FLAGS[1])
        stack.ask(headers=flags(*self.FLAGS))
        self.assertEqual(stack.asked("vertex")[1].header("anthropic-beta"), ",".join(self.FLAGS))

    def test_where_it_cannot(self) -> None:
        """Where region or model have no counting, the answer is an estimate that says so; no mark is left."""
        for act in (
            platform("NOT_FOUND", 404, "x", wrapped=False), platform("PERMISSION_DENIED", 403, "x"),
            platform("FAILED_PRECONDITION", 400, "not in this region"), platform("UNIMPLEMENTED", 501, "x"),
        ):  # fmt: skip
            stack = Clouds(self, {"vertex": vertex([Says("hello")], [act])})
            answer = stack.count(body())
            self.assertEqual((answer.status, answer.headers.get("x-ccrelay-estimate")), (200, "true"), act)
            self.assertGreater(json.loads(answer.body)["input_tokens"], 0)
            self.assertEqual(text(stack.ask()), "hello")

    def test_renewed(self) -> None:
        """A refused token is renewed for counting likewise."""
        stack = Clouds(self, {"vertex": vertex([Says("x")], [EXPIRED, COUNTED])})
        self.assertEqual(stack.count(body()).body, b'{"input_tokens": 42}')
        self.assertEqual(stack.tokens.fetched, 2)

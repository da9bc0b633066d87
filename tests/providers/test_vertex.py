"""The rules of Vertex: where a request goes, what its body is, and what Google's errors mean."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import Complaint, Verdict
from ccrelay.providers.vertex import Vertex, host
from ccrelay.wire.http import ResponseHead
from ccrelay.wire.request import MessagesRequest

KEY, CLIENT, BUSY, BROKEN = Verdict.KEY, Verdict.CLIENT, Verdict.BUSY, Verdict.BROKEN
PROJECT = "my-project-42"
WHERE = "https://aiplatform.googleapis.com/v1/projects/my-project-42/locations/global/publishers/anthropic/models/"
BODY = b'{"model":"m","max_tokens":1.0e2,"stream" : true,"messages":[ {"role":"user","content":"\\u00e4"} ]}'


def request(model: str = "claude-sonnet-4-5@20250929", *, stream: bool = True) -> MessagesRequest:
    """Return a request for a model."""
    return MessagesRequest(BODY if stream else BODY.replace(b"true", b"false"), model, stream, "")


class RequestTests(SynchronousTestCase):
    """What goes up."""

    def setUp(self) -> None:
        """Make the provider."""
        self.vertex = Vertex(host("global"), PROJECT, "global")

    def test_where_it_goes(self) -> None:
        """The model is a segment of the path with its @ as it is; the verb tells whether it streams."""
        for asked, path in (
            (request(), "claude-sonnet-4-5@20250929:streamRawPredict"),
            (request(stream=False), "claude-sonnet-4-5@20250929:rawPredict"),
            (request("a;b/c d", stream=False), "a%3Bb%2Fc%20d:rawPredict"),
        ):
            self.assertEqual(self.vertex.compose(asked, (), b"beta=true").url, WHERE + path)

    def test_the_body(self) -> None:
        """The model goes, the version comes first, stream stays, and every other byte is the client's."""
        self.assertEqual(
            self.vertex.compose(request(), (), b"").body,
            b'{"anthropic_version":"vertex-2023-10-16","max_tokens":1.0e2,"stream" : true,'
            b'"messages":[ {"role":"user","content":"\\u00e4"} ]}',
        )

    def test_header_fields(self) -> None:
        """Beta flags stay header fields here; the version, which is in the body, is none."""
        headers = (
            (b"anthropic-beta", b"a-1, b-2"),
            (b"anthropic-version", b"2026-10-21"),
            (b"content-type", b"application/json"),
            (b"x-api-key", b"k"),
        )
        kept = ((b"anthropic-beta", b"a-1, b-2"), (b"content-type", b"application/json"))
        self.assertEqual(self.vertex.compose(request(), headers, b"").headers, kept)

    def test_counting(self) -> None:
        """Where tokens are counted the model is in the body, and not in the path."""
        composed = self.vertex.count(request(), (), b"beta=true")
        self.assertEqual(composed.url, f"{WHERE}count-tokens:rawPredict")
        self.assertEqual(json.loads(composed.body)["model"], "m")
        self.assertEqual(json.loads(composed.body)["anthropic_version"], "vertex-2023-10-16")
        body = b'{"input_tokens":42}'
        self.assertIs(self.vertex.counted(body), body)

    def test_a_probe(self) -> None:
        """One word is counted, which is free, for a model that the operator may name."""
        probe = Vertex(host("global"), PROJECT, "global", probed="claude-opus-4-8").probe()
        self.assertEqual(probe.url, f"{WHERE}count-tokens:rawPredict")
        self.assertEqual(json.loads(probe.body)["model"], "claude-opus-4-8")
        self.assertEqual(json.loads(probe.body)["anthropic_version"], "vertex-2023-10-16")


class ErrorTests(SynchronousTestCase):
    """What refusals mean."""

    def classified(
        self, status: int, name: str, message: str = "no", *, mapped: bool = False, project: str = PROJECT
    ) -> Complaint:
        """Return the complaint in an answer, which is the same within an array as without."""
        vertex = Vertex(host("global"), project, "global")
        said: dict[str, Any] = {"error": {"code": status, "message": message, "status": name}}
        found = [
            vertex.classify(ResponseHead(status, ()), json.dumps(body).encode(), 0.0, mapped=mapped)
            for body in (said, [said])
        ]
        self.assertEqual(found[0], found[1])
        return found[0]

    def test_each_status(self) -> None:
        """Each of Google's statuses means one thing in Anthropic's terms, and its words are kept."""
        for name, status, verdict, answered, kind in (
            ("INVALID_ARGUMENT", 400, CLIENT, 400, "invalid_request_error"),
            ("FAILED_PRECONDITION", 400, CLIENT, 400, "invalid_request_error"),
            ("UNAUTHENTICATED", 401, KEY, 401, "authentication_error"),
            ("PERMISSION_DENIED", 403, KEY, 403, "permission_error"),
            ("NOT_FOUND", 404, CLIENT, 404, "not_found_error"),
            ("ABORTED", 409, BROKEN, 409, "conflict_error"),
            ("RESOURCE_EXHAUSTED", 429, KEY, 429, "rate_limit_error"),
            ("CANCELLED", 499, BROKEN, 499, "invalid_request_error"),
            ("INTERNAL", 500, BROKEN, 500, "api_error"),
            ("UNIMPLEMENTED", 501, CLIENT, 501, "api_error"),
            ("UNAVAILABLE", 503, BUSY, 529, "overloaded_error"),
            ("DEADLINE_EXCEEDED", 504, BROKEN, 504, "timeout_error"),
        ):
            said = self.classified(status, name)
            self.assertEqual(
                (said.verdict, said.status, said.kind, said.message, said.body),
                (verdict, answered, kind, "no", None),
                name,
            )

    def test_others_are_judged_by_their_status(self) -> None:
        """A status that nobody knows today, or none, counts for nothing."""
        self.assertIs(self.classified(503, "OF_TOMORROW").verdict, BROKEN)
        self.assertIs(self.classified(429, "").verdict, KEY)

    def test_a_model_that_is_not_there(self) -> None:
        """A model that is not enabled, or not in this region, is tried elsewhere if it was mapped here."""
        self.assertIs(self.classified(404, "NOT_FOUND", mapped=True).verdict, BROKEN)

    def test_a_prompt_that_is_too_long(self) -> None:
        """Claude Code finds the token it compacts on, in front of Google's words."""
        said = self.classified(400, "INVALID_ARGUMENT", "Prompt is too long.")
        self.assertEqual(said.message, "capability_rejected: prompt_too_long. Prompt is too long.")

    def test_nothing_private(self) -> None:
        """Names and numbers of projects reach no client, whoever words the error."""
        for words, left in (
            (f"Permission 'x' denied on '//host/projects/{PROJECT}/locations/global' (or it may not exist).",
             "Permission 'x' denied on '//host/projects/(project)/locations/global' (or it may not exist)."),
            (f"API has not been used in project 123456789 before or {PROJECT}.",
             "API has not been used in project (project) before or (project)."),
            ("Quota of consumer 'project_number:123456'.", "Quota of consumer 'project_number:(project)'."),
            ("Your project has no access; see projects.", "Your project has no access; see projects."),
            (f"not-{PROJECT} is another", f"not-{PROJECT} is another"),
        ):  # fmt: skip
            self.assertEqual(self.classified(403, "PERMISSION_DENIED", words).message, left)
            error = {"type": "error", "error": {"type": "permission_error", "message": words}}
            body = json.dumps(error).encode()
            found = Vertex(host("eu"), PROJECT, "eu").classify(ResponseHead(403, ()), body, 0.0, mapped=False)
            self.assertEqual(found.message, left)
            self.assertEqual(found.body, body if left == words else None)

    def test_a_project_with_a_short_name(self) -> None:
        """A name that might be any word is looked for only where names of projects stand."""
        said = self.classified(403, "PERMISSION_DENIED", "no claude in projects/claude", project="claud")
        self.assertEqual(said.message, "no claude in projects/(project)")

    def test_a_first_event(self) -> None:
        """An error as the first event of a stream is judged and cleaned likewise."""
        vertex = Vertex(host("eu"), PROJECT, "eu")
        error = {"type": "overloaded_error", "message": f"busy: projects/{PROJECT}"}
        translator = vertex.translator()
        translator.feed(
            b"event: error\ndata: " + json.dumps({"type": "error", "error": error}).encode() + b"\n\n"
        )
        said = vertex.classify_event(translator.error, translator.error_data, 0.0)
        self.assertEqual((said.verdict, said.status), (BUSY, 529))
        self.assertNotIn(PROJECT.encode(), said.rendered("req_1"))

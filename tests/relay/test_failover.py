"""Failing over by what a provider answers: which status sends a request where, and what the client gets."""

import json

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says, Sends
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from ccrelay.wire.error_json import kind_of
from tests.network import Answer, sse
from tests.stack import KEY, Plain, Stack, body

SECOND = "sk-test-fedcba9876543210"
ONE_KEY = [{"key": KEY, "name": "first"}]
TWO_KEYS = [*ONE_KEY, {"key": SECOND, "name": "second"}]
NEXT = {
    400: "nobody", 401: "key", 402: "key", 403: "key", 404: "nobody", 405: "nobody", 408: "provider",
    409: "provider", 413: "nobody", 415: "nobody", 422: "nobody", 429: "key", 451: "nobody", 500: "provider",
    501: "provider", 502: "provider", 503: "provider", 504: "provider", 520: "provider", 529: "provider",
}  # fmt: skip
"""Who is asked after each status, where there is somebody."""
HEADERS = (
    (b"request-id", b"req_of_a"),
    (b"retry-after", b"77"),
    (b"x-should-retry", b"false"),
    (b"anthropic-ratelimit-requests-remaining", b"0"),
    (b"anthropic-never-heard-of", b"1"),
)


def words(status: int) -> bytes:
    """Return an error as a provider may have spelled it."""
    return (
        b'{ "type":"error", "error":{"message":"Od\\u0064 \xe2\x80\xa6", "type":"%b"},'
        b'"n":12345678901234567890}\n' % kind_of(status).encode()
    )


def refusal(status: int) -> Refuses:
    """Return a provider's refusal in its own spelling."""
    return Refuses(status, headers=HEADERS, body=words(status))


def attempts(stack: Stack) -> list[str]:
    """Return which attempts there were."""
    return [f"{attempt.provider}/{attempt.key}" for attempt in stack.told.attempts]


def text(answer: Answer) -> str:
    """Return what an answer says, streamed or not."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        deltas = [event["delta"] for name, event in sse(answer.body) if name == "content_block_delta"]
        return "".join(delta["text"] for delta in deltas)
    return json.loads(answer.body)["content"][0]["text"]


class StatusTests(SynchronousTestCase):
    """Every status, streamed and not: to the same provider's next key, to the next provider, or to nobody."""

    def each(self):
        """Yield every status with what is asked next, streamed and not."""
        for status, following in NEXT.items():
            for stream in (False, True):
                yield status, following, body(stream=stream), f"{status} stream={stream}"

    def assert_passed_on(self, stack: Stack, answer: Answer, status: int, case: str) -> None:
        """Assert that the client got the provider's refusal, and the log says so."""
        self.assertEqual((answer.status, answer.body), (status, words(status)), case)
        self.assertTrue(answer.complete, case)
        for name, value in (*HEADERS, (b"content-type", b"application/json")):
            self.assertEqual(answer.headers[name.decode()], value.decode(), case)
        self.assertEqual(answer.headers["x-ccrelay-request-id"], stack.logged[-1]["id"])
        self.assertEqual((stack.logged[-1]["status"], stack.logged[-1]["upstream_id"]), (status, "req_of_a"))
        self.assertIn(f"a: {status} {kind_of(status)}", stack.why)

    def test_one_provider(self) -> None:
        """Where nobody else is there, the refusal passes byte for byte, with the fields clients go by."""
        for status, _, asked, case in self.each():
            stack = Plain(self, {"a": [refusal(status)]}, keys=ONE_KEY)
            self.assert_passed_on(stack, stack.ask(asked), status, case)
            self.assertEqual(attempts(stack), ["a/first"], case)
            self.assertEqual([line["message"] for line in stack.logged], ["attempt failed", "request"])

    def test_two_providers(self) -> None:
        """What another provider may do better goes there; the client never learns of the failure."""
        for status, following, asked, case in self.each():
            stack = Plain(self, {"a": [refusal(status)], "b": [Says("from b")]}, keys=ONE_KEY)
            answer = stack.ask(asked)
            if following == "nobody":
                self.assert_passed_on(stack, answer, status, case)
                self.assertEqual(stack.asked("b"), [], case)
            else:
                self.assertEqual((answer.status, text(answer)), (200, "from b"), case)
                self.assertNotIn("retry-after", answer.headers, case)
                self.assertEqual(attempts(stack), ["a/first", "b/first"], case)
                self.assertEqual(stack.logged[-1]["tried"], ["a/first", "b/first"])

    def test_two_keys(self) -> None:
        """Only what is the key's fault is tried with the same provider's next key."""
        for status, following, asked, case in self.each():
            stack = Plain(self, {"a": [refusal(status), Says("from a")]}, keys=TWO_KEYS)
            answer = stack.ask(asked)
            shown = [asked.header("x-api-key") for asked in stack.asked("a")]
            if following == "key":
                self.assertEqual((answer.status, text(answer)), (200, "from a"), case)
                self.assertEqual(shown, [KEY, SECOND], case)
            else:
                self.assert_passed_on(stack, answer, status, case)
                self.assertEqual(shown, [KEY], case)

    def test_two_keys_and_two_providers(self) -> None:
        """All keys of a provider come before the next provider, where a key is to blame; else none do."""
        expected = {
            "nobody": ["a/first"],
            "provider": ["a/first", "b/first"],
            "key": ["a/first", "a/second", "b/first"],
        }
        for status, following, asked, case in self.each():
            stack = Plain(self, {"a": [refusal(status)], "b": [Says("from b")]}, keys=TWO_KEYS)
            answer = stack.ask(asked)
            self.assertEqual(attempts(stack), expected[following], case)
            self.assertEqual(answer.status, status if following == "nobody" else 200, case)


class WordsTests(SynchronousTestCase):
    """Refusals that are not in Anthropic's envelope are put into it."""

    def test_a_web_page(self) -> None:
        """A gateway's HTML never reaches the client; its status does, with words for the user."""
        for stream in (False, True):
            page = Sends(
                b"<html>Bad gateway at 10.1.2.3</html>", status=502, headers=((b"retry-after", b"3"),)
            )
            stack = Plain(self, {"a": [page]})
            answer = stack.ask(body(stream=stream))
            said = json.loads(answer.body)
            self.assertEqual((answer.status, answer.headers["content-type"]), (502, "application/json"))
            self.assertEqual((said["type"], said["error"]["type"]), ("error", "api_error"))
            self.assertIn("answered 502 with text/html instead of an API error", said["error"]["message"])
            self.assertEqual(said["request_id"], answer.headers["x-ccrelay-request-id"])
            self.assertEqual(answer.headers["retry-after"], "3")
            self.assertNotIn("10.1.2.3", json.dumps(said) + "".join(stack.lines))

    def test_other_shapes(self) -> None:
        """The words of another API's error are kept, under Anthropic's type for the status."""
        for shape in (
            b'{"error":{"message":"No such thing"}}', b'{"error":"No such thing"}',
            b'{"message":"No such thing"}', b'[{"error":{"code":7,"message":"No such thing"}}]',
        ):  # fmt: skip
            stack = Plain(self, {"a": [Refuses(422, body=shape)]})
            answer = stack.ask()
            self.assertEqual(answer.status, 422)
            error = {"type": "invalid_request_error", "message": "No such thing"}
            self.assertEqual(json.loads(answer.body)["error"], error)

    def test_no_words(self) -> None:
        """A refusal without a body is put into words as well."""
        for status in (403, 429, 503, 529):
            stack = Plain(self, {"a": [Sends(b"", "", status)]})
            answer = stack.ask()
            self.assertEqual(answer.status, status)
            error = json.loads(answer.body)["error"]
            self.assertEqual(error["type"], kind_of(status))
            self.assertIn(f"answered {status} with no body", error["message"])

    def test_a_long_body(self) -> None:
        """Of an endless refusal no more than 64 KiB is read, and its status is passed on."""
        stack = Plain(self, {"a": [Sends(b"x" * 3_000_000, "text/plain", 500)]})
        answer = stack.ask()
        self.assertEqual(answer.status, 500)
        self.assertLess(len(answer.body), 1000)


class NotFoundTests(SynchronousTestCase):
    """A model that a provider does not know."""

    MAPPED = {"providers": {"a": {"model_mapping": {"claude-*": "their-own-name"}}}}  # noqa: RUF012

    def test_mapped(self) -> None:
        """Where the model was mapped the mapping is to blame: the next provider is asked."""
        stack = Plain(self, {"a": [refusal(404)], "b": [Says("from b")]}, self.MAPPED)
        self.assertEqual(text(stack.ask()), "from b")
        self.assertEqual([asked.model for asked in (*stack.asked("a"), *stack.asked("b"))],
                         ["their-own-name", "claude-sonnet-4-5"])  # fmt: skip
        self.assertEqual(stack.logged[0]["model_sent"], "their-own-name")

    def test_mapped_without_another(self) -> None:
        """Where nobody else is there the provider's own 404 is the answer."""
        stack = Plain(self, {"a": [refusal(404)]}, self.MAPPED)
        answer = stack.ask(body(stream=True))
        self.assertEqual((answer.status, answer.body), (404, words(404)))


class RedirectTests(SynchronousTestCase):
    """Redirects are neither followed nor passed on."""

    def test_redirects(self) -> None:
        """Nobody is asked whom the configuration does not name, least of all with a key."""
        for status in (300, 301, 302, 303, 304, 307, 308):
            for stream in (False, True):
                away = Sends(b"", "", status, ((b"location", b"http://user:secret@thief/v1/messages"),))
                stack = Plain(self, {"a": [away]})
                thief = Simulator(stack.clock, script=Script([Says("yours")]))
                stack.network.listen("thief", thief.site)
                answer = stack.ask(body(stream=stream))
                said = json.loads(answer.body)["error"]
                self.assertEqual((answer.status, said["type"]), (502, "api_error"))
                self.assertIn(f"answered {status}", said["message"])
                self.assertIn("check its base_url (http://a)", said["message"])
                self.assertNotIn("location", answer.headers)
                self.assertEqual(thief.count, 0)

    def test_the_next_provider(self) -> None:
        """A provider that redirects has failed."""
        stack = Plain(self, {"a": [Sends(b"", "", 307)], "b": [Says("from b")]})
        self.assertEqual(text(stack.ask()), "from b")
        self.assertEqual(stack.logged[0]["status"], 307)


class RowTests(SynchronousTestCase):
    """Failures that follow each other."""

    def test_several_in_a_row(self) -> None:
        """One failure after the other is passed over until somebody answers; the client sees that alone."""
        acts = {"a": [refusal(429)], "b": [refusal(529)], "c": [Sends(b"<html>")], "d": [Says("from d")]}
        for stream in (False, True):
            stack = Plain(self, acts)
            answer = stack.ask(body(stream=stream))
            self.assertEqual((answer.status, text(answer)), (200, "from d"))
            verdicts = [attempt.verdict.value for attempt in stack.told.attempts]
            self.assertEqual(verdicts, ["key", "busy", "broken", "ok"])
            self.assertEqual((stack.why, stack.logged[-1]["attempts"]), ("complete", 4))

    def test_one_request_after_another(self) -> None:
        """What failed for one request is asked again by the next: nothing is held against a provider."""
        stack = Plain(self, {"a": [refusal(500), refusal(529), Says("from a")], "b": [Says("from b")]})
        self.assertEqual([text(stack.ask()) for _ in range(3)], ["from b", "from b", "from a"])

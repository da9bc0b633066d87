"""Bodies of many megabytes, which are read in steps so that others need not wait for all of it."""

from __future__ import annotations

import json

from tests.network import http_request
from tests.stack import HEADERS, Stack, body
from tests.web.stage import DoorTestCase

SAID = [
    {"role": "user", "content": [{"type": "text", "text": "some words " * 90}]},
    {"role": "assistant", "content": [{"type": "text", "text": "other words " * 90}]},
]
LONG = body(messages=SAID * 5000)


class LongBodyTests(DoorTestCase):
    """A body of over 8 MB."""

    def setUp(self) -> None:
        """Have all of it come but the last byte."""
        self.stack = Stack(self, {"a": []})
        self.peer = self.stack.connect()
        self.peer.send(http_request("POST", "/v1/messages", HEADERS, LONG)[:-1])
        self.stack.go()

    def sent(self) -> list[int]:
        """Return the lengths of what the provider was sent."""
        return [len(asked.body) for asked in self.stack.asked("a")]

    def test_it_is_passed_on(self) -> None:
        """It arrives as the client wrote it."""
        self.peer.send(LONG[-1:])
        self.stack.go(60)
        self.assertEqual(self.stack.answer(self.peer).status, 200)
        self.assertEqual(self.sent(), [len(LONG)])
        self.assertTrue(self.stack.asked("a")[0].body == LONG, "it was changed on its way")

    def test_others_are_not_held_up(self) -> None:
        """Who asks when the last byte has come is answered before a provider is asked."""
        other = self.stack.connect()
        made_by_then: list[list[str]] = []

        def hear(data: bytes) -> None:
            self.assertIn(b"200 OK", data)
            made_by_then.append([made.name for made in self.stack.network.connections if made.name == "a"])

        self.patch(other, "dataReceived", hear)
        self.peer.send(LONG[-1:])
        other.send(http_request("GET", "/health", HEADERS))
        self.stack.go(60)
        self.assertEqual(made_by_then, [[]])
        self.assertEqual(self.sent(), [len(LONG)])

    def test_what_is_no_request_is_refused(self) -> None:
        """One that is no JSON is refused as a short one is, and so is one without messages."""
        self.peer.send(b"!")
        self.stack.go(60)
        answer = self.stack.answer(self.peer)
        message = json.loads(answer.body)["error"]["message"]
        self.assertRegex(message, "^The request body is not valid JSON")
        self.assert_refused(self.stack, answer, 400, "invalid_request_error", message)
        answer = self.stack.ask(json.dumps({"model": "m", "text": "x" * len(LONG)}).encode())
        self.assert_refused(self.stack, answer, 400, "invalid_request_error", "messages: Field required")
        self.assertEqual(self.sent(), [])

    def test_a_client_that_leaves_meanwhile(self) -> None:
        """Nothing is asked for a client that has gone before all of it was read."""
        self.peer.send(LONG[-1:])
        self.peer.reset()
        self.stack.go(60)
        self.assertEqual((self.sent(), self.stack.why), ([], "client left"))

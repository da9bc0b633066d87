"""Faults of the relay's own: the client hears of it, the log tells where, and nothing else suffers."""

from __future__ import annotations

import json

from ccrelay.simulator.acts import Says
from tests.network import http_request
from tests.stack import HEADERS, Stack, body
from tests.web.stage import DoorTestCase

PROMPT = "a very private question"


class FaultTests(DoorTestCase):
    """What a bug costs."""

    def test_a_bug(self) -> None:
        """A bug is a 500 with the id under which the log has its traceback, and no word of the prompt."""
        stack = Stack(self, {"a": [Says("x")]}, {"server": {"max_concurrent": 1}})
        well, stack.serving.relay.upstreams = stack.serving.relay.upstreams, None
        asked = body(messages=[{"role": "user", "content": PROMPT}])
        peer = stack.send(asked)
        answer = stack.answer(peer)
        self.assertEqual([type(fault.value) for fault in self.flushLoggedErrors()], [AttributeError])
        request_id = answer.headers["x-ccrelay-request-id"]
        said = f"ccrelay itself failed; its log tells why under the id {request_id}."
        self.assertEqual(answer.status, 500)
        self.assertEqual(json.loads(answer.body)["error"], {"type": "api_error", "message": said})
        self.assertEqual(stack.why, "fault in ccrelay: AttributeError")
        told = [line for line in map(json.loads, stack.lines) if "traceback" in line]
        self.assertEqual([line["message"] for line in told], [f"fault in ccrelay while serving {request_id}"])
        self.assertIn("relay.py", told[0]["traceback"])
        self.assertNotIn(PROMPT, "".join(stack.lines))
        stack.serving.relay.upstreams = well
        peer.send(http_request("POST", "/v1/messages", HEADERS, asked))
        stack.go()
        self.assertEqual((stack.logged[-1]["status"], len(stack.in_flight)), (200, 0))

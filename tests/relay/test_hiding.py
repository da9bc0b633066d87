"""The rules of what is taken out of errors in streams: secrets, and nothing else."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Sends
from ccrelay.wire.sse import render
from tests.stack import KEY, Stack, body

BEGUN = b"".join(
    render(json.loads(data)["type"].encode(), data)
    for data in (
        b'{"type":"message_start","message":{"id":"m","usage":{"input_tokens":1,"output_tokens":1}}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
    )
)
SHAPES = (
    b'{"type":"error","error":{"type":"1302","message":"slow down"},"request_id":"r"}',
    b'{"error":{"code":"1302","message":"[1302][slow down]"}, "n":1e400}',
    b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    b"not JSON",
)


class EventTests(SynchronousTestCase):
    """Errors that come after content."""

    def answer(self, kind: str, event: bytes) -> bytes:
        """Return the body of an answer that ends with an error."""
        stack = Stack(
            self, {"a": [Sends(BEGUN + event, "text/event-stream")]}, {"providers": {"a": {"type": kind}}}
        )
        return stack.ask(body(stream=True)).body

    def test_bytes_are_unchanged(self) -> None:
        """Whatever a provider's error looks like, and whatever its codes mean, the client gets its bytes."""
        for kind in ("anthropic", "zai", "minimax"):
            for data in SHAPES:
                event = render(b"error", data)
                self.assertEqual(self.answer(kind, event), BEGUN + event, (kind, data))

    def test_our_key(self) -> None:
        """A key that is repeated in it is hidden, and no other byte changes."""
        event = render(
            b"error", b'{"type":"error", "error":{"type":"api_error","message":"key %b"}}' % KEY.encode()
        )
        told = self.answer("zai", event)
        self.assertNotIn(KEY.encode(), told)
        self.assertEqual(told, (BEGUN + event).replace(KEY.encode(), b"\xe2\x80\xa6" + KEY[-4:].encode()))

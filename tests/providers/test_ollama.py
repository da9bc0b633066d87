"""The rules of what Ollama leaves out, and what it cannot take."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Malformed
from ccrelay.policy.verdict import Verdict
from ccrelay.providers.interfaces import Stage
from ccrelay.providers.ollama import Ollama
from ccrelay.wire.http import ResponseHead
from ccrelay.wire.request import MessagesRequest
from tests.providers.streams import CUT, fed
from tests.wire.json_bytes import VALUES

URL_IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "url"}}

# As Ollama writes it: no stop_reason, no stop_sequence (docs/wire.md, Ollama).
START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
    b'"role":"assistant","model":"qwen3","content":[],"usage":{"input_tokens":9,"output_tokens":0}}}\n\n'
)
BARE_START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","content":null}}\n\n'
)
REST = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0, "n":1.10}\n\n'
    b": a comment\n\n"
    b'event: message_delta\ndata: {"type":"message_delta",\ndata: "usage":{"output_tokens":4}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)


def request(*content: Any, **more: Any) -> MessagesRequest:
    """Return a request with one message."""
    body = {"model": "qwen3", "messages": [{"role": "user", "content": list(content)}], **more}
    return MessagesRequest.parse(json.dumps(body).encode())


class ImageTests(SynchronousTestCase):
    """Ollama fetches nothing."""

    def setUp(self) -> None:
        """Make the provider."""
        self.ollama = Ollama("http://127.0.0.1:11434")

    def test_an_image_with_a_url(self) -> None:
        """An image that would have to be fetched is refused at once, in words that say what to send."""
        refused = self.assertRaises(Malformed, self.ollama.compose, request(URL_IMAGE), (), b"")
        self.assertEqual((refused.status, refused.kind), (400, "invalid_request_error"))
        self.assertIn("base64", refused.message)
        self.assertIn("media_type", refused.message)

    def test_an_image_in_a_tools_result(self) -> None:
        """It makes no difference how deep in results of tools such an image is."""
        result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text"}, URL_IMAGE]}
        nested = {"type": "tool_result", "tool_use_id": "t", "content": [result]}
        for block in (result, nested):
            self.assertRaises(Malformed, self.ollama.compose, request({"type": "text"}, block), (), b"")

    def test_whatever_the_order_of_its_keys(self) -> None:
        """An image is one, however it is written."""
        body = (
            b'{"messages":[{"content":[{"source":{"url":"x","type" : "url"} ,"type":"image"}]}],"model":"m"}'
        )
        self.assertRaises(Malformed, self.ollama.compose, MessagesRequest.parse(body), (), b"")

    def test_what_is_no_such_image(self) -> None:
        """Base64, documents, and JSON of tools that only looks like an image go on untouched."""
        call = {"type": "tool_use", "id": "t", "name": "draw", "input": {"a": URL_IMAGE}}
        document = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
        schema = {"name": "draw", "input_schema": {"default": URL_IMAGE}}
        for asked in (request(IMAGE), request(call), request(document), request(tools=[schema])):
            self.assertIs(self.ollama.compose(asked, (), b"").body, asked.body)

    def test_words_about_urls(self) -> None:
        """A text that quotes such an image is a text."""
        asked = request({"type": "text", "text": json.dumps(URL_IMAGE)})
        self.assertIs(self.ollama.compose(asked, (), b"").body, asked.body)

    def test_what_cannot_be_read_is_ollamas_to_refuse(self) -> None:
        """JSON that is at its edge, or over it, is sent on rather than failing here."""
        for more in (b'"x":1e999', b'"x":"\xff"', b'"x":' + b"[" * 500 + b"]" * 500):
            body = b'{"model":"m","messages":[[1e999],"\xff"],"url":"url",' + more + b"}"
            asked = MessagesRequest(body, "m", stream=False, session="")
            self.assertIs(self.ollama.compose(asked, (), b"").body, body)

    @given(VALUES)
    def test_any_content(self, content: Any) -> None:
        """Whatever stands where messages should be, nothing breaks over it."""
        body = json.dumps({"model": "m", "messages": [content, {"content": content}], "url": "url"}).encode()
        self.assertIs(self.ollama.compose(MessagesRequest(body, "m", False, ""), (), b"").body, body)


class MessageTests(SynchronousTestCase):
    """A whole answer."""

    def setUp(self) -> None:
        """Make the provider."""
        self.ollama = Ollama("http://127.0.0.1:11434")

    def test_null_content(self) -> None:
        """An answer that says nothing has an empty list for its content; no other byte is changed."""
        self.assertEqual(
            self.ollama.message(b'{"type":"message", "content" : null ,"n":1.10}'),
            b'{"type":"message", "content" : [] ,"n":1.10}',
        )

    def test_other_answers(self) -> None:
        """What has content, and what has none at all, goes on as it is; a null further down is no matter."""
        for body in (
            b'{"type":"message","content":[{"content":null}]}',
            b'{"type":"message","content":[]}',
            b'{"type":"message"}',
        ):
            self.assertEqual(self.ollama.message(body), body)

    def test_what_nobody_can_read(self) -> None:
        """An answer that says two things of its content, or is no text, is no message."""
        for body in (
            b'{"type":"message","content":null,"content":null}',
            b'{"type":"message","content":\xff}',
        ):
            self.assertIsNone(self.ollama.message(body))


class StartTests(SynchronousTestCase):
    """A streamed answer."""

    def said(self, out: bytes) -> dict[str, Any]:
        """Return the message in the C{message_start} that comes first, and see that nothing else changed."""
        start, _, rest = out.partition(b"\n\n")
        self.assertEqual(rest, REST)
        name, data = start.split(b"\n")
        self.assertEqual(name, b"event: message_start")
        return json.loads(data.removeprefix(b"data: "))["message"]

    @given(CUT(START + REST))
    def test_a_start_is_completed(self, pieces: list[bytes]) -> None:
        """However it comes in pieces, the first event has all that SDKs expect, and the rest is untouched."""
        translator = Ollama("http://x").translator()
        message = self.said(b"".join(fed(translator, pieces)))
        self.assertEqual((message["stop_reason"], message["stop_sequence"]), (None, None))
        self.assertEqual(message["usage"], {"input_tokens": 9, "output_tokens": 0})
        self.assertEqual((message["id"], message["model"]), ("msg_1", "qwen3"))
        self.assertEqual(translator.stage, Stage.STOPPED)
        self.assertEqual((translator.usage.input, translator.usage.output), (9, 4))

    @given(CUT(b": hello\n\nevent: ping\ndata: {}\n\n" + BARE_START + REST))
    def test_a_start_with_hardly_anything(self, pieces: list[bytes]) -> None:
        """A start without usage and content is completed too, also behind pings."""
        out = b"".join(fed(Ollama("http://x").translator(), pieces))
        quiet = b": hello\n\nevent: ping\ndata: {}\n\n"
        self.assertTrue(out.startswith(quiet))
        message = self.said(out.removeprefix(quiet))
        self.assertEqual(message["content"], [])
        self.assertEqual(message["usage"], {"input_tokens": 0, "output_tokens": 0})

    def test_line_ends_stay(self) -> None:
        """A stream with CR LF keeps them, in the completed event as well."""
        stream = (START + REST).replace(b"\n", b"\r\n")
        out = Ollama("http://x").translator().feed(stream)
        self.assertIn(b'"stop_reason":null', out)
        self.assertEqual(out.count(b"\r\n"), stream.count(b"\n"))
        self.assertEqual(out.partition(b"\r\n\r\n")[2], stream.partition(b"\r\n\r\n")[2])

    def test_a_start_that_cannot_be_read(self) -> None:
        """A start that is no JSON, or no message, goes on as it is."""
        for data in (b"", b"{", b'"\xff"', b"[]", b'{"message":[]}', b'{"message":{"usage":[1]}, "x":1e999}'):
            event = b"event: message_start\ndata: " + data + b"\n\n"
            self.assertEqual(Ollama("http://x").translator().feed(event), event)

    def test_what_is_there_is_not_touched(self) -> None:
        """A start in which nothing is missing goes on byte for byte, however it is written."""
        event = (
            b'event: message_start\ndata: {"message" : {"content":[ ],"stop_reason":null,'
            b'"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1,"cache_read_input_tokens":2}}}\n\n'
        )
        self.assertEqual(Ollama("http://x").translator().feed(event), event)


class BusyTests(SynchronousTestCase):
    """A full queue."""

    def test_a_full_queue_is_an_overload(self) -> None:
        """A 503 says that the queue is full: another provider may take it, and the client hears 529."""
        for body in (b"", b'{"error":"server busy, please try again"}', b"<html>"):
            complaint = Ollama("http://x").classify(ResponseHead(503, ()), body, 0.0, mapped=False)
            self.assertEqual((complaint.verdict, complaint.status), (Verdict.BUSY, 529))
            self.assertEqual(complaint.kind, "overloaded_error")
            self.assertIn("busy", complaint.message)
            self.assertEqual(complaint.barred_for, 0)

    @given(st.sampled_from([400, 404, 500, 502]))
    def test_other_failures_are_not(self, status: int) -> None:
        """Any other refusal means what it means anywhere."""
        complaint = Ollama("http://x").classify(
            ResponseHead(status, ()), b'{"error":"no"}', 0.0, mapped=False
        )
        self.assertEqual((complaint.status, complaint.message), (status, "no"))
        self.assertIsNot(complaint.verdict, Verdict.BUSY)


class ProbeTests(SynchronousTestCase):
    """What a probe asks."""

    def test_the_version(self) -> None:
        """The cheapest request of an Ollama is its version, which loads no model."""
        self.assertEqual(Ollama("http://127.0.0.1:11434").probe().url, "http://127.0.0.1:11434/api/version")

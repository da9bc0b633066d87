"""The rules of errors as JSON: written in Anthropic's envelope, read in whatever shape they come."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.error_json import NO_WORDS, envelope, error_event, kind_of, read_error
from ccrelay.wire.sse import EventReader, events

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


class KindTests(SynchronousTestCase):
    """Which error type goes with a status."""

    def test_the_documented_statuses(self) -> None:
        """Each status that Anthropic documents has Anthropic's type."""
        for status, kind in (
            (400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"),
            (404, "not_found_error"), (413, "request_too_large"), (429, "rate_limit_error"),
            (500, "api_error"), (504, "timeout_error"), (529, "overloaded_error"),
        ):  # fmt: skip
            self.assertEqual(kind_of(status), kind)

    @given(st.integers(400, 599))
    def test_every_status_has_one(self, status: int) -> None:
        """An unknown status is the client's fault below 500 and the server's from there."""
        self.assertTrue(kind_of(status).isidentifier())
        if status in (418, 499):
            self.assertEqual(kind_of(status), "invalid_request_error")
        if status in (502, 599):
            self.assertEqual(kind_of(status), "api_error")


class WritingTests(SynchronousTestCase):
    """What the client gets."""

    @given(TEXT, TEXT, TEXT)
    def test_an_envelope_says_what_was_put_in(self, kind: str, message: str, request_id: str) -> None:
        """Type, words and request id come through as they are."""
        self.assertEqual(
            json.loads(envelope(kind, message, request_id)),
            {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id},
        )

    @given(TEXT)
    def test_an_error_event_is_one_event(self, message: str) -> None:
        """Whatever the words are, line ends too, the event is whole and named C{error}."""
        reader = EventReader()
        ((name, data),) = events(reader.feed(error_event("api_error", message, "req_1")))
        self.assertEqual((name, reader.tail), (b"error", b""))
        self.assertEqual(data, envelope("api_error", message, "req_1"))

    def test_words_with_bytes_that_are_no_text(self) -> None:
        """A path that is not UTF-8 may stand in the words; the error is sent all the same."""
        said = json.loads(envelope("api_error", b"/etc/\xff".decode("utf-8", "surrogateescape"), "req_1"))
        self.assertIn("/etc/", said["error"]["message"])


class ReadingTests(SynchronousTestCase):
    """What providers say."""

    @given(TEXT.filter(bool), TEXT)
    def test_our_own_envelope_is_known(self, kind: str, message: str) -> None:
        """What is written as an envelope is read as one."""
        read = read_error(envelope(kind, message, "req_1"))
        self.assertEqual((read.enveloped, read.kind, read.message, read.code), (True, kind, message, ""))

    def test_shapes_from_the_field(self) -> None:
        """The error is found in each shape that providers and the proxies before them use."""
        for body, enveloped, kind, code, message in (
            (b'{"error":{"code":"1302","message":"slow"},"request_id":"r"}', False, "", "1302", "slow"),
            (b'{"type":"error","error":{"type":"1308","message":"full"}}', True, "1308", "", "full"),
            (b'{"error":"no such model"}', False, "", "", "no such model"),
            (b'{"message":"Too many requests"}', False, "", "", "Too many requests"),
            (b'{"error":{"code":401,"message":"who?","status":"UNAUTHENTICATED"}}', False, "", "401", "who?"),
            (b'[{"error":{"code":429,"message":"quota"}}]', False, "", "429", "quota"),
            (b'{"type":"error","error":{"message":"m"}}', False, "", "", "m"),
            (b'{"type":"error","error":{"type":"t"}}', False, "t", "", ""),
            (b'{"type":"error","error":"m"}', False, "", "", "m"),
        ):
            read = read_error(body)
            found = (read.enveloped, read.kind, read.code, read.message)
            self.assertEqual(found, (enveloped, kind, code, message))

    def test_what_is_no_error_has_no_words(self) -> None:
        """HTML, nothing, lists, broken bytes and nesting without end say nothing and do no harm."""
        for body in (
            b"",
            b"<html>",
            b"[]",
            b"[1,2]",
            b"7",
            b'{"error":"\xff"}',
            b"[" * 9000 + b"]" * 9000,
            b"{}",
        ):
            self.assertEqual(read_error(body), NO_WORDS)

    @given(st.binary(max_size=80))
    def test_any_body_can_be_read(self, body: bytes) -> None:
        """No error body makes reading it fail."""
        self.assertIsInstance(read_error(body).message, str)

"""The rules of edits in a JSON object: one value is another, and every other byte is what it was."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Malformed
from ccrelay.wire.splice import spans, with_value
from tests.wire.json_bytes import Written, objects, texts


class SpansTests(SynchronousTestCase):
    """Where the values are."""

    @given(objects("model"))
    def test_a_span_is_the_value_and_nothing_round_it(self, written: Written) -> None:
        """Each key of the object is told with the place of its value, without the space about it."""
        found = {key: written.body[start:end] for key, start, end in spans(written.body)}
        self.assertEqual(found["model"], written.value)
        self.assertEqual(
            list(found.items()),
            [(key, found[key]) for key in json.loads(written.body)],
        )
        for text in found.values():
            self.assertEqual(text, text.strip())
            json.loads(text)

    def test_an_empty_object_has_none(self) -> None:
        """An object without a key has no values."""
        self.assertEqual(list(spans(b" { } ")), [])

    def test_a_key_may_stand_once_only(self) -> None:
        """A body with a key that stands twice is refused, whatever the values: nobody knows which counts."""
        for body in (
            b'{"model":"x","model":"y"}',
            b'{"model":"x","model":"x"}',
            b'{"n":1,"model":"x","m":[],"model":"x"}',
            b'{"n":12,"n":1}',
            b'{"n":1,"n":12}',
            b'{"n":12,"a":0,"n":1}',
            b'{"model":"x","\\u006dodel":"x"}',
        ):
            with self.assertRaises(Malformed, msg=body):
                list(spans(body))

    def test_what_is_no_object_is_refused(self) -> None:
        """A list, broken JSON, a key that is not UTF-8 and nesting without end are the sender's fault."""
        deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        for body in (b"[]", b"", b'{"a":', b'{"a":1}x', b'{"\xff":1}', deep):
            with self.assertRaises(Malformed, msg=body[:20]):
                list(spans(body))


class WithValueTests(SynchronousTestCase):
    """What an edit changes."""

    @given(objects("model"), texts())
    def test_only_that_value_changes(self, written: Written, other: bytes) -> None:
        """An edit replaces the bytes of one value; spacing, escapes, long numbers and nested keys stay."""
        self.assertEqual(with_value(written.body, "model", other), written.before + other + written.after)

    @given(objects("model"))
    def test_the_same_value_changes_nothing(self, written: Written) -> None:
        """A value put in its own place leaves the body as it was."""
        self.assertEqual(with_value(written.body, "model", written.value), written.body)

    @given(objects("a"), st.sampled_from(["model", "messages"]))
    def test_a_key_that_is_not_there_is_not_added(self, written: Written, key: str) -> None:
        """An edit of a key that the object lacks is a KeyError, whatever stands deeper in it."""
        if key in json.loads(written.body):
            return
        with self.assertRaises(KeyError):
            with_value(written.body, key, b"1")

"""The rules of reading a request: little is looked at, refusals are Anthropic's, bytes stay bytes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Malformed
from ccrelay.wire.request import MessagesRequest
from tests.wire.json_bytes import WORDS, Written, objects

NAMES = WORDS.filter(bool)
PARSED = objects("model", NAMES, also=b' "messages" : [{"role":"user","model":"inner"}] ')


def request(**fields: object) -> MessagesRequest:
    """Parse a request of the given fields beside C{model} and C{messages}."""
    return MessagesRequest.parse(json.dumps({"model": "m", "messages": [], **fields}).encode())


class ParseTests(SynchronousTestCase):
    """What is read."""

    @given(PARSED)
    def test_model_and_body_are_as_the_client_wrote_them(self, written: Written) -> None:
        """The model is the top-level one, and the body is kept as it came."""
        try:
            model = json.loads(written.value)
            assert isinstance(model, str)
        except (ValueError, AssertionError):
            with self.assertRaises(Malformed):
                MessagesRequest.parse(written.body)
            return
        parsed = MessagesRequest.parse(written.body)
        self.assertEqual((parsed.model, parsed.body), (model, written.body))

    def test_whether_it_streams(self) -> None:
        """Only C{true} asks for a stream; C{false}, C{null} and silence do not."""
        self.assertTrue(request(stream=True).stream)
        for fields in ({"stream": False}, {"stream": None}, {}):
            self.assertFalse(request(**fields).stream)

    def test_what_nobody_knows_passes(self) -> None:
        """Roles, block types and fields that are new today are the provider's to judge."""
        body = b'{"model":"m","messages":[{"role":"oracle","content":[{"type":"new"}]},7],"new":{"a":1e999}}'
        self.assertEqual(MessagesRequest.parse(body).body, body)

    def test_no_max_tokens_is_needed(self) -> None:
        """Counting tokens goes without C{max_tokens}."""
        self.assertEqual(request().model, "m")

    @given(st.binary(max_size=60) | objects("model").map(lambda written: written.body))
    def test_whatever_comes_is_read_or_refused(self, body: bytes) -> None:
        """No body, however broken, makes anything but a request or an answer with status 400."""
        try:
            self.assertEqual(MessagesRequest.parse(body).body, body)
        except Malformed as refusal:
            self.assertEqual(refusal.status, 400)
            self.assertTrue(refusal.message)

    def test_refusals_are_worded_as_anthropic_words_them(self) -> None:
        """A client that matches on Anthropic's wording finds it."""
        for body, words in (
            (b'{"messages":[]}', "model: Field required"),
            (b'{"model":"m"}', "messages: Field required"),
            (b'{"model":7,"messages":[]}', "model: Input should be a valid string"),
            (b'{"model":null,"messages":[]}', "model: Input should be a valid string"),
            (b'{"model":"\xff","messages":[]}', "model: Input should be a valid string"),
            (b'{"model":"","messages":[]}', "model: String should have 1 to 2048 characters"),
            (
                b'{"model":"%s","messages":[]}' % (b"m" * 2049),
                "model: String should have 1 to 2048 characters",
            ),
            (b'{"model":"m","messages":{}}', "messages: Input should be a valid list"),
            (b'{"model":"m","messages":null}', "messages: Input should be a valid list"),
            (b'{"model":"m","messages":[],"stream":1}', "stream: Input should be a valid boolean"),
            (b'{"model":"m","messages":[],"stream":"true"}', "stream: Input should be a valid boolean"),
        ):
            refusal = self.assertRaises(Malformed, MessagesRequest.parse, body)
            self.assertEqual(refusal.message, words)

    def test_what_is_no_json_object_says_so(self) -> None:
        """A list, broken JSON, and JSON nested without end are told apart from a missing field."""
        for body in (b"[]", b'"model"', b"null"):
            refusal = self.assertRaises(Malformed, MessagesRequest.parse, body)
            self.assertIn("must be a JSON object", refusal.message)
        deep = b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        for body in (b"", b"{", b'{"model":"m","messages":[]', b"<html>", deep):
            refusal = self.assertRaises(Malformed, MessagesRequest.parse, body)
            self.assertIn("is not valid JSON", refusal.message)


class SessionTests(SynchronousTestCase):
    """Which conversation a request belongs to."""

    def test_the_json_of_claude_code(self) -> None:
        """Claude Code sends the session in a JSON string."""
        user = json.dumps({"device_id": "d", "account_uuid": "", "session_id": "0b1c-2d"})
        self.assertEqual(request(metadata={"user_id": user}).session, "0b1c-2d")

    def test_the_suffix_of_older_versions(self) -> None:
        """Older versions put it at the end, after C{_session_}."""
        self.assertEqual(request(metadata={"user_id": "user_1_account__session_0b1c-2d"}).session, "0b1c-2d")

    def test_any_other_user_is_one_conversation(self) -> None:
        """A user id that tells no session stands for it, also where it only looks like JSON."""
        for user in ("somebody", '{"session_id": 7}', "{not json", "a_session_b c"):
            self.assertEqual(request(metadata={"user_id": user}).session, user)

    def test_without_one_there_is_none(self) -> None:
        """Metadata without a user, of another shape, or none at all tells no session."""
        self.assertEqual(request().session, "")
        for metadata in (None, {}, {"user_id": None}, {"user_id": 7}, [1]):
            self.assertEqual(request(metadata=metadata).session, "")
        odd = b'{"model":"m","messages":[],"metadata":{"user_id":"\xff"}}'
        self.assertEqual(MessagesRequest.parse(odd).session, "")


class WithModelTests(SynchronousTestCase):
    """Asking for another model."""

    @given(objects("model", st.just("was"), also=b'"messages":[{"model":"inner"}]'), NAMES)
    def test_only_the_model_changes(self, written: Written, name: str) -> None:
        """The provider gets the client's bytes, but for the value of the one C{model}."""
        if json.loads(written.value) != "was":
            return
        renamed = MessagesRequest.parse(written.body).with_model(name)
        value = written.value if name == "was" else json.dumps(name, ensure_ascii=False).encode()
        self.assertEqual(renamed.model, name)
        self.assertTrue(renamed.body.startswith(written.before))
        self.assertTrue(renamed.body.endswith(written.after))
        middle = renamed.body[len(written.before) : len(renamed.body) - len(written.after)]
        self.assertEqual(json.loads(middle), json.loads(value))

    def test_the_same_model_is_the_same_request(self) -> None:
        """A mapping to the model itself touches nothing, even where a key stands twice."""
        parsed = MessagesRequest.parse(b'{"model":"m","messages":[],"a":1,"a":2}')
        self.assertIs(parsed.with_model("m"), parsed)

    def test_a_model_that_stands_twice_is_not_guessed(self) -> None:
        """A request that names its model twice cannot be sent for another one."""
        for first in ("m", "x"):
            parsed = MessagesRequest.parse(b'{"model":"%s","messages":[],"model":"m"}' % first.encode())
            self.assertRaises(Malformed, parsed.with_model, "other")

    def test_a_key_that_is_not_text_is_refused(self) -> None:
        """A body with a key in another encoding can be passed on, but not changed."""
        parsed = MessagesRequest.parse(b'{"model":"m","messages":[],"\xff":1}')
        self.assertRaises(Malformed, parsed.with_model, "other")

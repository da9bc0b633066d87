"""What every cloud must do that puts the Messages API into an API of its own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ccrelay.errors import Malformed, NotFound
from ccrelay.wire.request import MessagesRequest
from tests.providers.contract import CONVERSATION, PASSING, STAYING, ProviderContract, each
from tests.wire.json_bytes import objects

if TYPE_CHECKING:
    from tests.wire.json_bytes import Written

SMALL = b'{"model":"m","messages":[]}'


class CloudContract(ProviderContract):
    """
    What holds for every kind of provider with the model in its path.

    @cvar version: the C{anthropic_version} of its bodies.
    @cvar keeps: which of C{model} and C{stream} stay in the body.
    """

    version: str
    keeps: tuple[str, ...]

    def body(self, request: MessagesRequest, *headers: tuple[bytes, bytes]) -> bytes:
        """Return the body of a composed request."""
        composed = self.provider.compose(request, headers, b"")
        self.assertIsNotNone(composed.body)
        return composed.body

    @each(objects("model", also=b'"messages":[],"stream":true', value=st.text("abc", min_size=1)))
    def test_only_what_stands_elsewhere_goes(self, written: Written) -> None:
        """Every member stays in its place, byte for byte, but for model, stream and version."""
        body = self.body(MessagesRequest(written.body, "m", stream=True, session=""))
        there, before = json.loads(body), json.loads(written.body)
        self.assertEqual(there.pop("anthropic_version"), self.version)
        for key in {"model", "stream", "anthropic_version"} - set(self.keeps):
            before.pop(key, None)
        self.assertEqual(list(there.items()), list(before.items()))

    def test_nothing_is_added_to_or_taken_from_a_conversation(self) -> None:
        """Unknown fields, ids of tools, parallel calls, schemas and signatures are none of our business."""
        for ascii_only, indent in ((True, None), (False, 1)):
            spelled = json.dumps(CONVERSATION, ensure_ascii=ascii_only, indent=indent)
            body = spelled.replace("Infinity", "1e400").encode()
            composed = self.body(MessagesRequest.parse(body))
            rest = body[body.index(b'"max_tokens"') :]
            self.assertTrue(composed.endswith(rest))
            self.assertEqual(json.loads(composed[: -len(rest)] + b'"x":0}'), {
                "anthropic_version": self.version, "x": 0,
            })  # fmt: skip

    def test_a_version_of_the_clients_is_replaced(self) -> None:
        """The version in the body is the provider's own, once, whatever the client says where."""
        for spelled in (b"", b'"anthropic_version":"2023-06-01",', b'"anthropic\\u005fversion" : 1 ,'):
            body = self.body(
                MessagesRequest.parse(b'{"model":"m",%b"messages":[]}' % spelled),
                (b"anthropic-version", b"2026-10-21"),
            )
            pairs = json.loads(body, object_pairs_hook=list)
            self.assertEqual([value for key, value in pairs if "version" in key], [self.version])

    def test_a_key_that_stands_twice(self) -> None:
        """A body that may mean two things is refused before it reaches a cloud."""
        body = b'{"model":"m","messages":[],"model":"n"}'
        request = MessagesRequest(body, "m", stream=False, session="")
        for compose in (self.provider.compose, self.provider.count):
            self.assertRaises(Malformed, compose, request, (), b"")

    def test_a_model_that_is_no_segment_of_a_path(self) -> None:
        """A name that a server could take for nothing, or for the folder above, is refused."""
        for model in ("", ".", "..", ";x", "..;a=b"):
            request = MessagesRequest(SMALL, model, stream=False, session="")
            refused = self.assertRaises(Malformed, self.provider.compose, request, (), b"")
            self.assertIn("model_mapping", refused.message)

    @each(st.text(min_size=1) | st.just("a\ud800"))
    def test_any_other_model_is_one_segment(self, model: str) -> None:
        """Whatever a model is called, it stays one segment of the path, and ASCII."""
        if model.partition(";")[0] in ("", ".", ".."):
            return
        request = MessagesRequest(SMALL, model, stream=False, session="")
        if re.search("[\ud800-\udfff]", model):
            self.assertRaises(Malformed, self.provider.compose, request, (), b"")
            return
        url = self.provider.compose(request, (), b"").url
        plain = self.provider.compose(MessagesRequest(SMALL, "m", stream=False, session=""), (), b"").url
        self.assertTrue(url.isascii())
        self.assertEqual(url.count("/"), plain.count("/"))
        self.assertNotRegex(url, r"[;?#\s]")

    @each(st.permutations(PASSING + STAYING))
    def test_what_stays_here(self, fields: list[tuple[bytes, bytes]]) -> None:
        """No credential, cookie or address of the client's reaches the cloud, nor its query or version."""
        request = MessagesRequest.parse(SMALL)
        staying = {name for name, _ in STAYING} | {b"anthropic-version"}
        for compose in (self.provider.compose, self.provider.count):
            composed = compose(request, tuple(fields), b"beta=true")
            names = [name for name, _ in composed.headers]
            self.assertEqual(staying & set(names), set())
            self.assertEqual(names.count(b"content-type"), 1)
            self.assertIn((b"user-agent", b"claude-cli/2.1.330 (external, cli)"), composed.headers)
            self.assertNotIn("beta", composed.url)

    def test_a_body_says_what_it_is(self) -> None:
        """A request without a content-type gets one."""
        composed = self.provider.compose(MessagesRequest.parse(SMALL), (), b"")
        self.assertIn((b"content-type", b"application/json"), composed.headers)

    def test_there_is_nothing_else(self) -> None:
        """Models are not listed, and for batches and files the client is sent elsewhere."""
        self.assertIsNone(self.provider.models())
        refused = self.assertRaises(NotFound, self.provider.resource, "POST", "/v1/files", b"", ())
        self.assertIn("routing.account_provider", refused.message)

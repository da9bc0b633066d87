"""What every provider must do that speaks Anthropic's format: the client's own bytes, at its own paths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ccrelay.errors import NotFound
from ccrelay.providers.interfaces import UNDATED, Model
from ccrelay.wire.request import MessagesRequest
from tests.providers.contract import CONVERSATION, PASSING, STAYING, ProviderContract, each
from tests.wire.json_bytes import objects

if TYPE_CHECKING:
    from tests.wire.json_bytes import Written


class FormatContract(ProviderContract):
    """
    What holds for every kind of provider of Anthropic's format.

    @cvar lists: whether it lists its models; C{stores}: whether it has files and batches.
    """

    lists = True
    stores = True

    @each(objects("model", also=b'"messages":[]', value=st.text("abc", min_size=1)))
    def test_the_clients_exact_bytes(self, written: Written) -> None:
        """Whatever JSON the client writes, with whatever spacing and numbers, goes up as it came."""
        request = MessagesRequest(written.body, "m", stream=False, session="")
        for compose in (self.provider.compose, self.provider.count):
            self.assertIs(compose(request, (), b"").body, request.body)

    def test_nothing_is_added_to_or_taken_from_a_conversation(self) -> None:
        """Unknown fields, ids of tools, parallel calls, schemas and signatures are none of our business."""
        for ascii_only, indent in ((True, None), (False, 1)):
            body = json.dumps(CONVERSATION, ensure_ascii=ascii_only, indent=indent)
            body = body.replace("Infinity", "1e400").encode()
            request = MessagesRequest.parse(body)
            self.assertEqual(self.provider.compose(request, (), b"").body, body)

    def test_only_the_model_is_another(self) -> None:
        """Where the model is mapped, only the bytes of its name differ."""
        body = b'{"messages" :[{"model":"m"}], "model"\t: "m" ,"n":1.10}'
        composed = self.provider.compose(MessagesRequest.parse(body).with_model("glm"), (), b"")
        self.assertEqual(composed.body, b'{"messages" :[{"model":"m"}], "model"\t: "glm" ,"n":1.10}')

    @each(st.sampled_from([b"", b"beta=true", b"beta", b"a=b%20c+d&&x=%7e;", b"lifecycle[]=x&y==", b"?"]))
    def test_where_it_goes(self, query: bytes) -> None:
        """A request goes to what the operator wrote, the path behind it and the client's very query."""
        request = MessagesRequest.parse(b'{"model":"m","messages":[]}')
        behind = "?" + query.decode() if query else ""
        for composed, path in (
            (self.provider.compose(request, (), query), "/v1/messages"),
            (self.provider.count(request, (), query), "/v1/messages/count_tokens"),
            *(
                [(self.provider.resource("POST", "/v1/files/a%2Fb", query, ()), "/v1/files/a%2Fb")]
                if self.stores else []
            ),
        ):  # fmt: skip
            self.assertEqual((composed.method, composed.url), ("POST", self.base_url + path + behind))

    @each(st.permutations(PASSING + STAYING))
    def test_header_fields(self, fields: list[tuple[bytes, bytes]]) -> None:
        """What Anthropic's clients say of themselves goes up byte for byte in its order, and nothing else."""
        request = MessagesRequest.parse(b'{"model":"m","messages":[]}')
        expected = tuple(pair for pair in fields if pair in PASSING)
        for composed in (
            self.provider.compose(request, tuple(fields), b""),
            self.provider.count(request, tuple(fields), b""),
            *([self.provider.resource("GET", "/v1/files", b"", tuple(fields))] if self.stores else []),
        ):
            self.assertEqual(composed.headers, expected)

    def test_a_resource_has_no_body_yet(self) -> None:
        """Files and batches stream through: the request for one is only its head; some have none."""
        if not self.stores:
            self.assertRaises(NotFound, self.provider.resource, "DELETE", "/v1/files/x", b"", ())
            return
        composed = self.provider.resource("DELETE", "/v1/files/x", b"", ())
        self.assertEqual((composed.method, composed.body), ("DELETE", None))

    def test_models_are_asked_for(self) -> None:
        """The list of models is asked for without a body, where there is one."""
        asked = self.provider.models()
        if not self.lists:
            self.assertIsNone(asked)
            return
        self.assertIsNotNone(asked)
        self.assertEqual((asked.method, asked.body), ("GET", None))
        self.assertTrue(asked.url.startswith(self.base_url + "/v1/models"))

    def test_models_in_anthropics_shape(self) -> None:
        """Anthropic's list tells id, name and date."""
        body = b'{"data":[{"type":"model","id":"m","display_name":"M","created_at":"2026-01-01T00:00:00Z"}]}'
        self.assertEqual(self.provider.read_models(body), (Model("m", "M", "2026-01-01T00:00:00Z"),))

    def test_models_in_openais_shape(self) -> None:
        """OpenAI's list tells the id alone; the date is a number and means nothing to Anthropic's clients."""
        body = b'{"object":"list","data":[{"id":"qwen3","object":"model","created":1700000000}]}'
        self.assertEqual(self.provider.read_models(body), (Model("qwen3", "qwen3", UNDATED),))

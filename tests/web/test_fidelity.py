"""What a provider gets of a client's request: its bytes, the fields meant for it, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ccrelay.simulator.acts import Says
from tests.network import http_request
from tests.stack import HEADERS, KEY, Plain, body
from tests.web.stage import HOST, JSON, DoorTestCase
from tests.wire.json_bytes import objects

if TYPE_CHECKING:
    from tests.wire.json_bytes import Written

MODEL = "claude-sonnet-4-5"
FRAMING = {b"host", b"content-length", b"accept-encoding", b"x-api-key"}
UP = (
    ("anthropic-version", "2026-10-21"), ("anthropic-beta", "a-2026-01-01,b , c"), ("anthropic-beta", "d"),
    ("anthropic-dangerous-direct-browser-access", "true"), ("anthropic-new-thing", "\xe9;q=1"),
    ("content-type", "application/json; charset=utf-8"), ("accept", "application/json, */*"),
    ("user-agent", "claude-cli/2.1.0 (external, cli)"), ("x-app", "cli"), ("x-stainless-retry-count", "0"),
    ("x-stainless-whatever", "a  b"), ("x-claude-code-session-id", "session-1"),
    ("x-claude-code-new-thing", "1"), ("x-client-request-id", "c-1"),
)  # fmt: skip
NEVER = (
    ("authorization", "Bearer sk-test-of-the-client-0000"), ("x-api-key", "sk-test-of-the-client-0000"),
    ("cookie", "session=private"), ("x-forwarded-for", "10.0.0.1"), ("x-forwarded-host", "relay.example"),
    ("forwarded", "for=10.0.0.1"), ("via", "1.1 proxy"), ("x-real-ip", "10.0.0.1"), ("te", "trailers"),
    ("connection", "keep-alive, x-app"), ("keep-alive", "timeout=5"), ("proxy-authorization", "Basic eDp5"),
    ("x-ccrelay-provider", "b"), ("x-ccrelay-key", "k"), ("accept-encoding", "gzip, br"),
    ("referer", "https://a.example/"), ("x-amz-security-token", "t"), ("api-key", "sk-test-of-azure-0000"),
)  # fmt: skip


class HeaderTests(DoorTestCase):
    """Which of a client's header fields go up."""

    def test_an_open_list_goes_up(self) -> None:
        """What clients of the Messages API send goes up byte for byte, also what nobody knows today."""
        stack = Plain(self, {"a": [Says("x")]})
        self.assertEqual(stack.ask(headers=(HOST, *UP, *NEVER)).status, 200)
        asked = stack.asked("a")[0].headers
        expected = sorted((name.encode(), value.encode("latin-1")) for name, value in UP)
        self.assertEqual(sorted(pair for pair in asked if pair[0] not in FRAMING), expected)

    def test_nothing_else_does(self) -> None:
        """No credential, cookie, forwarding or hop-by-hop field of the client goes up; the key is ours."""
        stack = Plain(self, {"a": [Says("x")]})
        stack.ask(headers=(HOST, *UP, *NEVER))
        asked = stack.asked("a")[0]
        framing = {name.decode(): value.decode() for name, value in asked.headers if name in FRAMING}
        length = str(len(asked.body))
        self.assertEqual(
            framing,
            {"host": "a", "content-length": length, "accept-encoding": "identity", "x-api-key": KEY},
        )
        self.assertNotIn(b"of-the-client", repr(asked.headers).encode())

    def test_the_operators_own(self) -> None:
        """Fields that the operator adds for a provider take the place of the client's."""
        stack = Plain(self, {"a": [Says("x")]}, headers={"X-Team": "blue", "User-Agent": "relay"})
        stack.ask(headers=(HOST, JSON, ("user-agent", "claude-cli"), ("x-team", "red")))
        asked = stack.asked("a")[0]
        self.assertEqual((asked.header("x-team"), asked.header("user-agent")), ("blue", "relay"))
        self.assertEqual(len([name for name, _ in asked.headers if name == b"user-agent"]), 1)


class BytesTests(DoorTestCase):
    """The body that a provider gets is the client's."""

    def test_the_very_bytes(self) -> None:
        """Where nothing has to change, a provider gets the client's bytes as they are."""
        stack = Plain(self, {"a": [Says("x")]})

        @settings(max_examples=60, deadline=None)
        @given(objects("model", st.just(MODEL), also=b'"messages" :[ ]'))
        def check(written: Written) -> None:
            sent = written.body
            assume(json.loads(sent)["model"] == MODEL)
            self.assertEqual(stack.ask(sent).status, 200)
            self.assertEqual(stack.asked("a")[-1].body, sent)

        check()

    def test_in_whatever_pieces_it_comes(self) -> None:
        """A body that comes in chunks, or byte by byte, goes up whole, with its length."""
        sent = body(system="\N{SNOWMAN}" * 100)
        stack = Plain(self, {"a": [Says("x")]})
        for size in (1, 7, 1000):
            pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            peer = stack.connect()
            peer.send(http_request("POST", "/v1/messages", (*HEADERS, ("transfer-encoding", "chunked"))))
            for at in range(0, len(chunks), 5):
                peer.send(chunks[at : at + 5])
            stack.go()
            self.assertEqual(stack.answer(peer).status, 200)
            asked = stack.asked("a")[-1]
            self.assertEqual((asked.body, asked.header("content-length")), (sent, str(len(sent))))
            self.assertIsNone(asked.header("transfer-encoding"))

    def test_a_mapped_model(self) -> None:
        """With model_mapping only the bytes of the model's value change, wherever else that name stands."""
        mapping = {MODEL: "glm-5 \N{SNOWMAN}", "claude-haiku*": "glm-air"}
        stack = Plain(self, {"a": [Says("x")]}, model_mapping=mapping)
        before = (
            b'{ "max_tokens":12345678901234567890,"metadata":{"model":"claude-sonnet-4-5"},'
            b'\r\n\t"mod\\u0065l" : '
        )
        after = (
            b' ,"messages":[{"role":"user","content":"\\u0041 \\"model\\": \\"claude-sonnet-4-5\\" 1e2"}]}  '
        )
        for asked, sent in (
            (b'"claude-sonnet-4-5"', '"glm-5 \N{SNOWMAN}"'.encode()),
            (b'"claude-sonnet-4\\u002d5"', '"glm-5 \N{SNOWMAN}"'.encode()),
            (b'"claude-haiku-4-5[1m]"', b'"glm-air[1m]"'),
            (b'"claude-opus-4-5"', b'"claude-opus-4-5"'),
        ):
            self.assertEqual(stack.ask(before + asked + after).status, 200)
            self.assertEqual(stack.asked("a")[-1].body, before + sent + after)
        self.assertEqual(
            (stack.logged[2]["model"], stack.logged[2]["model_sent"]), ("claude-haiku-4-5[1m]", "glm-air[1m]")
        )

    def test_a_model_named_twice(self) -> None:
        """Of two models a provider may take either: where one would have to be renamed it is a 400."""
        twice = b'{"model":"claude-sonnet-4-5","messages":[],"model":"claude-sonnet-4-5"}'
        stack = Plain(self, {"a": [Says("x")]}, model_mapping={MODEL: "glm-5"})
        words = "A key stands more than once at the top of the request body; send each key once."
        self.assert_refused(stack, stack.ask(twice), 400, "invalid_request_error", words)
        self.assertEqual(stack.asked("a"), [])

    def test_what_nobody_knows_today(self) -> None:
        """Roles, blocks, fields and versions are the provider's to judge, not the relay's."""
        turns: list[dict[str, Any]] = [
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": [{"type": "hologram", "data": {"x": [1, None]}}]},
            {"role": "user", "content": None},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "s"}]},
        ]
        sent = body(messages=turns, thread={"id": "t"}, tools="some", max_tokens=-1, stream=None)
        stack = Plain(self, {"a": [Says("x")]})
        for version in ("2023-06-01", "2026-10-21", "2031-01-01", None):
            headers = (HOST, JSON) if version is None else (HOST, JSON, ("anthropic-version", version))
            self.assertEqual(stack.ask(sent, headers=headers).status, 200)
            asked = stack.asked("a")[-1]
            self.assertEqual((asked.body, asked.header("anthropic-version")), (sent, version))

"""What every provider and every translator must do: suites that a subclass statement runs over each kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from ccrelay.policy.verdict import Verdict
from ccrelay.providers.interfaces import IProvider, Stage
from ccrelay.providers.registry import provider_of
from ccrelay.wire.error_json import KIND_OF_STATUS, read_error
from ccrelay.wire.http import ResponseHead
from tests.providers.streams import CUT, STREAM, STREAMS, fed, spelled
from tests.wire.json_bytes import WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.trial.unittest import SynchronousTestCase as Base

    from ccrelay.providers.interfaces import ITranslator
else:
    Base = object

NOW = 1_795_521_600.0
JSON = (b"content-type", b"application/json")
DETAILS = st.dictionaries(WORDS, WORDS | st.integers() | st.lists(st.booleans() | st.none(), max_size=3))

PASSING = (
    (b"content-type", b"application/json"),
    (b"accept", b"application/json"),
    (b"user-agent", b"claude-cli/2.1.330 (external, cli)"),
    (b"x-app", b"cli"),
    (b"x-client-request-id", b"1f0d8e9a"),
    (b"x-stainless-timeout", b"NOT_GIVEN"),
    (b"x-stainless-of-tomorrow", b"1"),
    (b"x-claude-code-session-id", b"5e55"),
    (b"x-claude-code-of-tomorrow", b""),
    (b"anthropic-version", b"2026-10-21"),
    (b"anthropic-beta", b"b-2, a-1"),
    (b"anthropic-beta", b"c-3,,of-tomorrow-2027-01-01"),
    (b"anthropic-dangerous-direct-browser-access", b"true"),
    (b"anthropic-of-tomorrow", b"\xff \xe4"),
)
STAYING = tuple(
    (name, b"x")
    for name in (
        b"authorization", b"x-api-key", b"api-key", b"proxy-authorization", b"cookie", b"cookie2",
        b"host", b"origin", b"referer", b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host",
        b"x-forwarded-proto", b"x-real-ip", b"connection", b"keep-alive", b"te", b"trailer", b"upgrade",
        b"transfer-encoding", b"proxy-connection", b"content-length", b"accept-encoding", b"expect",
        b"content-encoding", b"x-ccrelay-request-id", b"x-ccrelay-provider", b"x-of-tomorrow",
    )
)  # fmt: skip

CONVERSATION: dict[str, Any] = {
    "model": "claude-opus-5",
    "max_tokens": 10**30,
    "of_tomorrow": {"z": 1, "a": [1e400, -0.0]},
    "messages": [
        {"role": "system", "content": "later"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "EqQBCkYIBRgCKkD/+=="},
                {"type": "tool_use", "id": "toolu_01/ä", "name": "a", "input": {"url": "x", "n": 1.0}},
                {"type": "tool_use", "id": "toolu_02", "name": "b", "input": {"type": "image"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_02", "content": [{"type": "of_tomorrow"}]},
                {"type": "tool_result", "tool_use_id": "toolu_01/ä", "is_error": True, "content": "no"},
            ],
        },
    ],
    "tools": [
        {"name": "a", "input_schema": {"$ref": "#/x", "type": ["object", "null"], "source": {"type": "url"}}}
    ],
}


def each(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return C{given} for a rule that several suites inherit: what broke it in one is tried in all."""
    inherited = settings(suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow])
    return lambda rule: inherited(given(*strategies)(rule))


def made(kind: str, base_url: str | None = None) -> IProvider:
    """Return a provider as the configuration makes one."""
    return provider_of(
        kind, base_url, None, has_key=True, region="us-east5", project="a-project", resource="a-resource"
    )


class ProviderContract(Base):
    """
    What holds for every kind of provider.

    @cvar kind: its C{type} in the configuration.
    """

    kind: str
    base_url = "https://upstream.test/some/prefix"

    def setUp(self) -> None:
        """Make the provider as the configuration does."""
        self.provider = made(self.kind, self.base_url + "/")

    def classified(self, status: int, body: bytes = b"", *headers: tuple[bytes, bytes], mapped: bool = False):
        """Return the complaint in an answer."""
        return self.provider.classify(ResponseHead(status, headers, len(body)), body, NOW, mapped=mapped)

    def test_it_is_a_provider(self) -> None:
        """It keeps what the interface promises, and is called what the operator wrote."""
        self.assertTrue(verifyObject(IProvider, self.provider))
        self.assertEqual(self.provider.kind, self.kind)
        self.assertEqual(self.provider.base_url, self.base_url)
        self.assertIn(self.provider.scheme, ("x-api-key", "bearer", "none"))

    def test_a_probe_costs_nothing(self) -> None:
        """The probe asks for no answer of a model, and shows no credential of its own."""
        probe = self.provider.probe()
        self.assertTrue(probe.url.startswith(self.base_url + "/"))
        if probe.body is None:
            self.assertIn(probe.method, ("GET", "HEAD"))
            self.assertNotIn("/v1/messages", probe.url)
        else:
            self.assertEqual(probe.method, "POST")
            self.assertRegex(probe.url, "count[-_]tokens")
            self.assertEqual(json.loads(probe.body)["messages"], [{"role": "user", "content": "hi"}])
        names = {name for name, _ in probe.headers}
        self.assertEqual(names & {b"authorization", b"x-api-key", b"api-key", b"cookie"}, set())

    def test_a_count_of_tokens(self) -> None:
        """What is no count of tokens is not taken for one."""
        for body in (b"", b"<html>", b"[]", b"{}", b'{"input_tokens":"9"}', b'{"input_tokens":', b"\xff"):
            self.assertIsNone(self.provider.counted(body), body)

    def test_what_is_no_list_of_models(self) -> None:
        """HTML, errors, broken bytes and nesting without end are no models, and do no harm."""
        deep = b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}"
        for body in (
            b"", b"<html>", b"[]", b"{}", b'{"data":null}', b'{"data":{}}', b'{"data":["m",{},{"id":1}]}',
            b'{"data":"\xff"}', b"\xff", deep,
        ):  # fmt: skip
            self.assertEqual(self.provider.read_models(body), (), body[:30])

    def test_a_message_goes_on_as_it_is(self) -> None:
        """A whole answer is handed on byte for byte, whatever is new in it."""
        for body in (
            b'{"type":"message","content":[{"type":"of_tomorrow","n":1.10}]}',
            b' {"content" : [] , "id":"m", "type" : "message", "x":null}\n',
        ):
            self.assertEqual(self.provider.message(body), body)

    def test_what_is_no_message(self) -> None:
        """HTML, nothing at all, an error and another protocol's answer are no message."""
        for body in (
            b"", b"<html>ok</html>", b"null", b"[]", b'{"type":"error","error":{}}', b'{"type":"mess',
            b"\xff", b'{"object":"chat.completion","choices":[]}', b'{"type":"completion"}',
            b"event: message_start\n\n",
        ):  # fmt: skip
            self.assertIsNone(self.provider.message(body), body)

    @each(st.sampled_from([400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 504]), DETAILS)
    def test_anthropics_errors_pass_byte_for_byte(self, status: int, extra: Any) -> None:
        """An error in Anthropic's envelope goes on as it is, with its status: clients match its words."""
        said = {"type": "of_tomorrow_error", "message": "prompt is too long: 210000 tokens", "details": extra}
        body = json.dumps({"type": "error", "error": said, "request_id": "req_9"}, indent=1).encode()
        complaint = self.classified(status, body, JSON, (b"request-id", b"req_9"))
        self.assertEqual((complaint.status, complaint.kind), (status, "of_tomorrow_error"))
        self.assertIs(complaint.rendered("req_ours"), body)
        self.assertEqual(complaint.headers, (JSON, (b"request-id", b"req_9")))

    @each(st.integers(400, 599), st.sampled_from([
        b"", b"<html>Bad Gateway</html>", b'{"error":"out of it"}', b'{"message":"out of it"}',
        b'{"error":{"message":"out of it"}}', b"\xff\xfe", b'{"type":"error"}',
    ]))  # fmt: skip
    def test_other_errors_are_translated(self, status: int, body: bytes) -> None:
        """Any other refusal reaches the client in Anthropic's envelope, with a fitting type and words."""
        complaint = self.classified(status, body, (b"content-type", b"text/html"))
        said = read_error(complaint.rendered("req_1"))
        self.assertTrue(said.enveloped)
        self.assertEqual(said.kind, complaint.kind)
        self.assertEqual(said.kind, KIND_OF_STATUS.get(
            complaint.status, "invalid_request_error" if complaint.status < 500 else "api_error"
        ))  # fmt: skip
        self.assertTrue(said.message)
        if b"out of it" in body:
            self.assertIn("out of it", said.message)
        self.assertNotIn(b"content-type", [name for name, _ in complaint.headers])
        self.assertIsNot(complaint.verdict, Verdict.OK)

    @each(
        st.integers(400, 599), st.sampled_from([b"", b'{"type":"error","error":{"type":"t","message":"m"}}'])
    )
    def test_what_goes_down_with_an_error(self, status: int, body: bytes) -> None:
        """Request id, waiting time and every field of Anthropic's reach the client; cookies do not."""
        passing = (
            (b"request-id", b"req_1"), (b"x-should-retry", b"true"),
            (b"anthropic-ratelimit-requests-remaining", b"0"), (b"anthropic-of-tomorrow", b"x"),
        )  # fmt: skip
        staying = (
            (b"set-cookie", b"a=b"),
            (b"server", b"x"),
            (b"location", b"x"),
            (b"x-amzn-requestid", b"x"),
        )
        complaint = self.classified(status, body, *staying, *passing)
        self.assertEqual(tuple(p for p in complaint.headers if p[0] != b"retry-after"), passing)
        self.assertIn((b"retry-after", b"7"), self.classified(418, body, (b"retry-after", b"7")).headers)

    @each(
        st.integers(300, 399), st.sampled_from([b"", b'{"type":"error","error":{"type":"t","message":"m"}}'])
    )
    def test_a_redirect_is_never_passed_on(self, status: int, body: bytes) -> None:
        """A 3xx is a wrong address: the client gets a 502 that says so, and never the way to elsewhere."""
        complaint = self.classified(status, body, (b"location", b"http://elsewhere.test/"), JSON)
        self.assertEqual((complaint.status, complaint.kind), (502, "api_error"))
        self.assertIs(complaint.verdict, Verdict.BROKEN)
        self.assertEqual(complaint.headers, ())
        self.assertIn("base_url", complaint.message)
        self.assertNotIn(b"elsewhere", complaint.rendered("req_1"))

    def test_an_overload(self) -> None:
        """A 529 stays a 529 and is the provider's: neither the key's nor the client's."""
        body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
        complaint = self.classified(529, body, JSON)
        self.assertEqual((complaint.verdict, complaint.status), (Verdict.BUSY, 529))
        self.assertEqual(complaint.kind, "overloaded_error")

    def test_a_mapped_model_that_is_not_there(self) -> None:
        """A 404 is final only where the client itself chose the name of the model."""
        body = b'{"type":"error","error":{"type":"not_found_error","message":"model: x"}}'
        self.assertIs(self.classified(404, body).verdict, Verdict.CLIENT)
        self.assertIs(self.classified(404, body, mapped=True).verdict, Verdict.BROKEN)

    def test_credit(self) -> None:
        """A key without credit is left alone for an hour; a key that is only limited is not."""
        body = b'{"type":"error","error":{"type":"x","message":"Your credit balance is too low"}}'
        self.assertEqual(self.classified(400, body).barred_for, 3600)
        self.assertEqual(self.classified(402, b"{}").barred_for, 3600)
        self.assertEqual(self.classified(429, b"{}").barred_for, 0)

    def test_an_error_as_the_first_event(self) -> None:
        """A stream that begins with an error is judged like an answer of that status."""
        for kind, status, verdict in (
            ("overloaded_error", 529, Verdict.BUSY),
            ("rate_limit_error", 429, Verdict.KEY),
            ("authentication_error", 401, Verdict.KEY),
            ("invalid_request_error", 400, Verdict.CLIENT),
            ("api_error", 500, Verdict.BROKEN),
            ("timeout_error", 504, Verdict.BROKEN),
            ("of_tomorrow_error", 500, Verdict.BROKEN),
        ):
            data = b'{"type":"error","error":{"type":"%s","message":"m"}}' % kind.encode()
            complaint = self.provider.classify_event(read_error(data), data, NOW)
            self.assertEqual((complaint.verdict, complaint.status), (verdict, status), kind)
            self.assertEqual(read_error(complaint.rendered("req_1")).kind, kind)

    def test_a_first_event_without_words(self) -> None:
        """An error event that is none of Anthropic's, even one that is no JSON, is the provider's failure."""
        for data in (b"", b"oops", b'{"error":"oops"}', b"\xff"):
            complaint = self.provider.classify_event(read_error(data), data, NOW)
            self.assertEqual((complaint.verdict, complaint.status), (Verdict.BROKEN, 500))
            self.assertTrue(read_error(complaint.rendered("req_1")).enveloped)


class TranslatorContract(Base):
    """What holds for the translator of every kind of provider that speaks Anthropic's format."""

    def translator(self) -> ITranslator:
        """Return a fresh one."""
        raise NotImplementedError

    @each(STREAMS, st.data())
    def test_the_very_bytes(self, stream: bytes, data: st.DataObject) -> None:
        """However a stream comes in pieces, its whole events reach the client unchanged and in order."""
        out = b"".join(fed(self.translator(), data.draw(CUT(stream))))
        self.assertTrue(stream.startswith(out))
        # The LF of a CR LF that was cut in two may wait: it ends nothing.
        self.assertEqual(out.rstrip(b"\n"), spelled(stream).rstrip(b"\n"))

    @each(st.data())
    def test_how_it_is_cut_does_not_matter(self, data: st.DataObject) -> None:
        """Stage, usage and error are the same at the end, whether a stream came at once or byte by byte."""
        stream = data.draw(STREAMS)
        seen = []
        for pieces in ([stream], data.draw(CUT(stream)), [stream[at : at + 1] for at in range(len(stream))]):
            translator = self.translator()
            fed(translator, pieces)
            seen.append((
                translator.stage, translator.usage, translator.error, translator.error_data,
            ))  # fmt: skip
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0], seen[2])

    @each(STREAMS, st.data())
    def test_the_stage_never_goes_down(self, stream: bytes, data: st.DataObject) -> None:
        """What an answer has come to it does not lose, whatever events follow in whatever order."""
        translator = self.translator()
        stages = []
        for piece in data.draw(CUT(stream)):
            translator.feed(piece)
            stages.append(translator.stage)
        self.assertEqual(stages, sorted(stages))

    @each(CUT(STREAM))
    def test_the_ladder_of_stages(self, pieces: list[bytes]) -> None:
        """What was handed on so far tells the stage."""
        translator = self.translator()
        out = b""
        for piece in pieces:
            out += translator.feed(piece)
            expected = (
                Stage.STOPPED if b"event: message_stop" in out
                else Stage.CONTENT if b"event: content_block_start" in out
                else Stage.STARTED if b"event: message_start" in out
                else Stage.NOTHING
            )  # fmt: skip
            self.assertEqual(translator.stage, expected)
        self.assertEqual(translator.stage, Stage.STOPPED)

    @each(CUT(STREAM))
    def test_the_cost(self, pieces: list[bytes]) -> None:
        """Tokens are read from the first and from the last report, which replaces the first."""
        translator = self.translator()
        fed(translator, pieces)
        usage = translator.usage
        self.assertEqual((usage.input, usage.output), (25, 15))
        self.assertEqual((usage.cache_read, usage.cache_write), (7, 3))
        self.assertIsNone(translator.error)

    def test_pings_and_comments_are_nothing(self) -> None:
        """Before the answer begins there may be pings and comments; nobody has answered by that."""
        translator = self.translator()
        quiet = b': hello\n\nevent: ping\ndata: {"type": "ping"}\n\n:\n\n'
        self.assertEqual(translator.feed(quiet), quiet)
        self.assertEqual(translator.stage, Stage.NOTHING)

    @each(st.data())
    def test_an_error_first(self, data: st.DataObject) -> None:
        """An error that only pings came before is told as the first, with its type, words and data."""
        stream = (
            b"event: ping\ndata: {}\n\n"
            b'event: error\ndata: {"type":"error","error":{"type":"t","message":"m"}}\n\n'
        )
        translator = self.translator()
        fed(translator, data.draw(CUT(stream)))
        self.assertTrue(translator.error_first)
        self.assertEqual((translator.error.kind, translator.error.message), ("t", "m"))
        self.assertEqual(json.loads(translator.error_data)["error"]["type"], "t")
        self.assertEqual(translator.stage, Stage.NOTHING)

    @each(st.data())
    def test_an_error_before_content(self, data: st.DataObject) -> None:
        """An error right after message_start is as good as the first: somebody else may still answer."""
        begun = STREAM.split(b"\n\n")[0] + b"\n\n"
        error = b'event: error\ndata: {"type":"error","error":{"type":"one","message":"m"}}\n\n'
        translator = self.translator()
        fed(translator, data.draw(CUT(begun + error)))
        self.assertTrue(translator.error_first)

    @each(st.sampled_from([3, 5]), st.data())
    def test_an_error_later(self, events: int, data: st.DataObject) -> None:
        """An error after content is told, but not as the first; a second one changes nothing."""
        begun = b"".join(part + b"\n\n" for part in STREAM.split(b"\n\n")[:events])
        error = b'event: error\ndata: {"type":"error","error":{"type":"%s","message":"m"}}\n\n'
        translator = self.translator()
        fed(translator, data.draw(CUT(begun + error % b"one" + error % b"two")))
        self.assertFalse(translator.error_first)
        self.assertEqual(translator.error.kind, "one")

    def test_an_unknown_event_is_content(self) -> None:
        """An event that nobody knows today reaches the client, and nobody else may be asked after it."""
        translator = self.translator()
        strange = b"event: of_tomorrow\nid: 7\ndata: {\ndata: }\n\n"
        self.assertEqual(translator.feed(strange), strange)
        self.assertEqual(translator.stage, Stage.CONTENT)

    def test_an_event_longer_than_is_held(self) -> None:
        """A huge event goes on in pieces, and what follows it is watched as ever, whatever ends its lines."""
        for end in (b"\n", b"\r\n", b"\r"):
            translator = self.translator()
            translator.feed(end.join([b"event: content_block_delta", b"data: " + b"x" * 70_000]))
            self.assertTrue(translator.split)
            rest = end.join([b"xx", b"", b"event: message_stop", b"data: {}", b"", b""])
            out = translator.feed(rest) + translator.feed(b": later" + end + end)
            self.assertTrue(out.startswith(rest.removesuffix(b"\r")))
            self.assertFalse(translator.split)
            self.assertEqual(translator.stage, Stage.STOPPED)

    def test_the_rest_of_a_long_event_is_no_event(self) -> None:
        """Words behind the cut of a long event, whatever they look like, belong to it."""
        translator = self.translator()
        translator.feed(b"event: content_block_delta\ndata: " + b"x" * 70_000)
        self.assertEqual(translator.feed(b"event: error\n\n"), b"event: error\n\n")
        self.assertIsNone(translator.error)
        translator.feed(b"event: error\ndata: {}\n\n")
        self.assertIsNotNone(translator.error)

    def test_an_unfinished_event_waits(self) -> None:
        """The client never gets half an event that may have to be followed by a ping."""
        translator = self.translator()
        self.assertEqual(translator.feed(b"event: message_start\ndata: {}\n"), b"")
        self.assertFalse(translator.split)
        self.assertEqual(translator.stage, Stage.NOTHING)

    @each(st.binary(max_size=200))
    def test_rubbish(self, rubbish: bytes) -> None:
        """Bytes that are no stream at all go on in their order or wait; reading them never fails."""
        self.assertTrue(rubbish.startswith(self.translator().feed(rubbish)))

"""What a provider's refusal teaches of flags and fields, through the whole relay: one repeat, remembered."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import Verdict
from ccrelay.simulator.acts import Refuses, Says, Streams
from ccrelay.wire.error_json import error_event
from ccrelay.wire.sse import PING
from tests.clouds.rooms import COUNTED, flags, said, vertex
from tests.clouds.test_betas import Room, providers, sent_flags
from tests.network import sse
from tests.relay.test_failover import text
from tests.service.machine import Running
from tests.stack import body

TTL_S = 6 * 3600
KNOWN = "context-1m-2025-08-07"
NEW = "never-heard-of-2027-01-01"
NEWER = "nor-of-this-2027-02-02"
NAMED = Refuses(
    400, f"Unexpected value(s) `{NEW}` for the `anthropic-beta` header. Please consult our documentation."
)
UNNAMED = Refuses(
    400, body=b'{"message":"invalid beta flag"}', headers=((b"x-amzn-errortype", b"ValidationException"),)
)
FIELD = Refuses(400, "tools.0.custom.strict: Extra inputs are not permitted")
TOOLS = [{"name": "a", "input_schema": {"type": "object"}, "strict": True, "type": "custom"}]
HELLO = Says("hello")


class RepeatTests(SynchronousTestCase):
    """The repeat."""

    def bodies(self, **fields: Any) -> list[bytes]:
        """Return a request that is streamed and one that is not."""
        return [body(**fields), body(stream=True, **fields)]

    def test_a_flag_by_name(self) -> None:
        """The flag that a refusal names goes, and the others stay; the client sees one answer."""
        for name in ("zai", "vertex", "azure"):
            for content in self.bodies():
                room = Room(self, providers(NAMED, HELLO, names=[name]))
                answer = room.ask(content, headers=flags(NEW, KNOWN))
                self.assertEqual((answer.status, text(answer)), (200, "hello"))
                self.assertEqual([sent_flags(a) for a in room.asked(name)], [(NEW, KNOWN), (KNOWN,)])
                (attempt,) = room.told.attempts
                self.assertEqual((attempt.verdict, attempt.mended), (Verdict.OK, ("betas",)))
                self.assertEqual(attempt.dropped, (NEW,))
        events = [event for event, _ in sse(answer.body)]
        self.assertEqual(events.count("message_start"), 1)

    def test_a_flag_without_a_name(self) -> None:
        """Where none is named, as Bedrock does, all go that are not in its table."""
        room = Room(self, providers(UNNAMED, HELLO, names=["bedrock"]))
        answer = room.ask(headers=flags(NEW, KNOWN, NEWER))
        self.assertEqual((answer.status, text(answer)), (200, "hello"))
        sent = [sent_flags(asked) for asked in room.asked("bedrock")]
        self.assertEqual(sent, [(NEW, KNOWN, NEWER), (KNOWN,)])

    def test_a_field(self) -> None:
        """A field that is named goes with the flag that is for it, and takes nothing else along."""
        for content in self.bodies(tools=TOOLS, metadata={"user_id": "u"}):
            room = Room(self, providers(FIELD, HELLO, names=["azure"]))
            answer = room.ask(content, headers=flags("structured-outputs-2025-11-13", KNOWN))
            self.assertEqual((answer.status, text(answer)), (200, "hello"))
            first, second = room.asked("azure")
            self.assertEqual(first.body, content)
            self.assertEqual(second.body, content.replace(b', "strict": true', b""))
            self.assertEqual(sent_flags(second), (KNOWN,))
            dropped = room.told.attempts[0].dropped
            self.assertEqual(dropped, ("structured-outputs-2025-11-13", "tools[].strict"))

    def test_only_once(self) -> None:
        """A second refusal of another flag is the answer; what it has taught helps the next request."""
        second = Refuses(400, f"Unexpected value(s) `{NEWER}` for the `anthropic-beta` header.")
        room = Room(self, providers(NAMED, second, HELLO, names=["zai"]))
        status, _, words = said(room.ask(headers=flags(NEW, NEWER)))
        self.assertEqual((status, NEWER in words), (400, True))
        self.assertEqual(len(room.asked("zai")), 2)
        self.assertEqual(room.ask(headers=flags(NEW, NEWER, KNOWN)).status, 200)
        self.assertEqual(sent_flags(room.asked("zai")[2]), (KNOWN,))

    def test_nothing_that_could_go(self) -> None:
        """Where the request would be the same it is not repeated: the refusal is the answer."""
        for act, sent in ((UNNAMED, (KNOWN,)), (UNNAMED, ()), (NAMED, (KNOWN,)), (FIELD, (KNOWN,))):
            room = Room(self, providers(act, HELLO, names=["bedrock"]))
            self.assertEqual(room.ask(headers=flags(*sent) if sent else flags("x")[:-1]).status, 400)
            self.assertEqual(len(room.asked("bedrock")), 1)
            self.assertEqual(room.told.attempts[0].mended, ())
            room.ask(headers=flags(NEWER))
            self.assertEqual(sent_flags(room.asked("bedrock")[1]), (NEWER,))

    def test_other_refusals(self) -> None:
        """What is about something else, or is no refusal of the request, is not repeated for this."""
        for act in (
            Refuses(400, "max_tokens: 0 is too few"), Refuses(500, NAMED.message),
            Refuses(429, NAMED.message), Refuses(400, "messages.0.content: Extra inputs are not permitted"),
        ):  # fmt: skip
            room = Room(self, providers(act, HELLO, names=["zai"]))
            self.assertEqual(room.ask(headers=flags(NEW)).status, act.status)
            self.assertEqual(len(room.asked("zai")), 1)

    def test_said_in_a_stream(self) -> None:
        """A refusal that is the first event of a stream is mended likewise; the client sees one answer."""
        said_first = Streams((PING, error_event("invalid_request_error", NAMED.message or "", "r")))
        room = Room(self, providers(said_first, HELLO, names=["zai"]))
        peer = room.send(body(stream=True), headers=flags(NEW, KNOWN))
        self.assertEqual(text(room.answer(peer)), "hello")
        self.assertEqual(room.events(peer).count("message_start"), 1)
        self.assertNotIn("error", room.events(peer))
        self.assertEqual([sent_flags(asked) for asked in room.asked("zai")], [(NEW, KNOWN), (KNOWN,)])

    def test_nobody_else_is_asked(self) -> None:
        """The request is right at the provider that was chosen; another is not asked in its place."""
        room = Room(self, providers(NAMED, HELLO, names=["zai", "anthropic"]))
        self.assertEqual(text(room.ask(headers=flags(NEW))), "hello")
        self.assertEqual(room.asked("anthropic"), [])


class MemoryTests(SynchronousTestCase):
    """What is remembered."""

    def room(self, name: str = "zai", *acts: Any, **fields: Any) -> Room:
        """Return a relay that has learned of a flag."""
        room = Room(self, providers(*(acts or (NAMED, HELLO)), names=[name]), **{name: fields})
        room.ask(headers=flags(NEW, KNOWN))
        return room

    def test_right_at_once(self) -> None:
        """The next request is right at once, and says what it was sent without."""
        room = self.room()
        self.assertEqual(text(room.ask(headers=flags(NEW, KNOWN))), "hello")
        sent = [sent_flags(asked) for asked in room.asked("zai")]
        self.assertEqual(sent, [(NEW, KNOWN), (KNOWN,), (KNOWN,)])
        last = room.told.attempts[-1]
        self.assertEqual((last.dropped, last.mended), ((NEW,), ()))

    def test_for_a_time(self) -> None:
        """After six hours it is tried again."""
        room = self.room()
        for seconds, sent in ((TTL_S - 1, (KNOWN,)), (1, (NEW, KNOWN))):
            room.go(seconds)
            room.ask(headers=flags(NEW, KNOWN))
            self.assertEqual(sent_flags(room.asked("zai")[-1]), sent)

    def test_for_a_model(self) -> None:
        """Another model may take it."""
        room = self.room()
        room.ask(body(model="claude-opus-4-8"), headers=flags(NEW))
        self.assertEqual(sent_flags(room.asked("zai")[-1]), (NEW,))

    def test_for_a_provider(self) -> None:
        """Another provider may take it."""
        room = Room(self, providers(NAMED, HELLO, Refuses(500), names=["zai"]) | {"azure": [HELLO]})
        for _ in range(2):
            self.assertEqual(text(room.ask(headers=flags(NEW))), "hello")
        self.assertEqual(sent_flags(room.asked("azure")[0]), (NEW,))

    def test_anthropic(self) -> None:
        """Anthropic's refusal is the client's to read, unless the operator wants it otherwise."""
        room = self.room("anthropic")
        self.assertEqual([attempt.status for attempt in room.told.attempts], [400])
        self.assertEqual(len(room.asked("anthropic")), 1)
        room = self.room("anthropic", learn_betas=True)
        self.assertEqual(len(room.asked("anthropic")), 2)
        room = self.room("zai", learn_betas=False)
        self.assertEqual(len(room.asked("zai")), 1)

    def test_counting(self) -> None:
        """What is refused in counting goes from there alone; what messages have taught holds for both."""
        room = Room(self, {"vertex": vertex([HELLO], [NAMED, COUNTED])})
        self.assertEqual(room.count(body(), headers=flags(NEW, KNOWN)).body, COUNTED.body)
        room.ask(headers=flags(NEW, KNOWN))
        room.count(body(), headers=flags(NEW, KNOWN))
        sent = [sent_flags(asked) for asked in room.asked("vertex")]
        self.assertEqual(sent, [(NEW, KNOWN), (KNOWN,), (NEW, KNOWN), (KNOWN,)])
        room = Room(self, {"vertex": vertex([NAMED, HELLO])})
        room.ask(headers=flags(NEW, KNOWN))
        room.count(body(), headers=flags(NEW, KNOWN))
        self.assertEqual(sent_flags(room.asked("vertex")[-1]), (KNOWN,))

    def test_the_log(self) -> None:
        """The repeat is told at debug, with what went; no line says that an attempt failed."""
        room = self.room()
        lines = list(map(json.loads, room.lines))
        (adapted,) = [line for line in lines if line["message"] == "request adapted"]
        self.assertEqual((adapted["dropped"], adapted["mended"]), ([NEW], ["betas"]))
        self.assertNotIn("attempt failed", [line["message"] for line in lines])

    def test_a_reload(self) -> None:
        """It outlives a reload, but not a change of where the provider is or of its C{betas}."""
        for change, sent in (({"weight": 7}, (KNOWN,)), ({"betas": {NEW: "allow"}}, (NEW, KNOWN))):
            running = Running(self, {"zai": [NAMED, HELLO]}, {"zai": {"type": "zai"}})
            running.ask(headers=flags(NEW, KNOWN))
            running.providers["zai"] |= change
            running.reload()
            running.ask(headers=flags(NEW, KNOWN))
            self.assertEqual(sent_flags(running.asked("zai")[-1]), sent)

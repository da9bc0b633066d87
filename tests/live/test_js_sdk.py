"""The rules of the relay as Anthropic's JavaScript SDK sees it: as it sees the provider."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SkipTest, TestCase

from ccrelay.relay.events import CLIENT_LEFT
from ccrelay.simulator.acts import Says
from ccrelay.simulator.faults import Stalls
from ccrelay.simulator.messages import signature
from tests.live.acts import ANSWERS, BASH, ERRS, INTERRUPTED, READ, STATUSES, by_model, refuses
from tests.live.relay import LiveRelay, Provider, reactor

FOLDER = Path(__file__).parent / "node"
MANY = 100
AT_ONCE = {"routing": {"max_wait_ms": 0}}  # nothing is repeated in place: what fails is told


class JavaScriptSdkTests(TestCase):
    """The published package, in a process of node's, over loopback."""

    timeout = 60

    def setUp(self) -> None:
        """See that there are node and the package."""
        self.node = shutil.which("node")
        if self.node is None:
            msg = "there is no node here"
            raise SkipTest(msg)
        if not (FOLDER / "node_modules/@anthropic-ai/sdk").is_dir():
            msg = "@anthropic-ai/sdk is not here: sh tests/live/setup-node.sh fetches it"
            raise SkipTest(msg)

    async def ask(self, *words: object) -> Any:
        """Return what the client prints."""
        arguments = [str(FOLDER / "client.mjs"), *map(str, words)]
        out, err, status = await getProcessOutputAndValue(
            self.node, arguments, {"PATH": os.environ["PATH"]}, reactor=reactor
        )
        self.assertEqual((err, status), (b"", 0))
        return json.loads(out)

    def ways(self, acts: Any) -> tuple[str, str]:
        """Return the URLs of a provider and of a relay to one that does the same."""
        return Provider(self, acts).url, LiveRelay(self, Provider(self, acts), AT_ONCE).url

    async def test_answers(self) -> None:
        """Text, thinking and parallel tools are the provider's: whole, as a stream, and event by event."""
        straight, relayed = self.ways(by_model)
        seen = await self.ask("answers", relayed, *ANSWERS)
        self.assertEqual(seen, await self.ask("answers", straight, *ANSWERS))
        for one in seen.values():
            self.assertEqual(one["whole"]["content"], one["gathered"]["content"])
        tools = [block for block in seen["tools"]["whole"]["content"] if block["type"] == "tool_use"]
        self.assertEqual([(tool["name"], tool["input"]) for tool in tools], [("Read", READ), ("Bash", BASH)])
        thought = seen["thinking"]["whole"]["content"][0]
        self.assertEqual(thought["signature"], signature("Let me think about that."))

    async def test_refusals(self) -> None:
        """
        Each error is the exception that it is without the relay, with the provider's words and id.

        Each is asked of a relay of its own, whole and streamed in turn: a refused key is used no more.
        """
        twice = [status for status in STATUSES for _ in range(2)]
        ways = [self.ways([refuses(status)]) for status in twice]
        seen = await self.ask("refusals", *[relayed for _, relayed in ways])
        self.assertEqual(seen, await self.ask("refusals", *[straight for straight, _ in ways]))
        self.assertEqual(
            [(one["status"], one["id"]) for one in seen],
            [(status, f"req_provider_{status}") for status in twice],
        )

    async def test_interrupted(self) -> None:
        """A stream that the provider breaks off raises what it says; what was whole of it was delivered."""
        relay = LiveRelay(self, Provider(self, by_model))
        seen = await self.ask("interrupted", relay.url, *INTERRUPTED)
        self.assertEqual(list(seen), list(INTERRUPTED))
        for one in [one for both in seen.values() for one in both]:
            self.assertEqual(one["text"], "one two th")
            self.assertEqual((one["error"]["name"], one["error"]["type"]), ("APIError", "api_error"))

    async def test_error_event(self) -> None:
        """An error inside a stream is the exception that it is without the relay."""
        straight, relayed = self.ways([ERRS])
        seen = await self.ask("interrupted", relayed, "m")
        there = await self.ask("interrupted", straight, "m")
        self.assertEqual(seen, there)
        self.assertEqual([one["error"]["type"] for one in seen["m"]], ["overloaded_error"] * 2)

    async def test_many(self) -> None:
        """A hundred streams at once are each whole and each its own, and every connection is given back."""
        relay = LiveRelay(self, Provider(self))
        messages = await self.ask("many", relay.url, MANY)
        self.assertEqual(len(messages), MANY)
        for number, message in enumerate(messages):
            self.assertIn(f"number {number} of them", message["content"][0]["text"])
            self.assertEqual(message["stop_reason"], "end_turn")
        await relay.idle()
        one = relay.upstreams["one"].client
        self.assertEqual(one.free, one.limit)

    async def test_client_leaves(self) -> None:
        """A client that breaks off a stream ends it at the provider, too."""
        provider = Provider(self, [Stalls(after_events=4, act=Says("one two", pieces=2))])
        relay = LiveRelay(self, provider)
        self.assertEqual(await self.ask("leave", relay.url), "message_start")
        [asked] = provider.asked
        await asked.ended()
        self.assertTrue(asked.gone)
        await relay.idle()
        self.assertEqual([ended.why for ended in relay.told.requests], [CLIENT_LEFT])

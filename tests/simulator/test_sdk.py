"""The rules as Anthropic's own SDK sees them: what it reads of the simulator is what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from ccrelay.simulator.acts import Says
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.messages import Tool, signature
from ccrelay.simulator.script import Script
from tests.simulator.test_default import EDIT, READ

try:
    import anthropic
except ImportError:
    anthropic = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable


class SdkTests(TestCase):
    """A real client, in a thread, over loopback."""

    def setUp(self) -> None:
        """Listen, and stop in the end."""
        if anthropic is None:
            msg = "the anthropic package is not installed"
            raise SkipTest(msg)
        from twisted.internet import reactor  # noqa: PLC0415  trial installs it

        self.reactor: Any = reactor

    async def with_client(self, script: Script | None, work: Callable[[Any], Any]) -> Any:
        """Return what C{work} makes of a client."""
        self.simulator = Simulator(self.reactor, script=script, pace=0.0)
        port = self.reactor.listenTCP(0, self.simulator.site, interface="127.0.0.1")
        self.addCleanup(self.simulator.disconnect)
        self.addCleanup(port.stopListening)

        def call() -> Any:
            url = f"http://127.0.0.1:{port.getHost().port}"
            with anthropic.Anthropic(base_url=url, api_key="sk-test-simulator", max_retries=0) as client:
                return work(client)

        return await deferToThread(call)

    async def both(self, script: Script | None, text: str = "Hello", **more: Any) -> tuple[Any, Any]:
        """Return the Message that comes whole, and the one that comes as a stream."""
        request = {
            "model": "claude-opus-5-5",
            "max_tokens": 500,
            "messages": [{"role": "user", "content": text}],
            **more,
        }

        def ask(client: Any) -> tuple[Any, Any]:
            with client.messages.stream(**request) as stream:
                streamed = stream.get_final_message()
            return client.messages.create(**request), streamed

        return await self.with_client(script, ask)

    async def test_text(self) -> None:
        """Text is the same in both forms, and so is what it cost."""
        whole, streamed = await self.both(None)
        self.assertIn("ccrelay simulator", whole.content[0].text)
        self.assertEqual([block.text for block in streamed.content], [whole.content[0].text])
        self.assertEqual((whole.stop_reason, streamed.stop_reason), ("end_turn", "end_turn"))
        self.assertEqual(whole.usage.output_tokens, streamed.usage.output_tokens)
        self.assertEqual(whole.usage.input_tokens, streamed.usage.input_tokens)

    async def test_thinking(self) -> None:
        """Thinking comes with its signature."""
        thinking = {"type": "enabled", "budget_tokens": 1024}
        for message in await self.both(None, thinking=thinking):
            self.assertEqual([block.type for block in message.content], ["thinking", "text"])
            self.assertEqual(message.content[0].signature, signature(message.content[0].thinking))

    async def test_parallel_tools(self) -> None:
        """Several tools are called at once, each with the input that its schema wants."""
        for message in await self.both(None, "Please use the tools", tools=[READ, EDIT]):
            calls = [block for block in message.content if block.type == "tool_use"]
            self.assertEqual(
                [(call.name, call.input) for call in calls], [("Read", {"path": "simulated"}), ("Edit", {})]
            )
            self.assertEqual(message.stop_reason, "tool_use")

    async def test_everything_at_once(self) -> None:
        """A script's thinking, text and tools arrive as they were written."""
        tools = (Tool("Read", {"path": "é", "n": [1, None]}), Tool("Bash", {"command": "x" * 99}))
        script = Script([Says("text 😀", thinking="hm", tools=tools, pieces=3)])
        for message in await self.both(script):
            thinking, text, *calls = message.content
            self.assertEqual((thinking.thinking, text.text), ("hm", "text 😀"))
            self.assertEqual([call.input for call in calls], [tool.input for tool in tools])

    async def test_errors(self) -> None:
        """A refusal is the SDK's own exception for it, with the id of the request."""

        def ask(client: Any) -> Any:
            try:
                client.messages.create(
                    model="simulate-429", max_tokens=5, messages=[{"role": "user", "content": "a"}]
                )
            except anthropic.RateLimitError as error:
                return error.request_id, error.response.headers["retry-after"]

        self.assertEqual(await self.with_client(None, ask), ("req_sim_00000001", "2"))

    async def test_an_error_event(self) -> None:
        """An error inside a stream is an error, not an end."""

        def ask(client: Any) -> Any:
            with client.messages.stream(
                model="simulate-error-event", max_tokens=50, messages=[{"role": "user", "content": "a"}]
            ) as stream:
                try:
                    stream.until_done()
                except anthropic.APIStatusError as error:
                    return error.body["error"]["type"]

        self.assertEqual(await self.with_client(None, ask), "overloaded_error")

    async def test_the_rest(self) -> None:
        """Counting tokens and listing models work, too."""

        def ask(client: Any) -> Any:
            count = client.messages.count_tokens(model="m", messages=[{"role": "user", "content": "a" * 400}])
            return count.input_tokens, [model.id for model in client.models.list(limit=4)]

        tokens, models = await self.with_client(None, ask)
        self.assertGreaterEqual(tokens, 100)
        self.assertIn("ccrelay-simulator", models)
        self.assertIn("simulate-slow", models)

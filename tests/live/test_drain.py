"""The rules of SIGTERM: nothing new comes in, what is being answered may end, and then the process ends."""

from twisted.internet.error import ConnectError
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from ccrelay.simulator.acts import Says, Streams
from ccrelay.simulator.steps import Hang
from tests.live.caller import Caller, call
from tests.live.process import TWISTD, RelayProcess, config_file
from tests.live.relay import KEY, Provider, until
from tests.network import sse
from tests.stack import body

LONG = 600_000
START = b'event: message_start\ndata: {"type":"message_start","message":{"usage":{}}}\n\n'
DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{}}\n\n'
ENDLESS = Streams((START, DELTA, Hang()))


class DrainTests(TestCase):
    """`twistd ccrelay`, told to stop."""

    timeout = 60

    async def relay(self, provider: Provider, drain_ms: int) -> tuple[RelayProcess, Caller]:
        """Return a relay that serves, and a client's connection to it."""
        one = f"{{name: one, type: anthropic, base_url: '{provider.url}', keys: [{{key: {KEY}}}]}}"
        server = f"{{listen: '127.0.0.1:0', drain_ms: {drain_ms}}}"
        config = config_file(
            self, f"server: {server}\nlogging: {{format: json}}\nproviders: [{one}]\n"
        )
        relay = RelayProcess(self, TWISTD, "--config", config)
        self.url = await relay.serving()
        return relay, await call(self, self.url)

    async def closes_its_door(self) -> None:
        """Wait until the relay takes no new connection."""
        while True:
            try:
                caller = await call(self, self.url)
            except ConnectError:  # refused, or reset where it waited to be accepted
                return
            caller.reset()
            await caller.end()

    async def test_streams_may_end(self) -> None:
        """After a SIGTERM no connection comes in, and an open stream goes on to its end."""
        clock = Clock()  # the rest of the stream comes when it is advanced
        provider = Provider(self, [Says("and so on", pieces=1, pace=1)], clock)
        relay, caller = await self.relay(provider, LONG)
        caller.ask(body(stream=True))
        await caller.events(1)
        relay.signal("TERM")
        await self.closes_its_door()
        self.assertIsNone(relay.status)
        while not caller.answer.complete:
            clock.advance(1)
            await until(lambda: clock.getDelayedCalls() or caller.answer.complete)
        self.assertEqual(caller.names[-1], "message_stop")
        self.assertEqual(await relay.ended(), -15)
        self.assertIn('"ended":"complete"', relay.out)

    async def test_streams_that_do_not_end(self) -> None:
        """A stream longer than server.drain_ms ends with an error event that says why."""
        relay, caller = await self.relay(Provider(self, [ENDLESS]), 100)
        caller.ask(body(stream=True))
        await caller.events(2)
        relay.signal("TERM")
        answer = await caller.whole()
        events = sse(answer.body)
        self.assertEqual([name for name, _ in events], ["message_start", "content_block_delta", "error"])
        self.assertEqual(events[-1][1]["error"]["type"], "api_error")
        self.assertIn("shutting down", events[-1][1]["error"]["message"])
        self.assertEqual(await relay.ended(), -15)

    async def test_requests_that_do_not_end(self) -> None:
        """A request without a stream that takes longer than server.drain_ms is answered with 503."""
        provider = Provider(self, [Says("late", pace=1)], Clock())
        relay, caller = await self.relay(provider, 100)
        caller.ask(body())
        await provider.simulator.when_asked(1)
        relay.signal("TERM")
        answer = await caller.whole()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "2"))
        self.assertEqual(await relay.ended(), -15)

    async def test_second_signal(self) -> None:
        """A second SIGTERM ends the process at once, whatever is open."""
        relay, caller = await self.relay(Provider(self, [ENDLESS]), LONG)
        caller.ask(body(stream=True))
        await caller.events(2)
        relay.signal("TERM")
        await self.closes_its_door()
        relay.signal("TERM")
        self.assertEqual(await relay.ended(), 128 + 15)
        await caller.end()
        self.assertFalse(caller.answer.complete)

    async def test_idle(self) -> None:
        """With nothing to answer the process waits for nobody, whoever keeps a connection to it."""
        provider = Provider(self)
        relay, caller = await self.relay(provider, LONG)
        caller.ask(body(stream=True))
        await caller.whole()
        self.assertFalse(caller.closed)
        self.assertEqual(len(provider.simulator.site.channels), 1)
        relay.signal("TERM")
        self.assertEqual(await relay.ended(), -15)
        await caller.end()
        await until(lambda: not provider.simulator.site.channels)

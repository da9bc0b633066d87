"""The rules of many streams at once."""

import os
import resource
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from ccrelay.simulator.acts import Says
from tests.live.caller import Caller, call
from tests.live.relay import LiveRelay, Provider, reactor, until
from tests.stack import body

STREAMS = 500
FILES = 4 * STREAMS + 256  # each of two connections has two ends here


class StreamsTests(TestCase):
    """Five hundred clients, one relay, one provider, all in this process."""

    timeout = 120

    def setUp(self) -> None:
        """Have room for all the sockets."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < FILES:
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def together(self, coroutines: list[Any]) -> Deferred[list[Any]]:
        """Run them all at once."""
        return gatherResults([Deferred.fromCoroutine(one) for one in coroutines], consumeErrors=True)

    async def test_all_at_once(self) -> None:
        """Each of 500 streams ends complete, and then nothing is kept but what the next 500 use again."""
        provider = Provider(self, [Says("one two three four", pieces=4, pace=0.075)])
        # A reactor that runs and listens has files of its own, and trial a timer.
        await deferLater(reactor, 0)
        files, timers = len(os.listdir("/dev/fd")), reactor.getDelayedCalls()  # noqa: PTH208
        relay = LiveRelay(self, provider)
        callers = await self.together([call(self, relay.url) for _ in range(STREAMS)])
        for _ in range(2):
            for caller in callers:
                caller.arrivals.clear()
                caller.ask(body(stream=True))
            await self.together([self.complete(caller) for caller in callers])
            self.assertEqual(len(relay.in_flight), 0)
            self.assertEqual(relay.upstreams["one"].client.free, relay.upstreams["one"].client.limit)
            self.assertEqual(len(provider.simulator.site.channels), STREAMS)
        self.assertEqual({ended.why for ended in relay.told.requests}, {"complete"})
        self.assertEqual(len(relay.told.requests), 2 * STREAMS)

        for caller in callers:
            caller.hang_up()
        await self.together([caller.end() for caller in callers])
        await relay.idle()
        await relay.stop()
        await until(lambda: not provider.simulator.site.channels)
        self.assertEqual(reactor.getDelayedCalls(), timers)
        self.assertEqual(len(os.listdir("/dev/fd")), files)  # noqa: PTH208

    async def complete(self, caller: Caller) -> None:
        """See a stream to its end, and that it is a whole one."""
        await caller.whole()
        self.assertEqual(caller.names.count("content_block_delta"), 4)
        self.assertEqual((caller.names[0], caller.names[-1]), ("message_start", "message_stop"))

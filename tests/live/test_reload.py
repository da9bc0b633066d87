"""The rules of a reload, by real signals, real files and real sockets."""

import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from ccrelay.simulator.acts import Says
from tests.live.caller import Caller, call
from tests.live.process import TWISTD, RelayProcess, config_file
from tests.live.relay import KEY, Provider
from tests.stack import body

OTHER = "sk-test-other-0000000000"
REQUESTS, CALLERS, STREAMS = 200, 10, 10


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class ReloadTests(TestCase):
    """`twistd ccrelay`, whose configuration changes."""

    timeout = 60

    def setUp(self) -> None:
        """Have a provider whose streams take a second or two."""

        def act(asked: Any) -> Says:
            return Says("one two three", pieces=10, pace=0.1 if asked.stream else 0.0)

        self.provider = Provider(self, act)

    def text(self, listen: str = "127.0.0.1:0", key: str = KEY, **server: Any) -> str:
        """Return a configuration."""
        given = {"listen": listen, "auth": {"allow_anonymous": True}, **server}
        one = {"name": "one", "type": "anthropic", "base_url": self.provider.url, "keys": [{"key": key}]}
        rest = "health: {health_check: {enabled: false}}"
        return f"server: {given}\nproviders: [{one}]\n{rest}\n".replace("True", "true")

    def rewrite(self, text: str) -> None:
        """Let another file take the place of the configuration, as editors do."""
        new = Path(self.path + ".new")
        new.write_text(text)
        new.chmod(0o600)
        new.replace(self.path)

    async def relay(self, text: str) -> RelayProcess:
        """Return a relay that serves."""
        self.path = config_file(self, text)
        relay = RelayProcess(self, TWISTD, "--config", self.path)
        self.url = await relay.serving()
        await relay.says("configuration: ")  # signals are heeded from here on
        return relay

    async def test_by_the_file(self) -> None:
        """A file that is renamed over the old one is used by itself; a broken one is not, and says where."""
        relay = await self.relay(self.text())
        caller = await call(self, self.url)
        caller.ask(body())
        await caller.whole()
        self.rewrite(self.text(key=OTHER))
        await relay.says("configuration reloaded")
        self.rewrite(self.text(listn="x"))
        await relay.says("not reloaded.*" + self.path + ":1: server.listn: ")
        caller.arrivals.clear()
        caller.ask(body())
        self.assertEqual((await caller.whole()).status, 200)
        self.assertEqual([asked.header("x-api-key") for asked in self.provider.asked], [KEY, OTHER])

    async def test_another_interface(self) -> None:
        """By SIGHUP a relay moves from one interface to all of them on the same port; its clients stay."""
        port = free_port()
        relay = await self.relay(self.text(f"127.0.0.1:{port}"))
        caller = await call(self, self.url)
        self.rewrite(self.text(f"0.0.0.0:{port}"))
        relay.signal("HUP")
        await relay.says(rf"serving on http://0\.0\.0\.0:{port}")
        await relay.says("configuration reloaded")
        other = await call(self, self.url)
        for each in (caller, other):
            each.ask(body())
            self.assertEqual((await each.whole()).status, 200)
        relay.signal("TERM")
        self.assertEqual(await relay.ended(), -15)
        self.assertNotIn("Traceback", relay.out + relay.err)

    async def test_often(self) -> None:
        """However often it is reloaded, and whatever is changed, no request and no stream fails of it."""
        relay = await self.relay(self.text())
        reloads = 0

        def change() -> None:
            nonlocal reloads
            reloads += 1
            self.rewrite(self.text(key=(KEY, OTHER)[reloads % 2], max_concurrent=1000 + reloads))
            relay.signal("HUP")

        changing = LoopingCall(change)
        stopped = changing.start(0.1)
        callers = await self.together([call(self, self.url) for _ in range(CALLERS + STREAMS)])
        work = [self.streamed(caller) for caller in callers[:STREAMS]]
        work += [self.answered(caller, REQUESTS // CALLERS) for caller in callers[STREAMS:]]
        await self.together(work)
        await relay.says("(?s)(configuration reloaded.*){5}")
        changing.stop()
        await stopped
        self.assertNotIn("not reloaded", relay.out)
        self.assertNotIn("Traceback", relay.out + relay.err)
        self.assertEqual(len(self.provider.asked), REQUESTS + STREAMS)

    def together(self, coroutines: list[Any]) -> Deferred[list[Any]]:
        """Run them all at once."""
        return gatherResults([Deferred.fromCoroutine(one) for one in coroutines], consumeErrors=True)

    async def streamed(self, caller: Caller) -> None:
        """See a stream to its end."""
        caller.ask(body(stream=True))
        await caller.whole()
        self.assertEqual((caller.names[0], caller.names[-1]), ("message_start", "message_stop"))

    async def answered(self, caller: Caller, number: int) -> None:
        """See so many requests answered, one after the other."""
        for _ in range(number):
            caller.arrivals.clear()
            caller.ask(body())
            self.assertEqual((await caller.whole()).status, 200)

"""The rules of a hand-over: a new process serves, nobody is refused, and what runs ends in the old one."""

import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from ccrelay.simulator.acts import Says
from tests.live.caller import Caller, call
from tests.live.process import CCRELAY, SERVE, TWISTD, RelayProcess, config_file
from tests.live.relay import KEY, Provider, until
from tests.network import Answer, parse
from tests.stack import body


class Notified:
    """A supervisor: what it is told, and the descriptors it is given."""

    def __init__(self, test: TestCase) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        test.addCleanup(self.socket.close)
        self.address = f"@ccrelay-test-{os.getpid()}-{id(self):x}"
        self.socket.bind("\0" + self.address[1:])
        self.told: list[str] = []
        self.kept: dict[str, int] = {}
        test.addCleanup(lambda: [os.close(descriptor) for descriptor in self.kept.values()])

    def hear(self) -> list[str]:
        """Return all it was told so far."""
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 4)
            except BlockingIOError:
                return self.told
            lines = message.decode().splitlines()
            self.told += lines
            for descriptor in descriptors:
                name = next(line for line in lines if line.startswith("FDNAME=")).removeprefix("FDNAME=")
                if name in self.kept:
                    os.close(self.kept[name])
                self.kept[name] = descriptor

    async def told_that(self, pattern: str) -> str:
        """Wait until it was told a line like that, and return it."""

        def found() -> str | None:
            return next((line for line in self.hear() if re.fullmatch(pattern, line)), None)

        await until(found)
        line = found()
        assert line is not None
        return line


class ProcessCase(TestCase):
    """A relay in a process of its own, which a supervisor has started."""

    timeout = 60

    def setUp(self) -> None:
        self.supervisor = Notified(self)
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port: int = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket = f"{tempfile.mkdtemp()}/socket"  # a path that is short enough
        self.addCleanup(shutil.rmtree, Path(self.socket).parent)

    def config(self, provider: Provider, **more: str) -> str:
        """Return the path of a configuration."""
        one = f"{{name: one, type: anthropic, base_url: '{provider.url}', keys: [{{key: {KEY}}}]}}"
        server = f"{{listen: '127.0.0.1:{self.port}', drain_ms: {more.pop('drain_ms', '30000')}}}"
        more.setdefault("metrics", "{enabled: false}")
        rest = "".join(f"{name}: {value}\n" for name, value in more.items())
        return config_file(
            self, f"server: {server}\nlogging: {{format: json}}\nproviders: [{one}]\n{rest}"
        )

    async def relay(self, config: str, command: Sequence[str] = SERVE, **variables: str) -> RelayProcess:
        """Return a relay that serves."""
        relay = RelayProcess(
            self, command, "--config", config, NOTIFY_SOCKET=self.supervisor.address, **variables
        )
        await relay.serving()
        await self.supervisor.told_that("READY=1")
        return relay

    async def successor(self, relay: RelayProcess) -> int:
        """Wait until another process serves; return its number. It ends with the test."""
        number = int((await self.supervisor.told_that("MAINPID=.*")).removeprefix("MAINPID="))

        def kill() -> None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)

        self.addCleanup(kill)
        await relay.says(f"process {number} serves from now on")
        return number

    def edit(self, config: str, old: str, new: str) -> None:
        """Change a configuration."""
        path = Path(config)
        path.write_text(path.read_text().replace(old, new))

    async def pass_on(self, clock: Clock, *callers: Caller) -> None:
        """Let the provider go on until all of these have their answers."""
        while not all(caller.answer.complete for caller in callers):
            clock.advance(1)
            await until(lambda: clock.getDelayedCalls() or all(each.answer.complete for each in callers))

    async def ordered(self, *arguments: str) -> RelayProcess:
        """Return a command that was run to its end."""
        command = RelayProcess(self, CCRELAY, *arguments)
        await command.ended()
        return command

    async def answered(self, caller: Caller) -> Answer:
        """Ask for a message, and return the answer."""
        caller.ask(body())
        return await caller.whole()


class HandOverTests(ProcessCase):
    """`twistd ccrelay` and `ccrelay serve`, told by SIGUSR2 or `ccrelay upgrade`."""

    async def takes_over(self, command: Sequence[str]) -> None:
        """A stream goes on to its end in the old process while the new one serves; then the old one ends."""
        clock = Clock()
        provider = Provider(self, [Says("and so on", pieces=1, pace=1), Says("new")], clock)
        relay = await self.relay(self.config(provider), command)
        caller = await call(self, self.url)
        caller.ask(body(stream=True))
        await caller.events(1)
        relay.signal("USR2")
        number = await self.successor(relay)
        self.assertIsNone(relay.exit)
        other = await call(self, self.url)
        other.ask(body(stream=True))
        await provider.simulator.when_asked(2)
        await self.pass_on(clock, caller, other)
        self.assertEqual((caller.names[-1], other.names[-1]), ("message_stop", "message_stop"))
        self.assertEqual(await relay.exited(), 0)
        self.assertNotIn("Traceback", relay.out + relay.err)
        self.assertNotIn("STOPPING=1", self.supervisor.hear())
        os.kill(number, signal.SIGTERM)
        await self.supervisor.told_that("STOPPING=1")

    async def test_twistd(self) -> None:
        """`twistd ccrelay` hands over so."""
        await self.takes_over(TWISTD)

    async def test_serve(self) -> None:
        """So does `ccrelay serve`."""
        await self.takes_over(SERVE)

    async def kept_connections(self, http: str) -> None:
        """Who keeps a connection to the old process is answered once more there, and told to come anew."""
        config = self.config(Provider(self))
        self.edit(config, "drain_ms", f"http: {http}, drain_ms")
        relay = await self.relay(config)
        asking, idle = await call(self, self.url), await call(self, self.url)
        first = await self.answered(asking)
        self.assertEqual(first.headers.get("connection", "keep-alive"), "keep-alive")
        relay.signal("USR2")
        await self.successor(relay)
        before = len(asking.received)
        asking.ask(body())
        await asking.end()
        again = parse(asking.received[before:], closed=True)
        self.assertTrue(again.complete)
        self.assertEqual((again.status, again.headers["connection"].lower()), (200, "close"))
        await idle.end()
        self.assertEqual(await relay.exited(), 0)

    async def test_kept_connections(self) -> None:
        """Connections over llhttp end so."""
        await self.kept_connections("llhttp")

    async def test_kept_connections_of_twisted(self) -> None:
        """So do those over Twisted's own parser."""
        await self.kept_connections("twisted")

    async def answered_meanwhile(self, http: str) -> None:
        """An answer whose head goes out after the hand-over says that its connection ends."""
        clock = Clock()
        provider = Provider(self, [Says("late", pieces=1, pace=1)], clock)
        config = self.config(provider)
        self.edit(config, "drain_ms", f"http: {http}, drain_ms")
        relay = await self.relay(config)
        caller = await call(self, self.url)
        caller.ask(body())
        await provider.simulator.when_asked(1)
        relay.signal("USR2")
        await self.successor(relay)
        await relay.says(r"Port \d+ Closed")
        await self.pass_on(clock, caller)
        answer = await caller.whole()
        self.assertEqual((answer.status, answer.headers["connection"].lower()), (200, "close"))
        self.assertEqual(await relay.exited(), 0)

    async def test_answered_meanwhile(self) -> None:
        """So does one over llhttp."""
        await self.answered_meanwhile("llhttp")

    async def test_answered_meanwhile_by_twisted(self) -> None:
        """So does one over Twisted's own parser."""
        await self.answered_meanwhile("twisted")

    async def test_command(self) -> None:
        """`ccrelay upgrade` says which process serves; the unix socket and the metrics are the new one's."""
        more = {"admin": f"{{socket: '{self.socket}'}}", "metrics": "{listen: '127.0.0.1:0'}"}
        relay = await self.relay(self.config(Provider(self), **more))
        done = await self.ordered("upgrade", "--socket", self.socket)
        number = await self.successor(relay)
        self.assertEqual((done.status, done.err), (0, ""))
        self.assertIn(f"process {number} serves from now on", done.out)
        self.assertEqual(await relay.exited(), 0)
        status = await self.ordered("status", "--socket", self.socket)
        self.assertEqual((status.status, status.err), (0, ""))

    async def test_refused(self) -> None:
        """A new process that cannot use the configuration leaves the old one serving, which says so."""
        config = self.config(Provider(self), admin=f"{{socket: '{self.socket}'}}")
        relay = await self.relay(config)
        self.edit(config, "admin:", "nonsense: 1\nadmin:")
        done = await self.ordered("upgrade", "--socket", self.socket)
        self.assertEqual(done.status, 1)
        self.assertIn("the new process ended (status 78)", done.err)
        await relay.says("not handed over, this process goes on: the new process ended .status 78.")
        self.assertIn("nonsense", relay.err)
        await self.supervisor.told_that("STATUS=not handed over: .*")
        self.assertEqual((await self.answered(await call(self, self.url))).status, 200)
        self.edit(config, "nonsense: 1\n", "")
        done = await self.ordered("upgrade", "--socket", self.socket)
        self.assertEqual((done.status, done.err), (0, ""))
        await self.successor(relay)
        self.assertEqual(await relay.exited(), 0)

    async def test_stopped_after_it(self) -> None:
        """A SIGTERM ends the waiting of the old process: requests may go on for server.drain_ms then."""
        provider = Provider(self, [Says("and so on", pieces=1, pace=1)], Clock())
        relay = await self.relay(self.config(provider, drain_ms="100"))
        caller = await call(self, self.url)
        caller.ask(body(stream=True))
        await caller.events(1)
        relay.signal("USR2")
        await self.successor(relay)
        relay.signal("TERM")
        await caller.whole()
        self.assertEqual(caller.names[-1], "error")
        self.assertEqual(await relay.exited(), 0)


class KeptSocketTests(ProcessCase):
    """Sockets that the supervisor keeps, and those it has made itself."""

    async def test_killed(self) -> None:
        """Who connects while no process is there waits for the next one, and is answered by it."""
        config = self.config(Provider(self))
        relay = await self.relay(config)
        await self.supervisor.told_that(f"FDNAME=127.0.0.1_{self.port}")
        relay.signal("KILL")
        await relay.exited()
        caller = await call(self, self.url)
        caller.ask(body())
        self.supervisor.told.clear()
        again = RelayProcess(
            self, SERVE, "--config", config, descriptors=list(self.supervisor.kept.values()),
            LISTEN_FDNAMES=":".join(self.supervisor.kept),
        )  # fmt: skip
        self.assertEqual(await again.serving(), self.url)
        self.assertEqual((await caller.whole()).status, 200)

    async def test_an_address_that_is_given_up(self) -> None:
        """What is listened on no more after a reload is kept no more either: nobody would answer there."""
        config = self.config(Provider(self))
        relay = await self.relay(config)
        name = f"FDNAME=127.0.0.1_{self.port}"
        await self.supervisor.told_that(name)
        self.supervisor.told.clear()
        self.edit(config, f"127.0.0.1:{self.port}", "127.0.0.1:0")
        relay.signal("HUP")
        await self.supervisor.told_that("FDSTOREREMOVE=1")
        self.assertIn(name, self.supervisor.hear())

    async def test_sign_of_life(self) -> None:
        """The watchdog hears of the process again and again, and only if it is meant."""
        relay = await self.relay(self.config(Provider(self)), WATCHDOG_USEC="100000")
        for _ in range(2):
            await self.supervisor.told_that("WATCHDOG=1")
            self.supervisor.told.clear()
        relay.signal("TERM")
        await relay.exited()

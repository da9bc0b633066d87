"""The rules of a reload, section by section: whatever can be written takes effect."""

import json
from typing import Any

from twisted.application.service import Application
from twisted.logger import ILogObserver
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.log import LEVELS
from ccrelay.simulator.acts import Says
from ccrelay.simulator.faults import Stalls
from ccrelay.simulator.script import Script
from tests.service.machine import Running
from tests.stack import HEADERS, KEY, body

ALICE, BOB = "sk-test-alice-000000", "sk-test-bob-00000000"


def named(host: str) -> list[tuple[str, str]]:
    """Return the headers of a client that asks under that name."""
    return [("host", host), *HEADERS[1:]]


def shown(key: str) -> list[tuple[str, str]]:
    """Return the headers of a client that shows a key of its own."""
    return [*HEADERS[:3], ("x-api-key", key)]


class LogTests(SynchronousTestCase):
    """The log."""

    def relay(self) -> tuple[Running, Any]:
        """Return a relay, and what its process writes events to."""
        running = Running(self, {"a": [Says("x")]})
        application = Application("test")
        running.relay.setServiceParent(application)
        self.addCleanup(running.relay.disownServiceParent)
        return running, application.getComponent(ILogObserver)

    def event(self, write: Any, words: str, level: str = "info") -> None:
        """Let something be logged."""
        write({"log_format": words, "log_time": 0.0, "log_level": LEVELS[level], "log_namespace": "x"})

    def test_level_and_format(self) -> None:
        """Level and format change for the log that is in use."""
        running, write = self.relay()
        self.event(write, "one", "debug")
        self.event(write, "two")
        running.reload(logging={"output": str(running.log), "format": "json", "level": "debug"})
        self.event(write, "three", "debug")
        lines = running.log.read_text("utf-8").splitlines()
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].endswith("info  two"), lines[0])
        self.assertEqual(json.loads(lines[1])["message"], "three")

    def test_output(self) -> None:
        """The log goes on in another file, and the old one is let go."""
        running, write = self.relay()
        old = running.relay._journal.output.file
        other = running.log.with_suffix(".2")
        running.reload(logging={"output": str(other)})
        self.event(write, "here")
        self.assertTrue(other.read_text("utf-8").endswith(" here\n"))
        self.assertEqual(running.log.read_text("utf-8"), "")
        self.assertTrue(old._stream.closed)

    def test_no_such_output(self) -> None:
        """A file that cannot be opened changes nothing, and the log says so, where it went before."""
        running, write = self.relay()
        running.reload(logging={"output": "/nowhere/log"}, server={"max_concurrent": 5})
        (line,) = running.said("not reloaded")
        self.assertIn("logging.output: [Errno 2] No such file or directory: '/nowhere/log'", line)
        self.event(write, "here")
        self.assertTrue(running.log.read_text("utf-8").endswith(" here\n"))
        self.assertEqual(running.relay._in_flight.limit, 0)

    def test_an_address_that_cannot_be_had(self) -> None:
        """Where the rest cannot be used the log stays where it was, too."""
        running, write = self.relay()
        running.machine.taken.add(9000)
        other = running.log.with_suffix(".2")
        running.reload(logging={"output": str(other)}, server={"listen": "127.0.0.1:9000"})
        self.event(write, "here")
        self.assertEqual(other.read_text("utf-8"), "")
        self.assertTrue(running.log.read_text("utf-8").endswith(" here\n"))

    def test_opened_anew(self) -> None:
        """A log file that was moved away is opened anew by SIGHUP, and the configuration is read as well."""
        running, write = self.relay()
        running.log.rename(running.log.with_suffix(".1"))
        running.relay.hung_up()
        running.go()
        self.event(write, "here")
        self.assertTrue(running.log.read_text("utf-8").endswith(" here\n"))
        self.assertEqual(running.reads, 1)


class ServerTests(SynchronousTestCase):
    """The section C{server}."""

    def test_max_concurrent(self) -> None:
        """Another number of requests at once holds for the next one; those in flight count."""
        running = Running(self, {"a": [Stalls(before_head=True), Says("x")]})
        running.send(body(stream=True))
        running.reload(server={"max_concurrent": 1})
        self.assertEqual(running.ask().status, 503)
        running.reload(server={"max_concurrent": 2})
        self.assertEqual(running.ask().status, 200)

    def test_drain(self) -> None:
        """Requests get as much time at the end as was last written."""
        running = Running(self, {"a": [Stalls()]}, server={"drain_ms": 600_000})
        peer = running.send(body(stream=True))
        running.reload(server={"drain_ms": 2000})
        stopping = running.stop()
        running.go(1)
        self.assertNoResult(stopping)
        running.go(4)
        self.successResultOf(stopping)
        self.assertEqual(running.events(peer)[-1], "error")

    def test_body(self) -> None:
        """Another limit of bodies holds for the next request."""
        running = Running(self, {"a": [Says("x")]})
        running.reload(server={"max_body_bytes": 10})
        self.assertEqual(running.ask().status, 413)
        running.reload(server={"max_body_bytes": "1MB"})
        self.assertEqual(running.ask().status, 200)

    def test_hosts(self) -> None:
        """The relay may be asked under another name, and no longer under the old one."""
        running = Running(self, {"a": [Says("x")]}, server={"allowed_hosts": ["old.example"]})
        running.reload(server={"allowed_hosts": ["new.example"]})
        answers = [running.ask(headers=named(host)).status for host in ("old.example", "new.example")]
        self.assertEqual(answers, [403, 200])

    def test_clients(self) -> None:
        """Clients come and go; one that stays has used up what it has used of its own limit."""
        alice = {"name": "alice", "key": ALICE, "rpm_limit": 2}
        running = Running(self, {"a": [Says("x")]}, server={"auth": {"clients": [alice]}})
        self.assertEqual([running.ask(headers=shown(k)).status for k in (ALICE, BOB)], [200, 401])
        both = [alice, {"name": "bob", "key": BOB}]
        running.reload(server={"auth": {"clients": both}})
        self.assertEqual([running.ask(headers=shown(k)).status for k in (ALICE, ALICE, BOB)], [200, 429, 200])
        running.reload(server={"auth": {"clients": both[1:]}})
        self.assertEqual([running.ask(headers=shown(k)).status for k in (ALICE, BOB)], [401, 200])

    def test_a_client_with_another_limit(self) -> None:
        """Another limit of a client applies to what it has used before."""
        client = {"name": "alice", "key": ALICE}
        running = Running(self, {"a": [Says("x")]}, server={"auth": {"clients": [client | {"rpm_limit": 9}]}})
        for _ in range(3):
            running.ask(headers=shown(ALICE))
        running.reload(server={"auth": {"clients": [client | {"rpm_limit": 3}]}})
        self.assertEqual(running.ask(headers=shown(ALICE)).status, 429)
        running.go(60)
        self.assertEqual(running.ask(headers=shown(ALICE)).status, 200)


class RoutingTests(SynchronousTestCase):
    """The section C{routing}."""

    def test_affinity(self) -> None:
        """Affinity can be switched off and on; off, it keeps no conversation where it was."""
        running = Running(self, {"a": [Says("x")], "b": [Says("x")]}, routing={"strategy": "round_robin"})
        for enabled in (True, False, True):
            running.reload(routing={"strategy": "round_robin", "affinity": {"enabled": enabled}})
            before = [len(running.asked(name)) for name in "ab"]
            for _ in range(4):
                running.ask()
            after = [len(running.asked(name)) for name in "ab"]
            shares = sorted(now - then for now, then in zip(after, before, strict=True))
            self.assertEqual(shares, [0, 4] if enabled else [2, 2])

    def test_strategy(self) -> None:
        """Another strategy orders the next request."""
        routing = {"affinity": {"enabled": False}}
        running = Running(
            self, {"a": [Says("x")], "b": [Says("x")]},
            {"a": {"priority": 9}, "b": {"priority": 1}}, routing=routing | {"strategy": "failover"},
        )  # fmt: skip
        for _ in range(4):
            running.ask()
        running.reload(routing=routing | {"strategy": "round_robin"})
        for _ in range(4):
            running.ask()
        self.assertEqual([len(running.asked(name)) for name in "ab"], [6, 2])

    def test_models(self) -> None:
        """So does another mapping of models to providers, under the same strategy."""
        routing = {"affinity": {"enabled": False}, "strategy": "model_based"}
        running = Running(self, {"a": [Says("x")], "b": [Says("x")]})
        for name in ("a", "b"):
            running.reload(routing=routing | {"model_mapping": {"claude-": name}})
            running.ask()
        self.assertEqual([len(running.asked(name)) for name in "ab"], [1, 1])

    def test_added(self) -> None:
        """A provider that is added is asked; one that is disabled is not."""
        running = Running(self, {"a": [Says("x")]})
        running.provide("b", [Says("x")])
        running.providers["a"] |= {"enabled": False}
        running.reload()
        running.ask()
        self.assertEqual([len(running.asked(name)) for name in "ab"], [0, 1])

    def test_models_listed(self) -> None:
        """The list of models is that of the new configuration."""
        running = Running(self, {"a": [Says("x")]}, {"a": {"models": ["one"]}})
        running.providers["a"] |= {"models": ["two"]}
        running.reload()
        listed = json.loads(running.get("/v1/models").body)["data"]
        self.assertEqual([model["id"] for model in listed], ["two"])


class HealthTests(SynchronousTestCase):
    """The section C{health}."""

    def probes(self, running: Running) -> list[float]:
        """Return when a provider was probed, since the machine was there."""
        return [asked.at - 1000 for asked in running.asked("a", "/v1/models")]

    def section(self, interval_ms: int = 10_000, **more: Any) -> dict[str, Any]:
        """Return the section."""
        return {"health_check": {"interval_ms": interval_ms, **more}}

    def test_interval(self) -> None:
        """Another interval holds at once, not after the old one."""
        running = Running(self, {"a": []}, health=self.section(600_000))
        running.reload(health=self.section(1000))
        running.go(10)
        self.assertIn(len(self.probes(running)), range(8, 11))

    def test_unchanged(self) -> None:
        """However often something else is reloaded, probes come when they are due."""
        running = Running(self, {"a": []}, health=self.section())
        for number in range(13):
            running.reload(server={"max_concurrent": number})
            running.go(1)
        self.assertEqual(len(self.probes(running)), 1)

    def test_off_and_on(self) -> None:
        """Probes can be switched off, and on again."""
        running = Running(self, {"a": []}, health=self.section())
        running.reload(health=self.section(enabled=False))
        running.go(60)
        self.assertEqual(self.probes(running), [])
        running.reload(health=self.section())
        running.go(13)
        self.assertEqual(len(self.probes(running)), 1)

    def test_providers(self) -> None:
        """A provider that is added is probed, one that is gone no more, and the probe under way ends."""
        silent = Script(paths={"/v1/models": [Stalls(before_head=True)]})
        running = Running(self, {"a": []}, health=self.section(1000, timeout_ms=60_000))
        running.simulators["a"]._script = silent
        running.go(2)
        self.assertEqual((len(self.probes(running)), running.kept("a")), (1, 1))
        del running.providers["a"]
        running.provide("b")
        running.reload()
        self.assertEqual(running.kept("a"), 0)
        running.go(10)
        self.assertEqual(len(self.probes(running)), 1)
        self.assertGreater(len(running.asked("b", "/v1/models")), 8)

    def test_another_key(self) -> None:
        """A provider whose keys changed is probed with those it has."""
        other = "sk-test-other-00000000"
        running = Running(self, {"a": []}, health=self.section(1000))
        running.go(2)
        running.providers["a"] |= {"keys": [{"key": other}]}
        running.reload()
        running.go(2)
        shown = [asked.header("x-api-key") for asked in running.asked("a", "/v1/models")]
        self.assertEqual((shown[0], shown[-1]), (KEY, other))


class ParserTests(SynchronousTestCase):
    """What speaks HTTP."""

    def test_another(self) -> None:
        """New connections, to clients and to providers, speak by the parser that is named now, and work."""
        running = Running(self, {"a": [Says("x")]})
        for http, ids in (("llhttp", b"x-ccrelay-request-id"), ("twisted", b"X-Ccrelay-Request-Id")):
            running.reload(server={"http": http})
            peer = running.send(body())
            running.go()
            self.assertIn(b" 200 ", peer.received[:16])
            self.assertIn(ids, peer.received)
        names = [[name for name, _ in asked.headers] for asked in running.asked("a")]
        self.assertEqual(len(names), 2)

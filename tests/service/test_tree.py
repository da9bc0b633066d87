"""The service tree: what starts and stops when, and what an address that cannot be listened on leads to."""

import errno
import os
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.log import text_line
from ccrelay.service.tree import ConnectionsService, DoorService, RequestsService, Rooms
from ccrelay.simulator.acts import Says
from ccrelay.simulator.faults import Stalls
from tests.network import http_request
from tests.stack import HEADERS, Stack, body


class _Room(Service):
    """A room that notes when it starts and stops."""

    def __init__(self, name: str, done: list[str], stopped: Any = None) -> None:
        """@param stopped: what its stopService returns, or an error it raises."""
        self.name = name
        self._done = done
        self._stopped = stopped

    def startService(self) -> None:
        self._done.append(f"start {self.name}")

    def stopService(self) -> Any:
        self._done.append(f"stop {self.name}")
        if isinstance(self._stopped, Exception):
            raise self._stopped
        return self._stopped


class _Taken(MemoryReactorClock):
    """A machine on which no address is free."""

    def __init__(self, number: int = errno.EADDRINUSE) -> None:
        super().__init__()
        self._number = number

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        raise CannotListenError(interface, port, OSError(self._number, "as the system words it"))


class RoomsTests(SynchronousTestCase):
    """Rooms start in order, and stop in the opposite one."""

    def setUp(self) -> None:
        """Have nothing done."""
        self.done: list[str] = []

    def rooms(self, **stopped: Any) -> Rooms:
        """Return running rooms, by name what their stopService does."""
        rooms = Rooms()
        for name, result in stopped.items():
            _Room(name, self.done, result).setServiceParent(rooms)
        rooms.startService()
        return rooms

    def test_order(self) -> None:
        """The last started stops first."""
        rooms = self.rooms(a=None, b=succeed(None), c=None)
        self.successResultOf(rooms.stopService())
        self.assertEqual(self.done, ["start a", "start b", "start c", "stop c", "stop b", "stop a"])
        self.assertFalse(rooms.running)

    def test_one_after_the_other(self) -> None:
        """A room stops when the one before it has stopped, not while it does."""
        slow: Deferred[None] = Deferred()
        stopping = self.rooms(a=None, b=slow, c=None).stopService()
        self.assertEqual(self.done[3:], ["stop c", "stop b"])
        self.assertNoResult(stopping)
        slow.callback(None)
        self.assertEqual(self.done[3:], ["stop c", "stop b", "stop a"])
        self.successResultOf(stopping)

    def test_one_that_fails(self) -> None:
        """A room that cannot stop is logged, and keeps no other from it, however it fails."""
        rooms = self.rooms(a=None, b=fail(RuntimeError("later")), c=RuntimeError("at once"), d=None)
        self.successResultOf(rooms.stopService())
        self.assertEqual(self.done[4:], ["stop d", "stop c", "stop b", "stop a"])
        logged = self.flushLoggedErrors(RuntimeError)
        self.assertEqual([str(failure.value) for failure in logged], ["at once", "later"])


class ConnectionsTests(SynchronousTestCase):
    """Connections to providers."""

    def test_closed(self) -> None:
        """Kept connections to providers are closed, and until then they are kept."""
        stack = Stack(
            self, {"a": [Says("x")], "b": [Says("x")]}, {"providers": {"b": {"models": ["only-b"]}}}
        )
        stack.ask()
        service = ConnectionsService(stack.upstreams)
        service.startService()
        stack.go(10)
        kept = [pair for pair in stack.network.connections if pair.name == "a"]
        self.assertEqual(len(kept), 1)
        stopping = service.stopService()
        stack.go(3)
        self.successResultOf(stopping)
        self.assertEqual([pair for pair in stack.network.connections if pair.name == "a"], [])


class RequestsTests(SynchronousTestCase):
    """Requests at the end."""

    def stopping(self, stack: Stack, drain: float = 30) -> Deferred[None]:
        """Stop the service of a relay's requests."""
        service = RequestsService(stack.in_flight, stack.site, stack.clock, drain)
        service.startService()
        stopping = service.stopService()
        stack.go()
        return stopping

    def test_idle_connections(self) -> None:
        """Clients that keep a connection and ask nothing hold up nothing; it is closed."""
        stack = Stack(self, {"a": [Says("x")]})
        peer = stack.send(b"", "GET", "/health")
        self.assertFalse(peer.closed)
        stopping = self.stopping(stack)
        self.successResultOf(stopping)
        self.assertTrue(peer.closed)

    def test_the_last_byte_arrives(self) -> None:
        """A stream that finishes during the drain reaches its client to the last byte."""
        for seconds, last in ((30, "message_stop"), (2, "error")):
            stack = Stack(self, {"a": [Says("one two three", pace=1)]})
            peer = stack.send(body(stream=True))
            stopping = self.stopping(stack, seconds)
            self.assertNoResult(stopping)
            stack.go(40)
            self.successResultOf(stopping)
            self.assertEqual(stack.events(peer)[-1], last)
            self.assertTrue(stack.answer(peer).complete)
            self.assertTrue(peer.closed)

    def test_much_at_the_end(self) -> None:
        """So it does where much of it had not gone out yet."""
        stack = Stack(self, {"a": [Says("x" * 300_000, pieces=1)]})
        peer = stack.connect()
        peer.pause()
        peer.send(http_request("POST", "/v1/messages", HEADERS, body(stream=True)))
        stack.go()
        stopping = self.stopping(stack)
        stack.go(1)
        peer.resume()
        stack.go(1)
        self.successResultOf(stopping)
        self.assertEqual(stack.events(peer)[-1], "message_stop")

    def test_a_client_that_does_not_read(self) -> None:
        """A client that takes nothing is cut off in the end."""
        stack = Stack(self, {"a": [Says("x" * 300_000, pieces=1)]})
        peer = stack.connect()
        peer.pause()
        peer.send(http_request("POST", "/v1/messages", HEADERS, body(stream=True)))
        stack.go()
        stopping = self.stopping(stack, 5)
        stack.go(10)
        self.successResultOf(stopping)
        peer.resume()
        stack.go()
        self.assertTrue(peer.closed)

    def test_a_client_that_says_nothing(self) -> None:
        """A connection on which half a request came is closed with the others."""
        stack = Stack(self, {"a": [Stalls(before_head=True)]})
        peer = stack.connect()
        peer.send(b"POST /v1/messages HTTP/1.1\r\nHost: loc")
        stack.go()
        stopping = self.stopping(stack, 1)
        stack.go(5)
        self.successResultOf(stopping)
        self.assertTrue(peer.closed)


class DoorTests(SynchronousTestCase):
    """Addresses that clients connect to."""

    def door(self, address: str, reactor: Any) -> DoorService:
        """Return a door that is not open."""
        return DoorService(address, Factory(), reactor)

    def refused(self, address: str, reactor: Any = None) -> str:
        """Return the words of the one line that is written before the process ends with status 69."""
        stream = StringIO()
        self.patch(sys, "__stderr__", stream)
        door = self.door(address, reactor or MemoryReactorClock())
        ended = self.assertRaises(SystemExit, door.privilegedStartService)
        self.assertEqual(ended.code, 69)
        line = stream.getvalue()
        begin, end = f"ccrelay: cannot listen on {address}: ", "Stop what listens there, or set server.listen"
        self.assertTrue(line.startswith(begin), line)
        self.assertEqual((line.count("\n"), line[-1]), (1, "\n"))
        return line.removeprefix(begin).partition(f". {end}")[0]

    def test_open(self) -> None:
        """A door is open before privileges are shed, and says where."""
        lines: list[str] = []

        def note(event: Any) -> None:
            lines.append(text_line(event))

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        reactor = MemoryReactorClock()
        door = self.door("127.0.0.1:8787", reactor)
        door.privilegedStartService()
        self.assertEqual([(port, host) for port, _, _, host in reactor.tcpServers], [(8787, "127.0.0.1")])
        self.assertIn("serving on http://", lines[0])

    def test_closed(self) -> None:
        """A door that stops listens no more; one that never listened stops as well."""
        stopped: list[str] = []

        class Port:
            def stopListening(self) -> Deferred[None]:
                stopped.append("port")
                return succeed(None)

        door = self.door("127.0.0.1:8787", MemoryReactorClock())
        door.port = Port()
        for _ in range(2):
            self.successResultOf(door.stopService())
        self.assertEqual(stopped, ["port"])

    def test_names(self) -> None:
        """Each door has a name of its own in the tree."""
        rooms = Rooms()
        for address in ("127.0.0.1:1", "127.0.0.1:2"):
            self.door(address, MemoryReactorClock()).setServiceParent(rooms)
        self.assertEqual([room.name for room in rooms], ["door 127.0.0.1:1", "door 127.0.0.1:2"])

    def test_taken(self) -> None:
        """A port that is taken, or not for us, is told in the system's words."""
        for number in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            self.assertEqual(self.refused("127.0.0.1:80", _Taken(number)), os.strerror(number))

    def test_descriptions_that_cannot_be(self) -> None:
        """So is a Twisted endpoint that is not to be had, without a traceback."""
        pem = Path(self.mktemp())
        pem.write_text("no certificate", "ascii")
        for description, words in (
            ("quux:1:2", "Unknown endpoint type: 'quux'"),
            ("ssl:443:privateKey=/nowhere.pem", "No such file or directory: /nowhere.pem"),
            (f"ssl:443:privateKey={pem}", "Error: "),
            ("systemd:domain=INET:name=x", "KeyError: 'x'"),
            ("systemd:INET:0", "IndexError: "),
            ("tcp:80:colour=red", "TypeError: "),
        ):
            self.assertIn(words, self.refused(description))

    def test_without_stderr(self) -> None:
        """A daemon that has no standard error ends all the same."""
        self.patch(sys, "__stderr__", None)
        door = self.door("127.0.0.1:8787", _Taken())
        self.assertEqual(self.assertRaises(SystemExit, door.privilegedStartService).code, 69)

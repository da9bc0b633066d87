"""The rules of a reload for the addresses that the relay listens on."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.service.tree import DoorService
from ccrelay.simulator.acts import Says
from tests.network import http_request
from tests.service.machine import ANY, USUAL, Running
from tests.service.test_reload import OTHER, REFUSED, listening
from tests.stack import HEADERS, body


class DoorTests(SynchronousTestCase):
    """Addresses that are listened on."""

    def test_added_and_removed(self) -> None:
        """New addresses are opened, old ones closed, and those that stay are never closed in between."""
        running = Running(self, {"a": [Says("x")]})
        (door,) = running.machine.bound
        running.reload(server=listening(USUAL, OTHER))
        self.assertEqual(running.doors, [USUAL, OTHER])
        self.assertIs(running.machine.bound[0], door)
        self.assertEqual(running.ask(port=OTHER).status, 200)
        running.reload(server=listening(OTHER))
        self.assertEqual(running.doors, [OTHER])
        self.assertEqual([room.name for room in running.relay][-1], f"door {OTHER}")

    def test_who_is_connected_stays(self) -> None:
        """A client that keeps its connection is served on, though its door is closed."""
        running = Running(self, {"a": [Says("x")]})
        peer = running.send()
        running.reload(server=listening(OTHER))
        before = len(peer.received)
        peer.send(http_request("POST", "/v1/messages", HEADERS, body()))
        running.go()
        self.assertIn(b"HTTP/1.1 200", peer.received[before:])

    def test_taken(self) -> None:
        """An address that cannot be had changes nothing, of the rest neither, and the log says so."""
        running = Running(self, {"a": [Says("x")]})
        running.machine.taken.add(9000)
        running.reload(server=listening("127.0.0.1:8000", OTHER, max_concurrent=7))
        self.assertEqual(running.doors, [USUAL])
        (line,) = running.said("not reloaded")
        self.assertIn(f"{REFUSED}cannot listen on {OTHER}: Address already in use.", line)
        self.assertEqual(running.ask().status, 200)
        self.assertEqual(running.relay._in_flight.limit, 0)
        running.machine.taken.clear()
        running.reload()
        self.assertEqual(running.doors, ["127.0.0.1:8000", OTHER])

    def test_an_old_address_in_the_way(self) -> None:
        """From one interface to all of them, on the same port: the old address is closed first."""
        running = Running(self, {"a": [Says("x")]})
        running.reload(server=listening(f"{ANY}:8787"))
        self.assertEqual((running.doors, running.said("not reloaded")), ([f"{ANY}:8787"], []))
        self.assertEqual(running.ask(port=f"{ANY}:8787").status, 200)
        running.reload(server=listening(USUAL))
        self.assertEqual(running.doors, [USUAL])

    def test_back_again(self) -> None:
        """If the new address cannot be had even so, the old one is opened again."""
        running = Running(self, {"a": [Says("x")]})
        running.machine.taken.add(9000)
        running.reload(server=listening(f"{ANY}:8787", OTHER))
        self.assertEqual(running.doors, [USUAL])
        self.assertEqual(len(running.said("not reloaded")), 1)
        self.assertEqual(running.ask().status, 200)
        running.machine.taken.clear()
        running.reload()
        self.assertEqual(running.doors, [f"{ANY}:8787", OTHER])

    def test_lost(self) -> None:
        """If somebody took even that meanwhile, the line says so as well, and the next reload opens it."""
        running = Running(self, {"a": [Says("x")]})
        running.machine.taken.update({8787, 9000})
        running.reload(server=listening(f"{ANY}:8787", OTHER))
        (line,) = running.said("not reloaded")
        self.assertIn(f"cannot listen on {ANY}:8787: ", line)
        self.assertIn(f" What is more: cannot listen on {USUAL}: ", line)
        running.machine.taken.clear()
        running.reload(server=listening(USUAL))
        self.assertEqual(running.doors, [USUAL])

    def test_not_in_the_way(self) -> None:
        """An address of another port is not closed for one that cannot be had; nobody is refused."""
        running = Running(self, {"a": [Says("x")]})
        running.machine.taken.add(9000)
        before = [door.port for door in running.relay if isinstance(door, DoorService)]
        running.reload(server=listening(OTHER))
        self.assertEqual(len(running.said("not reloaded")), 1)
        after = [door.port for door in running.relay if isinstance(door, DoorService)]
        self.assertEqual((running.doors, after), ([USUAL], before))
        self.assertEqual(running.ask().status, 200)

    def test_stopped_meanwhile(self) -> None:
        """A relay that is told to stop while an address is made free opens none of them."""
        running = Running(self, {"a": [Says("x")]})
        running.written |= {"server": listening(f"{ANY}:8787")}
        running.relay.reload()
        stopping = running.stop()
        running.go()
        self.successResultOf(stopping)
        self.assertEqual(running.doors, [])

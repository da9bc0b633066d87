"""The addresses to listen on: how each way to write one is understood, and how it is shown."""

import os
from pathlib import Path

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.service.listening import endpoint, ours_alone, shown, socket_at


class _Port:
    """A port that is nothing but its address."""

    def __init__(self, address: object) -> None:
        self._address = address

    def getHost(self) -> object:
        return self._address


class EndpointTests(SynchronousTestCase):
    """From what stands in server.listen to a port."""

    def setUp(self) -> None:
        """Have a network in memory."""
        self.reactor = MemoryReactorClock()

    def listen(self, address: str) -> None:
        """Listen there."""
        self.successResultOf(endpoint(self.reactor, address).listen(Factory()))

    def test_hosts_and_ports(self) -> None:
        """An address is listened on as it is written; without a host, on all of IPv4."""
        for address, host, port in (
            ("127.0.0.1:8787", "127.0.0.1", 8787),
            ("localhost:8787", "127.0.0.1", 8787),
            ("0.0.0.0:80", "0.0.0.0", 80),  # noqa: S104  nothing listens in memory
            (":80", "", 80),
            ("192.0.2.7:0", "192.0.2.7", 0),
            ("[::1]:8787", "::1", 8787),
            ("[::]:8787", "::", 8787),
            ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ):
            self.reactor.tcpServers.clear()
            self.listen(address)
            ((listened, _, backlog, interface),) = self.reactor.tcpServers
            self.assertEqual((interface, listened), (host, port), address)
            self.assertGreater(backlog, 1000, "a burst of new connections must not be refused")

    def test_descriptions(self) -> None:
        """What begins like a Twisted endpoint is one, also where it ends like a port."""
        self.listen("tcp:8787:interface=127.0.0.1")
        self.listen("tcp:8788")
        self.listen("tcp:8789:127.0.0.1:50")
        servers = [(interface, port) for port, _, _, interface in self.reactor.tcpServers]
        self.assertEqual(servers, [("127.0.0.1", 8787), ("", 8788), ("127.0.0.1", 8789)])

    def test_unix_sockets(self) -> None:
        """A unix socket gets the permissions written behind it, however that is written."""
        self.listen("unix:/run/ccrelay.sock:mode=660")
        self.listen("unix:/run/other.sock:660")
        servers = [(path, mode) for path, _, _, mode, _ in self.reactor.unixServers]
        self.assertEqual(servers, [("/run/ccrelay.sock", 0o660), ("/run/other.sock", 0o660)])
        self.assertEqual(self.reactor.tcpServers, [])

    def test_the_operators_socket(self) -> None:
        """A socket for operators is their own from the start; one that was left behind is put away."""
        home = os.path.expanduser("~")  # noqa: PTH111
        for path, there in (("/run/a:b.sock", "/run/a:b.sock"), ("~/x.sock", f"{home}/x.sock")):
            self.listen(socket_at(path))
            address, _, _, mode, wants_pid = self.reactor.unixServers[-1]
            self.assertEqual((address, mode, wants_pid), (there, 0o600, True))

    def test_made_for_nobody_else(self) -> None:
        """What is made meanwhile nobody else can open; afterwards things are as they were."""
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        made = Path(self.mktemp())
        with ours_alone():
            made.touch()
        self.assertEqual(made.stat().st_mode & 0o777, 0o600)
        self.assertEqual(os.umask(0o022), 0o022)

    def test_no_address(self) -> None:
        """What is none is refused, and never listened on somewhere else."""
        for address in ("8787", "", "example.com:80", "http://127.0.0.1:80", "127.0.0.1:99999", "quux:1:2"):
            self.assertRaises(ValueError, endpoint, self.reactor, address)
        self.assertEqual(self.reactor.tcpServers, [])


class ShownTests(SynchronousTestCase):
    """A port, for a person to use."""

    def test_shown(self) -> None:
        """A port is a URL that can be copied; a socket is its path, whatever bytes that has."""
        for address, expected in (
            (IPv4Address("TCP", "127.0.0.1", 8787), "http://127.0.0.1:8787"),
            (IPv6Address("TCP", "::1", 8787), "http://[::1]:8787"),
            (UNIXAddress(b"/run/ccrelay.sock"), "unix:/run/ccrelay.sock"),
            (UNIXAddress(b"/run/\xff.sock"), "unix:/run/\udcff.sock"),
            (UNIXAddress(None), "unix:"),
        ):
            self.assertEqual(shown(_Port(address)), expected)

"""The rules of which addresses other machines reach."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.reach import address_of, reachable_from_outside


class ReachTests(SynchronousTestCase):
    """Addresses to listen on."""

    def test_loopback(self) -> None:
        """Loopback and unix sockets are for this machine alone."""
        for listen in (
            "127.0.0.1:8787", "localhost:8787", "127.8.9.10:0", "[::1]:8787", "[::ffff:127.0.0.1]:1",
            "unix:/run/ccrelay.sock", "unix:/run/ccrelay.sock:mode=660", "tcp:8787:interface=127.0.0.1",
            r"tcp6:8787:interface=\:\:1", "tcp:port=8787:interface=localhost",
        ):  # fmt: skip
            with self.subTest(listen=listen):
                self.assertFalse(reachable_from_outside(listen))

    def test_reachable(self) -> None:
        """All others, and what is not known, count as reachable."""
        for listen in (
            ":8787", "0.0.0.0:8787", "192.0.2.1:8787", "[::]:8787", "[2001:db8::1]:8787", "tcp:8787",
            "[::ffff:192.0.2.1]:1", "tcp:8787:interface=0.0.0.0", "tcp:8787:interface=", "tcp6:8787",
            r"tcp6:8787:interface=\:\:", "ssl:8443:privateKey=k.pem", "systemd:domain=INET:index=0",
            "haproxy:unix:/run/x.sock", "tcp:8787:interface=example.com", "[fe80::1%eth0]:8787",
        ):  # fmt: skip
            with self.subTest(listen=listen):
                self.assertTrue(reachable_from_outside(listen))

    def test_refused(self) -> None:
        """A host is localhost or an IP address; nothing else is an address, and the text says what is."""
        for listen in (
            "example.com:8787", "*:8787", "8787", "", "127.0.0.1", "127.0.0.1:99999", "::1:8787",
            "[127.0.0.1]:1", "localhost:port",
            "[]:8787", "http://127.0.0.1:8787", "127.0.0.1:port", "256.0.0.1:1", "[::1]", "localhost:",
        ):  # fmt: skip
            with self.subTest(listen=listen):
                self.assertTrue(str(self.assertRaises(ValueError, reachable_from_outside, listen)))

    def test_parts(self) -> None:
        """An address has a host and a port; a description of an endpoint has not."""
        self.assertEqual(address_of("[::1]:8787"), ("::1", 8787))
        self.assertEqual(address_of(":0"), ("", 0))
        self.assertEqual(address_of("localhost:1"), ("localhost", 1))
        self.assertIsNone(address_of("tcp:8787"))

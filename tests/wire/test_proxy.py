"""The rules of proxies: how one is written, and for which providers the environment's is used."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.proxy import Proxy, proxy_for

PROXY = "http://proxy.test:3128"


class ParseTests(SynchronousTestCase):
    """How an operator writes a proxy."""

    def test_host_and_port(self) -> None:
        """A name or an address, with or without http://; 80 is the port of all that have none."""
        for written, host, port in (
            ("http://proxy.test:3128", "proxy.test", 3128),
            ("proxy.test:3128", "proxy.test", 3128),
            ("HTTP://Proxy.Test:3128/", "proxy.test", 3128),
            ("http://proxy.test", "proxy.test", 80),
            ("http://10.0.0.1:8080", "10.0.0.1", 8080),
            ("http://[fd00::1]:8080", "fd00::1", 8080),
            ("http://b\u00fcro.test:8080", "xn--bro-hoa.test", 8080),
            ("http://a_b-1.test.:1", "a_b-1.test.", 1),
        ):
            proxy = Proxy.parse(written)
            self.assertEqual((proxy.host, proxy.port, proxy.authorization), (host, port, b""), written)

    def test_user_and_password(self) -> None:
        """They go into Proxy-Authorization, decoded from the URL, and are not shown."""
        for written, shown in (
            ("http://u:p%40ss%3a@proxy.test:1", b"Basic dTpwQHNzOg=="),
            ("http://u@proxy.test:1", b"Basic dTo="),
            ("u:p\u00e4ss@proxy.test:1", b"Basic dTpww6Rzcw=="),
        ):
            proxy = Proxy.parse(written)
            self.assertEqual((proxy.host, proxy.authorization), ("proxy.test", shown))
            self.assertNotIn("Basic", repr(proxy))

    def test_what_is_none(self) -> None:
        """Anything else is told with what is allowed, and without repeating what may be a password."""
        for written in (
            "", "http://", "https://u:secret@proxy.test:1", "socks5://u:secret@proxy.test:1",
            "http://proxy.test:1/path", "http://proxy.test:1?q", "http://proxy.test:1#f",
            "http://proxy.test:99999", "http://proxy.test:secret", "http://u:se cret@pro xy:1",
            "http://[secret", "http://[::g]:1", "http://a..b", "http://" + "a" * 64,
        ):  # fmt: skip
            problem = self.assertRaises(ValueError, Proxy.parse, written)
            self.assertEqual(str(problem), "an address such as http://proxy.example:8080", written)


class EnvironmentTests(SynchronousTestCase):
    """For which URLs the environment's proxy is used."""

    def proxied(self, url: str, without: str = "", **more: str) -> bool:
        """Return whether a URL is reached through the proxy that the environment names."""
        environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": without} | more
        found = proxy_for(url, environ)
        self.assertIn(found, (None, PROXY))
        return found is not None

    def test_what_it_is_for(self) -> None:
        """HTTPS_PROXY, in either case, is for https alone."""
        for name in ("HTTPS_PROXY", "https_proxy"):
            self.assertEqual(proxy_for("https://api.test", {name: PROXY}), PROXY)
            self.assertIsNone(proxy_for("http://api.test", {name: PROXY}))
        self.assertIsNone(proxy_for("https://api.test", {"HTTP_PROXY": PROXY}))
        self.assertIsNone(proxy_for("https://api.test", {"HTTPS_PROXY": ""}))
        self.assertIsNone(proxy_for("https://api.test", {}))

    def test_this_machine(self) -> None:
        """What is on this machine is never proxied."""
        for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:8443", "[::1]:8443"):
            self.assertFalse(self.proxied(f"https://{host}"), host)

    def test_names(self) -> None:
        """NO_PROXY holds for a name and all names under it, with or without a dot or star before it."""
        for entry in ("corp.test", ".corp.test", "*.corp.test", "CORP.test", "x, corp.test ,y", " corp.test"):
            for host in ("corp.test", "api.corp.test", "a.b.corp.test:8443", "API.Corp.Test"):
                self.assertFalse(self.proxied(f"https://{host}", entry), (entry, host))
            for host in ("corp.test.org", "notcorp.test", "test"):
                self.assertTrue(self.proxied(f"https://{host}", entry), (entry, host))

    def test_everything(self) -> None:
        """A star alone means nobody is proxied."""
        self.assertFalse(self.proxied("https://api.test", "*"))
        self.assertFalse(self.proxied("https://api.test", "x,*"))

    def test_nothing(self) -> None:
        """Empty entries mean nothing."""
        for entry in ("", ",", " , ", "."):
            self.assertTrue(self.proxied("https://api.test", entry), entry)

    def test_ports(self) -> None:
        """With a port an entry holds for that port alone; https has 443."""
        self.assertFalse(self.proxied("https://api.test", "api.test:443"))
        self.assertFalse(self.proxied("https://api.test:8443", "api.test:8443"))
        self.assertTrue(self.proxied("https://api.test:8443", "api.test:443"))
        self.assertFalse(self.proxied("https://a.api.test", ".api.test:443"))

    def test_addresses(self) -> None:
        """Addresses are excepted as they are written, those of IPv6 with and without brackets."""
        self.assertFalse(self.proxied("https://10.0.0.1", "10.0.0.1"))
        self.assertTrue(self.proxied("https://10.0.0.1", "10.0.0.2"))
        for entry in ("fd00::1", "[fd00::1]", "[fd00::1]:443"):
            self.assertFalse(self.proxied("https://[fd00::1]", entry), entry)
        self.assertTrue(self.proxied("https://[fd00::1]:8443", "[fd00::1]:443"))

    def test_the_small_letters_go_first(self) -> None:
        """Where a variable is there in both cases, that in small letters counts, as for curl."""
        environ = {"HTTPS_PROXY": "http://other", "https_proxy": PROXY, "NO_PROXY": "*", "no_proxy": "x"}
        self.assertEqual(proxy_for("https://api.test", environ), PROXY)

"""The rules of what Claude Code is told."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli.claude_address import base_url, loopback, same, shown, token

SECRET = "sk-test-0123456789"


class AddressTests(SynchronousTestCase):
    """An address that Claude Code could not use is not written down."""

    def test_good_addresses(self) -> None:
        """An address is taken as it is, but for slashes at its end."""
        for url in ("http://127.0.0.1:8787", "https://relay.example.com/team", "http://[::1]:8787"):
            self.assertEqual((base_url(url), base_url(url + "/")), (url, url))

    def test_bad_addresses(self) -> None:
        """What is no address of a relay is refused with what to do; a password in it is not repeated."""
        for url, said in {
            "127.0.0.1:8787": "such as http://",
            "ftp://relay": "such as http://",
            "http://": "such as http://",
            "http://a b": "such as http://",
            "http://relay:99999": "ort",
            "http://relay/v1": "leave out /v1",
            f"http://user:{SECRET}@relay": "leave out user name",
            f"ftp://user:{SECRET}@relay": "such as http://",
            "http://relay/?a=b": "leave out user name, query",
        }.items():
            message = str(self.assertRaises(ValueError, base_url, url))
            self.assertIn(said, message)
            self.assertNotIn(SECRET, message)

    def test_tokens(self) -> None:
        """A token is what can stand in a header; what cannot is refused without being repeated."""
        self.assertEqual(token(SECRET).reveal(), SECRET)
        for bad in ("", f"{SECRET}\n", f"{SECRET} {SECRET}", f"{SECRET}é"):
            self.assertNotIn(SECRET, str(self.assertRaises(ValueError, token, bad)))

    def test_same_place(self) -> None:
        """All names of this machine are one, and a scheme's own port needs no naming."""
        for other in ("http://localhost:8787/", "http://[::1]:8787", "HTTP://127.0.0.2:8787"):
            self.assertTrue(same("http://127.0.0.1:8787", other), other)
        self.assertTrue(same("https://relay", "https://relay:443/"))
        for other in (
            "http://127.0.0.1:8788",
            "https://127.0.0.1:8787",
            "http://127.0.0.1:8787/a",
            "",
            "http://[",
        ):
            self.assertFalse(same("http://127.0.0.1:8787", other), other)

    def test_this_machine(self) -> None:
        """Only a loopback address is this machine's for certain."""
        self.assertEqual(
            [loopback(url) for url in ("http://localhost:1", "http://[::1]:1", "http://10.0.0.1:1")],
            [1, 1, 0],
        )

    def test_shown(self) -> None:
        """Of a secret its last four characters are shown, of an address all but the password."""
        self.assertEqual(shown(SECRET, "ANTHROPIC_AUTH_TOKEN"), "…6789")
        self.assertEqual(shown(f"http://user:{SECRET}@relay/", "ANTHROPIC_BASE_URL"), "http://…@relay/")

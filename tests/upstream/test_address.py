"""URLs as treq takes them."""

from hyperlink import URL
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.upstream.address import known


class KnownTests(SynchronousTestCase):
    """What is looked at once is written as ever."""

    def test_as_hyperlink_writes_it(self) -> None:
        """A URL is written as hyperlink itself writes it for the wire, and is the same one next time."""
        for url in (
            "http://127.0.0.1:8788/v1/messages?beta=true", "https://api.example", "https://bücher.example/ä?ö=ü",
            "https://host/a%2Fb/c?x=%20&y", "https://user:word@host/x",
        ):  # fmt: skip
            uri = URL.from_text(url).to_uri()
            self.assertEqual(known(url).to_uri().to_text(), uri.to_text())
            self.assertEqual((known(url).host, known(url).port), (uri.host, uri.port))
            self.assertIs(known(url), known(url))

    def test_addresses(self) -> None:
        """An address is written as it is, be it of either version; what follows it as ever."""
        for url, written in (
            ("http://[::1]:11434/v1/messages?a=b c", "http://[::1]:11434/v1/messages?a=b%20c"),
            ("https://[2001:db8::5]/ä", "https://[2001:db8::5]/%C3%A4"),
            ("http://127.0.0.1:80/x", "http://127.0.0.1/x"),
        ):
            self.assertEqual(known(url).to_uri().to_text(), written)

    @given(st.text("abc%/?&=#:@[].", max_size=20))
    def test_whatever_a_query_holds(self, query: str) -> None:
        """Whatever is asked for is written as hyperlink writes it."""
        url = f"https://host/{query}"
        try:
            uri = URL.from_text(url).to_uri()
        except ValueError:
            self.assertRaises(ValueError, known, url)
        else:
            self.assertEqual(known(url).to_uri().to_text(), uri.to_text())

"""The rules of how the site closes: what was written goes out first, and nobody holds it up for long."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Says
from tests.network import Peer, http_request
from tests.stack import HEADERS, Stack, body


class CloseTests(SynchronousTestCase):
    """Closing the connections that clients keep."""

    def setUp(self) -> None:
        """Have a provider with a long answer, of which no network takes all at once."""
        self.stack = Stack(self, {"one": [Says("x" * 5_000_000)]})

    def unread(self) -> tuple[Peer, Deferred[None]]:
        """Return a client that has read nothing of its answer, and the site's closing."""
        peer = self.stack.connect()
        peer.send(http_request("POST", "/v1/messages", HEADERS, body()))
        peer.pause()
        self.stack.go()
        closing = self.stack.site.close()
        self.stack.go(1.9)
        self.assertNoResult(closing)
        self.assertFalse(self.stack.answer(peer).complete)
        return peer, closing

    def test_nobody_there(self) -> None:
        """Where no client is connected it is closed at once."""
        self.successResultOf(self.stack.site.close())

    def test_idle(self) -> None:
        """A connection that a client merely keeps is closed."""
        peer = self.stack.connect()
        closing = self.stack.site.close()
        self.stack.go()
        self.successResultOf(closing)
        self.assertTrue(peer.closed)

    def test_what_was_written(self) -> None:
        """A client that reads within two seconds gets all that was written to it."""
        peer, closing = self.unread()
        peer.resume()
        self.stack.go()
        self.successResultOf(closing)
        self.assertTrue(self.stack.answer(peer).complete)
        self.assertTrue(peer.closed)

    def test_a_client_that_does_not_read(self) -> None:
        """A client that does not is cut off."""
        peer, closing = self.unread()
        self.stack.go(0.1)
        self.successResultOf(closing)
        self.stack.go()
        self.assertEqual(self.stack.site.channels, set())
        peer.resume()
        self.stack.go()
        self.assertFalse(self.stack.answer(peer).complete)

"""The rules of the simulator's records."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.asked import Asked
from tests.simulator.stage import MESSAGE, STREAM, asked


class AskedTests(SynchronousTestCase):
    """What a record says of a request."""

    def test_json(self) -> None:
        """A record reads the body: model, and whether a stream was asked for."""
        self.assertEqual(asked(STREAM).json, STREAM)
        self.assertEqual(asked(STREAM).model, "claude-opus-5-5")
        self.assertTrue(asked(STREAM).stream)
        self.assertFalse(asked(MESSAGE).stream)
        self.assertFalse(asked({"stream": 1}).stream)

    def test_no_json(self) -> None:
        """A body that is not JSON, or not an object, is no error of the record."""
        for body in (b"", b"{", b"\xff", b"[" * 100_000, b"[1]", b'{"model": 1}'):
            record = asked(body)
            self.assertEqual((record.model, record.stream), ("", False))
        self.assertIsNone(asked(b"{").json)
        self.assertEqual(asked(b"[1]").json, [1])

    def test_a_late_body_is_read_anew(self) -> None:
        """Where the answer began before the body, the record reads the body when it is there."""
        record = asked(b"")
        self.assertIsNone(record.json)
        record.take(b'{"model": "m"}')
        self.assertEqual(record.model, "m")

    def test_headers(self) -> None:
        """Header fields are found in any case; each occurrence is kept."""
        record = Asked(1, 0.0, "GET", "/", ((b"x-one", b"1"), (b"x-one", b"\xe4")))
        self.assertEqual(record.header("X-One"), "1")
        self.assertIsNone(record.header("x-two"))
        self.assertEqual(len(record.headers), 2)

    def test_target(self) -> None:
        """Path and query are told apart."""
        record = asked(target="/v1/messages?beta=true&a=?")
        self.assertEqual((record.path, record.query), ("/v1/messages", "beta=true&a=?"))

    def test_the_end_of_a_whole_answer(self) -> None:
        """Whoever waits for the end of an exchange hears of it, before and after."""
        record = asked()
        waiting = record.ended()
        self.assertNoResult(waiting)
        self.assertTrue(record.open)
        record.end(None)
        self.assertIs(self.successResultOf(waiting), record)
        self.assertIs(self.successResultOf(record.ended()), record)
        self.assertEqual((record.open, record.gone, record.gone_at), (False, False, None))

    def test_a_peer_that_hung_up(self) -> None:
        """A lost connection is the peer's doing, and it is known when."""
        record = asked()
        record.end(12.5)
        self.assertEqual((record.gone, record.gone_at), (True, 12.5))

    def test_a_connection_that_the_simulator_broke(self) -> None:
        """Where the simulator broke the connection, nobody hung up."""
        record = asked()
        record.broken = True
        record.end(12.5)
        self.assertFalse(record.gone)

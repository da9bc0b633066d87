"""The rules of heads: what is a field stays one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.http1.heads import rendered, tokens


class RenderedTests(SynchronousTestCase):
    """Heads as they are sent."""

    def test_plain(self) -> None:
        """Line, fields, and an empty line."""
        head = rendered(b"HTTP/1.1 200 OK", [(b"a", b"1"), (b"b", b"")])
        self.assertEqual(head, b"HTTP/1.1 200 OK\r\na: 1\r\nb: \r\n\r\n")
        self.assertEqual(rendered(b"GET / HTTP/1.1", ()), b"GET / HTTP/1.1\r\n\r\n")

    def test_nothing_is_smuggled(self) -> None:
        """A line break in a value ends no line, whatever it is made of."""
        for evil in (b"x\r\nset-cookie: y", b"x\nset-cookie: y", b"x\rset-cookie: y", b"x\r\n\r\nbody"):
            head = rendered(b"HTTP/1.1 200 OK", [(b"a", evil), (b"b", b"2")])
            self.assertEqual(head.count(b"\n"), 4, evil)
            self.assertEqual(head.count(b"\r"), 4, evil)
            self.assertTrue(head.endswith(b"\r\nb: 2\r\n\r\n"), evil)

    def test_tokens(self) -> None:
        """The members of a list field, over all its lines."""
        self.assertEqual(tokens([(b"te", b"A, b"), (b"x", b"c"), (b"te", b" d")], b"te"), [b"a", b"b", b"d"])

"""C{ccrelay top}: what its screen shows at 80 x 24, and what its keys do."""

import io
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import main, top_rows
from ccrelay.cli.asking import Relay
from ccrelay.cli.top_screen import Screen
from ccrelay.cli.top_watch import Watch
from ccrelay.wire.sse import render
from tests.cli.standin import KEY, NOW, PROVIDER, REQUEST, status

NEAR = PROVIDER | {"name": "near", "keys": [KEY | {"name": "-"}], "standing": "open"}


class ScreenTests(SynchronousTestCase):
    """The screen, with a picture on it."""

    def setUp(self) -> None:
        """Make it."""
        self.now = 100.0
        self.orders: list[tuple[str, Any]] = []
        self.left = 0
        self.screen = Screen(
            "the relay", lambda *order: self.orders.append(order), self.leave, lambda: self.now
        )

    def leave(self) -> None:
        """Count who leaves."""
        self.left += 1

    def press(self, *keys: str) -> None:
        """Press keys, as a terminal would send them."""
        for key in keys:
            rest = self.screen.widget.keypress((80, 24), key)
            if rest is not None:
                self.screen.handled(rest)

    def text(self, columns: int = 80, lines: int = 24) -> str:
        """Return what is on the screen."""
        canvas = self.screen.widget.render((columns, lines), focus=True)
        text = "\n".join(line.decode() for line in canvas.text)
        self.assertEqual(len(canvas.text), lines)
        return text

    def foot(self) -> str:
        """Return the last line."""
        return self.text().splitlines()[-1]

    def show(self, **other: Any) -> None:
        """Show a picture."""
        self.screen.seen(status(**({"providers": [PROVIDER, NEAR]} | other)))

    def test_before_the_first_picture(self) -> None:
        """Before there is a picture it says where it asks."""
        self.assertIn("asking the relay", self.text())

    def test_all_on_one_screen(self) -> None:
        """80 columns and 24 lines hold the sums, providers, keys of the chosen one, requests and the keys."""
        self.show()
        text = self.text()
        for words in (
            "ccrelay 1.2.3  ready  failover  up 2 h  live", "3 flying  1.2k req 5 failed", "75% read",
            "far            ready              3", "near           circuit open", "main           ready",
            "req ", "20/50", "claude-sonnet-4-5", "far/main", "200", "812 ms", "9.1 s", "$0.0123", "q quit",
        ):  # fmt: skip
            self.assertIn(words, text)

    def test_small_and_large(self) -> None:
        """It can be drawn at any size, and more is shown where there is room."""
        self.show(recent=[REQUEST | {"id": str(number)} for number in range(40)])
        for columns, lines in ((20, 8), (80, 24), (200, 60)):
            self.text(columns, lines)
        self.assertGreater(self.text(80, 60).count("far/main"), self.text().count("far/main"))

    def test_choosing(self) -> None:
        """With the arrows another provider is chosen, its keys are shown, and it stays chosen."""
        self.show()
        self.press("down")
        self.assertIn("no key needed", self.text())
        self.show()
        self.assertIn("no key needed", self.text())
        self.show(providers=[NEAR, PROVIDER])
        self.assertIn("no key needed", self.text())
        self.show(providers=[PROVIDER])
        self.assertNotIn("no key needed", self.text())

    def test_orders(self) -> None:
        """What may hurt is asked about first; anything but y does nothing."""
        self.show()
        self.press("e", "r")
        self.assertEqual(self.orders, [("enable", {"provider": "far"}), ("reload", {})])
        for key, words, order in (
            ("d", "disable far? y/n", ("disable", {"provider": "far"})),
            ("D", "drain far? y/n", ("drain", {"provider": "far"})),
            ("b", "close the circuits of far? y/n", ("reset_breaker", {"provider": "far"})),
            ("s", "use the strategy round_robin? y/n", ("strategy", {"strategy": "round_robin"})),
            ("v", "take back all that was changed at run time? y/n", ("revert", {})),
        ):
            self.orders.clear()
            self.press(key)
            self.assertIn(words, self.foot())
            self.press("n")
            self.assertEqual(self.orders, [])
            self.press(key, "y")
            self.assertEqual(self.orders, [order])
        self.screen.said("done \x1b[2J")
        self.assertIn("done �[2J", self.foot())

    def test_help_and_leaving(self) -> None:
        """The help covers all until a key is pressed; q leaves."""
        self.show()
        self.press("?")
        self.assertIn("What the keys do", self.text())
        self.press("d")
        self.assertIn("far", self.text())
        self.assertEqual((self.orders, self.left), ([], 0))
        self.press("tab", "tab", "tab", "q")
        self.assertEqual(self.left, 1)

    def test_away(self) -> None:
        """While the relay is away the last picture stays, and it says since when and when it tries again."""
        self.show()
        self.screen.lost(95.0, 103.0, "it has hung up")
        self.assertIn("away for 5 s (it has hung up), again in 3 s", self.text(100))
        self.assertIn("far/main", self.text())
        self.now = 102.0
        self.screen.tick()
        self.assertIn("away for 7 s (it has hung up), again in 1 s", self.text(100))
        self.show()
        self.assertIn("live", self.text())

    def test_away_from_the_start(self) -> None:
        """A relay that is not there yet is waited for."""
        self.screen.lost(100.0, 101.0, "connection refused")
        self.assertIn("away for 0 s", self.text())

    def test_hostile_names(self) -> None:
        """Names do nothing to the terminal, and do not break lines."""
        name = "\x1b[31m\nevil\x07" + "x" * 300
        attempt = REQUEST["attempts"][0] | {"provider": name, "reason": name}  # type: ignore[index]
        bad = REQUEST | {"model": name, "ended": name, "attempts": [attempt, attempt], "answered": 1}
        self.show(recent=[bad], providers=[PROVIDER | {"name": name, "keys": [KEY | {"name": name}]}],
                  changes=[name], ready=name)  # fmt: skip
        text = self.text()
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\x07", text)

    def test_colours_mean_something(self) -> None:
        """Each standing has its colour, and a word for who sees none."""
        for standing, colour in (("ready", "32"), ("open", "31"), ("draining", "33"), ("disabled", "90")):
            line = top_rows.provider(PROVIDER | {"standing": standing})
            self.assertEqual(line[1][0], colour)
            self.assertTrue(line[1][1].strip())
        full = KEY | {"usage": [{"kind": "requests", "limit": 10, "used": 10}]}
        self.assertIn(("31", "████████"), top_rows.key(full, NOW))


class CommandTests(SynchronousTestCase):
    """The command itself."""

    def test_no_terminal(self) -> None:
        """Without a terminal it says what to do instead."""
        out, err = io.StringIO(), io.StringIO()
        code = main.run(("top", "--url", "127.0.0.1:1"), out, err, {}, Path("/nonexistent"))
        self.assertEqual((code, out.getvalue()), (2, ""))
        self.assertIn("top needs a terminal; `ccrelay status`", err.getvalue())


class WatchTests(SynchronousTestCase):
    """Listening to a relay."""

    def setUp(self) -> None:
        """Listen to one that is not there yet."""
        self.reactor = MemoryReactorClock()
        self.seen: list[Any] = []
        self.lost: list[str] = []
        self.watch = Watch(Relay(None, "127.0.0.1", 9100), self.reactor, self.seen.append, self.lost.append)
        self.watch.start()

    def connected(self) -> Any:
        """Let the connection be there; return the bytes that come, as a function."""
        host, port, factory, *_ = self.reactor.tcpClients[-1]
        self.assertEqual((host, port), ("127.0.0.1", 9100))
        from twisted.internet.testing import StringTransport  # noqa: PLC0415

        protocol = factory.buildProtocol(None)
        transport = StringTransport()
        transport.abortConnection = lambda: None  # type: ignore[method-assign]
        protocol.makeConnection(transport)
        self.assertIn(b"GET /status/events HTTP/1.1\r\n", transport.value())
        return protocol.dataReceived

    def test_pictures(self) -> None:
        """Each picture is shown once it is whole, of several that come together the newest."""
        come = self.connected()
        come(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        one, two = render(b"status", b'{"n":1}'), render(b"status", b'{"n":2}')
        come(one[:9])
        self.assertEqual(self.seen, [])
        come(one[9:])
        come(one + two + one[:5])
        self.assertEqual(self.seen, [{"n": 1}, {"n": 2}])
        come(one[5:])
        self.assertEqual(self.seen[2:], [{"n": 1}])

    def test_silence(self) -> None:
        """Five seconds without a picture, and it is asked again, after longer and longer pauses."""
        self.connected()(b"HTTP/1.1 200 OK\r\n\r\n")
        for pause in (1, 2, 4, 8, 15, 15):
            asked = len(self.reactor.tcpClients)
            self.reactor.advance(5.1)
            self.assertIsNotNone(self.watch.away)
            self.reactor.advance(pause)
            self.assertEqual(len(self.reactor.tcpClients), asked + 1)

    def test_refused(self) -> None:
        """What answers with an error is told, and asked again."""
        self.connected()(b"HTTP/1.1 503 Full\r\ncontent-length: 0\r\n\r\n")
        self.assertEqual(self.lost, ["it answered 503"])
        self.reactor.advance(1)
        come = self.connected()
        come(b"HTTP/1.1 200 OK\r\n\r\n" + render(b"status", b'{"n":1}'))
        self.assertEqual(self.seen, [{"n": 1}])
        self.assertIsNone(self.watch.away)

"""C{ccrelay top}: a running relay as it changes, in a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ccrelay.cli.asking import NoAnswerError, relay_of
from ccrelay.cli.ordering import parser_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from ccrelay.cli.asking import Relay

_USAGE = 2


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    Show a relay until the user leaves.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    options = parser().parse_args(arguments)
    try:
        relay = relay_of(options, environ, home)
    except NoAnswerError as problem:
        err.write(f"ccrelay: {problem}\n")
        return problem.status
    if not (out.isatty() and sys.stdin.isatty()):
        err.write("ccrelay: top needs a terminal; `ccrelay status` writes the same into a file or a pipe\n")
        return _USAGE
    _show(relay)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    return parser_of("top", "Show a running relay as it changes; ? tells the keys, q ends it.")


def _show(relay: Relay) -> None:
    import urwid  # noqa: PLC0415  slow to load, and not needed to say what is wrong
    from twisted.internet import reactor  # noqa: PLC0415
    from twisted.internet.task import LoopingCall  # noqa: PLC0415
    from twisted.internet.threads import deferToThread  # noqa: PLC0415

    from ccrelay.cli.top_screen import PALETTE, Screen  # noqa: PLC0415
    from ccrelay.cli.top_watch import Watch  # noqa: PLC0415

    clock: Any = reactor

    def leave() -> None:
        raise urwid.ExitMainLoop

    def order(action: str, asked: Mapping[str, str]) -> None:
        screen.said(f"{action} …")
        ordering = deferToThread(relay.order, action, **asked)
        ordering.addCallbacks(
            lambda told: said(told.get("done", "done")), lambda failure: said(str(failure.value))
        )

    def said(words: str) -> None:
        screen.said(words)
        loop.draw_screen()

    def seen(status: Mapping[str, Any]) -> None:
        screen.seen(status)
        loop.draw_screen()

    def lost(words: str) -> None:
        screen.lost(watch.away or clock.seconds(), watch.again, words)
        loop.draw_screen()

    def tick() -> None:
        if watch.away is not None:
            screen.tick()
            loop.draw_screen()

    screen = Screen(relay.where, order, leave, clock.seconds)
    loop = urwid.MainLoop(
        screen.widget, PALETTE, event_loop=urwid.TwistedEventLoop(clock), unhandled_input=screen.handled,
        handle_mouse=False,
    )  # fmt: skip
    watch = Watch(relay, clock, seen, lost)
    clock.callWhenRunning(watch.start)
    ticking = LoopingCall(tick)
    clock.callWhenRunning(ticking.start, 1.0)
    loop.run()

"""The screen of C{ccrelay top}: its panes, and what its keys do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import urwid

from ccrelay.cli import top_rows as rows
from ccrelay.cli.showing import BAD, GOOD, OFF, WARN, clean, lasting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PALETTE: Final = [
    (GOOD, "dark green", "default"), (WARN, "brown", "default"), (BAD, "light red", "default"),
    (OFF, "dark gray", "default"), ("plain", "default", "default"), ("title", "bold", "default"),
    ("head", "underline", "default"), ("chosen", "standout", "default"), ("foot", "standout", "default"),
]  # fmt: skip
_KEYS: Final = " ↑↓  e enable  d disable  D drain  b reset  s strategy  r reload  ? help  q quit"
HELP: Final = """ What the keys do

 ↑ ↓         choose a provider; its keys are shown below
 Tab         go to the next pane: providers, keys, requests
 e           enable the provider       d  disable it
 D           drain it: no new conversation goes there
 b           close its circuits
 s           use the next strategy     r  reload the configuration
 v           take back what was changed at run time
 q           quit

 Green is well, yellow is limited or being tried, red does not work, grey is off.

 Any key goes back.
"""


class _Line(urwid.Text):
    """A line that can be chosen."""

    _selectable = True

    def keypress(self, _size: Any, key: str) -> str:  # noqa: ANN401  urwid's sizes
        """Leave every key to others."""
        return key


class _Pane(urwid.ListBox):  # type: ignore[type-arg]
    """Lines with names; what was chosen stays chosen when they change."""

    def __init__(self, title: str) -> None:
        self.names: list[str] = []
        self._walker: Any = urwid.SimpleFocusListWalker([])
        super().__init__(self._walker)
        self.framed: Any = urwid.Frame(self, header=urwid.AttrMap(urwid.Text(title, wrap="clip"), "head"))

    def show(self, lines: Sequence[tuple[str, rows.Markup]]) -> None:
        """Show lines, each with its name."""
        chosen = self.chosen
        self.names = [name for name, _ in lines]
        self._walker[:] = [
            urwid.AttrMap(_Line(markup, wrap="clip"), None, {None: "chosen"}) for _, markup in lines
        ]
        if lines:
            self._walker.set_focus(self.names.index(chosen) if chosen in self.names else 0)

    @property
    def chosen(self) -> str | None:
        """The name of the line that is chosen."""
        place = self._walker.focus if self.names else None
        return self.names[place] if place is not None and place < len(self.names) else None


class Screen:
    """
    Shows pictures, and gives orders.

    @ivar widget: what is on the screen.
    """

    def __init__(
        self,
        where: str,
        order: Callable[[str, Mapping[str, str]], None],
        leave: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """
        @param where: where the relay is, in words.
        @param order: gives an order: the action, and what is asked with it.
        @param leave: ends it.
        @param clock: returns seconds.
        """
        self._where = where
        self._order = order
        self._leave = leave
        self._clock = clock
        self._status: Mapping[str, Any] | None = None
        self._question: tuple[str, Callable[[], None]] | None = None
        self._heard = 0.0
        self._away: tuple[float, float, str] | None = None
        self._head, self._sums, self._changes = (urwid.Text("", wrap="clip") for _ in range(3))
        self._foot = urwid.Text(_KEYS, wrap="clip")
        self._providers = _Pane(rows.PROVIDERS)
        self._keys = _Pane(rows.KEYS)
        self._recent = _Pane(rows.RECENT)
        panes = ((3, self._providers), (2, self._keys), (4, self._recent))
        self._panes = urwid.Pile([("weight", part, pane.framed) for part, pane in panes])
        urwid.connect_signal(self._providers.body, "modified", self._show_keys)
        self._frame = urwid.Frame(
            self._panes,
            header=urwid.Pile([self._head, self._sums, self._changes]),
            footer=urwid.AttrMap(self._foot, "foot"),
        )
        self.widget: Any = urwid.WidgetPlaceholder(self._frame)
        self._head.set_text(f" ccrelay  asking {where} …")

    def seen(self, status: Mapping[str, Any]) -> None:
        """Show a picture."""
        self._status, self._heard, self._away = status, self._clock(), None
        self._draw()

    def lost(self, since: float, again: float, words: str) -> None:
        """
        Show that there are no new pictures; the last one stays.

        @param since: when that began, C{again}: when it is tried again, in seconds of the clock.
        """
        self._away = since, again, words
        self._draw()

    def said(self, words: str) -> None:
        """Show what came of an order."""
        self._foot.set_text(f" {clean(words)}")

    def handled(self, key: str | tuple[str, int, int, int]) -> bool:
        """Do what a key is for; see C{urwid.MainLoop}."""
        if isinstance(key, str):
            self.pressed(key)
        return True

    def pressed(self, key: str) -> None:
        """Do what a key is for."""
        if self.widget.original_widget is not self._frame:
            self.widget.original_widget = self._frame
        elif self._question is not None:
            (_, do), self._question = self._question, None
            self._foot.set_text(_KEYS)
            if key in {"y", "Y"}:
                do()
        elif key in {"q", "Q"}:
            self._leave()
        elif key == "?":
            self.widget.original_widget = urwid.Filler(urwid.Text(HELP), valign="top")
        elif key == "tab":
            self._panes.focus_position = (self._panes.focus_position + 1) % 3
        else:
            self._act(key)

    def tick(self) -> None:
        """Let what tells the time be right, and the keys of the chosen provider be shown."""
        self._draw()

    def _act(self, key: str) -> None:
        chosen = self._providers.chosen
        actions = {"e": "enable", "d": "disable", "D": "drain", "b": "reset_breaker"}
        if key in actions and chosen is not None:
            action = actions[key]
            words = {"reset_breaker": f"close the circuits of {chosen}"}.get(action, f"{action} {chosen}")
            if action == "enable":
                self._order(action, {"provider": chosen})
            else:
                self._ask(words, lambda: self._order(action, {"provider": chosen}))
        elif key == "r":
            self._order("reload", {})
        elif key == "v":
            self._ask("take back all that was changed at run time", lambda: self._order("revert", {}))
        elif key == "s" and self._status is not None:
            choices, name = self._status["strategy"]["choices"], self._status["strategy"]["name"]
            place = choices.index(name) + 1 if name in choices else 0
            asked = {"strategy": choices[place % len(choices)]}
            self._ask(f"use the strategy {asked['strategy']}", lambda: self._order("strategy", asked))

    def _ask(self, words: str, do: Callable[[], None]) -> None:
        self._question = words, do
        self._foot.set_text(f" {clean(words)}? y/n")

    def _live(self) -> tuple[str, str]:
        if self._away is None:
            return (GOOD, "live")
        since, again, words = self._away
        now = self._clock()
        wait = max(again - now, 0.0)
        return (BAD, f"away for {lasting(now - since)} ({clean(words)[:30]}), again in {wait:.0f} s")

    def _draw(self) -> None:
        status = self._status
        if status is None:
            self._head.set_text([f" ccrelay at {self._where}  ", self._live()])
            return
        # What is shown stays as old as it is while the relay is away.
        now = status["now"]
        self._head.set_text(rows.head(status, self._live()))
        self._sums.set_text(rows.sums(status))
        self._changes.set_text(rows.changes(status))
        self._providers.show([(one["name"], rows.provider(one)) for one in status["providers"]])
        self._recent.show([(one["id"], rows.request(one, now)) for one in status["recent"]])

    def _show_keys(self) -> None:
        """Show the keys of the provider that is chosen."""
        status, chosen = self._status, self._providers.chosen
        for one in status["providers"] if status is not None else ():
            if one["name"] == chosen and status is not None:
                self._keys.show([(key["name"], rows.key(key, status["now"])) for key in one["keys"]])

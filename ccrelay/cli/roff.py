"""Pages of the manual as C{man} reads them: man(7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_BOLD = re.compile(r"`([^`]+)`")


class Page:
    """A page that is being written, from its top to its end."""

    def __init__(self, name: str, section: int, date: str, version: str, says: str) -> None:
        """
        @param date: as C{2026-11-26}.
        @param says: what it is, in half a line.
        """
        self._lines = [
            f'.TH "{_text(name.upper())}" "{section}" "{date}" "ccrelay {_text(version)}"',
            ".nh",
            ".ad l",
        ]
        self.heading("NAME")
        self._lines.append(f"{_text(name)} \\- {_text(says)}")

    def heading(self, words: str) -> None:
        """Begin a section."""
        self._lines.append(f'.SH "{_text(words)}"')

    def subheading(self, words: str) -> None:
        """Begin a part of a section."""
        self._lines.append(f'.SS "{_text(words)}"')

    def paragraph(self, words: str) -> None:
        """Write a paragraph; what stands between backquotes is bold."""
        self._begin()
        self._lines.append(_line(words))

    def entry(self, name: str, words: str) -> None:
        """Write what something is, below its name."""
        self._lines += [".TP", f".B {_text(name)}", _line(words)]

    def verbatim(self, lines: Iterable[str]) -> None:
        """Write lines as they are."""
        self._begin()
        self._lines += [".nf", ".RS 4", *(_line(line) for line in lines), ".RE", ".fi"]

    def _begin(self) -> None:
        if not self._lines[-1].startswith((".SH", ".SS")):
            self._lines.append(".PP")

    def written(self) -> str:
        """Return the page."""
        return "\n".join(self._lines) + "\n"


def _text(words: str) -> str:
    """Return words in which nothing has a meaning for roff."""
    return words.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")


def _line(words: str) -> str:
    """Return a line that is no order, with what stands between backquotes in bold."""
    parts = _BOLD.split(words)
    told = "".join(f"\\fB{_text(part)}\\fR" if place % 2 else _text(part) for place, part in enumerate(parts))
    return f"\\&{told}" if told.startswith((".", "\\(aq")) else told

"""Text for terminals: tables, bars, and names from outside that must not do anything there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

GOOD, WARN, BAD, OFF = "32", "33", "31", "90"
"""Colours of terminals, as their escape sequences have them."""

COLOURS: Final[Mapping[str, str]] = {
    "ready": GOOD, "closed": GOOD, "degraded": WARN, "half_open": WARN, "draining": WARN, "cooling": WARN,
    "waiting": WARN, "full": WARN, "open": BAD, "no_key": BAD, "invalid": BAD, "exhausted": BAD,
    "disabled": OFF,
}  # fmt: skip
"""What each standing of a provider or a key looks like; the word is always there as well."""

WORDS: Final[Mapping[str, str]] = {
    "half_open": "half open", "open": "circuit open", "no_key": "no usable key", "full": "at its limit",
    "cooling": "cooling down", "waiting": "told to wait",
}  # fmt: skip
"""What a standing is called where its name is not a word."""

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


def clean(text: object) -> str:
    """Return text without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def cut(text: object, width: int) -> str:
    """Return text that is clean and not wider than C{width} characters."""
    whole = clean(text)
    return whole if len(whole) <= width else whole[: width - 1] + "…"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    """
    Yield the lines of a table.

    @param right: the columns that are flush right.
    """
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    for row in (heads, *rows):
        cells = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def bar(used: float, limit: float, width: int = 10) -> str:
    """Return how much of a limit is used, as a bar; blank where there is no limit."""
    if not limit:
        return " " * width
    eighths = round(min(used / limit, 1.0) * width * 8)
    whole, rest = divmod(eighths, 8)
    part = " ▏▎▍▌▋▊▉"[rest] if rest else ""
    return ("█" * whole + part).ljust(width, "·")


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last of some values as blocks, each as high as it is among them."""
    shown = values[-width:]
    top = max(shown, default=0.0) or 1.0
    return "".join("▁▂▃▄▅▆▇█"[min(int(value / top * 8), 7)] for value in shown)


def lasting(seconds: float) -> str:
    """Return a time in one unit."""
    if seconds < 1.5 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 1.5 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 1.5 * _DAY else f"{seconds / _DAY:.0f} d"


def milliseconds(amount: float | None) -> str:
    """Return a time that was measured."""
    if amount is None:
        return "-"
    return f"{amount:.0f} ms" if amount < 1000 else f"{amount / 1000:.1f} s"  # noqa: PLR2004


def count(amount: float) -> str:
    """Return a number in few characters."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if amount >= 10 * size:
            return f"{amount / size:.0f}{unit}"
        if amount >= size:
            return f"{amount / size:.1f}{unit}"
    return f"{amount:.0f}"


def dollars(amount: float | None) -> str:
    """Return an amount of money."""
    return "-" if amount is None else f"${amount:.2f}" if amount >= 1 or not amount else f"${amount:.4f}"


def word(standing: str) -> str:
    """Return what a standing is called."""
    return WORDS.get(standing, standing)


class Painter:
    """Colours words, where whoever reads has a terminal and has not said that there should be none."""

    def __init__(self, out: TextIO, environ: Mapping[str, str]) -> None:
        self.on = out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    def paint(self, text: str, standing: str) -> str:
        """Return text in the colour of a standing."""
        colour = COLOURS.get(standing)
        return f"\x1b[{colour}m{text}\x1b[0m" if self.on and colour else text

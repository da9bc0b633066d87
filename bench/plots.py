"""Draws what was compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "ccrelay"
from matplotlib import pyplot as plt  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

FEW: Final = 4
"""So many bars stand beside each other with their figures level."""


def draw(figures: dict[str, dict[str, float]], folder: Path) -> None:
    """Write two plots, CPU by request and by event, as SVG."""
    for name, begins, title in (
        ("performance-requests.svg", "µs of CPU, ", "CPU of a request, by its size"),
        ("performance-events.svg", "µs of CPU, event", "CPU of an event, by streams"),
    ):
        cases = [c for c in figures if c.startswith(begins) and ("event" in c) == ("event" in begins)]
        who = list(figures[cases[0]])
        figure, axes = plt.subplots(figsize=(9.5, 3.4))
        width = 0.8 / len(who)
        for place, each in enumerate(who):
            at = [number + place * width for number in range(len(cases))]
            bars = axes.bar(at, [figures[case].get(each, 0) for case in cases], width, label=each)
            axes.bar_label(bars, fmt="{:,.0f}", fontsize=6, rotation=45 if len(who) > FEW else 0)
        labels = [case.removeprefix("µs of CPU, ").removesuffix(" request") for case in cases]
        axes.set_xticks([number + 0.4 - width / 2 for number in range(len(cases))], labels)
        axes.set_yscale("log")
        axes.set_ylim(top=axes.get_ylim()[1] * 2)  # room for the figures
        axes.set_ylabel("µs (log)")
        axes.set_title(title)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        figure.tight_layout()
        figure.savefig(folder / name, metadata={"Date": None})

"""Compares ccrelay with nginx in one run: CPU, delays, memory, start, and how cost grows."""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.peers import PEERS, started
from bench.rig import ROOT
from bench.rivals import Failed, Place, provider, steady, streams, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.rivals import Rival

SIZES = {"small": 200, "100 KB": 100_000, "600 KB": 600_000, "2 MB": 2_000_000}
PAGE, BEGIN, END = ROOT / "docs/performance.md", "<!-- bench:begin -->", "<!-- bench:end -->"
_WORDS = "some words of a text "
Figures = dict[str, dict[str, float]]


def body(size: int) -> bytes:
    """Return a request with so much text."""
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 64, "metadata": {"user_id": "lab"}}
    # Words: others count tokens, and one word of 100 KB takes that minutes.
    text = _WORDS * (size // len(_WORDS))
    return json.dumps({**asked, "messages": [{"role": "user", "content": text}]}).encode()


def measured(
    place: Place, rivals: list[Rival], rounds: int, numbers: list[int]
) -> tuple[Figures, dict[str, str]]:
    """Return the figures of all rivals by case, taken in turns, and what went wrong by who and what."""
    each: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    wrong: dict[str, str] = {}
    for round_ in range(rounds):
        for size_name, size in SIZES.items():
            case = f"µs of CPU, {size_name} request"
            for rival in rivals:
                with noted(wrong, rival, case), only(rival, rivals):
                    each[case][rival.name].append(rival.requests(place.folder, body(size), 3))
        for number in numbers:
            case = f"µs of CPU, event, {number} streams"
            for rival in rivals:
                with noted(wrong, rival, case), only(rival, rivals):
                    found = rival.streams(number)
                if f"{rival.name}, {case}" in wrong:
                    continue
                each[case][rival.name].append(found["cpu_us"])
                each[f"ms an event is late, p50, {number} streams"][rival.name].append(found["delay_p50_ms"])
                each[f"ms an event is late, p99, {number} streams"][rival.name].append(found["delay_p99_ms"])
                if round_ == 0:  # later ones find the memory of the first
                    each[f"KB for each of {number} streams"][rival.name].append(found["kb"])
        case = "ms added to the first byte, p50, 16 at once"
        for _ in range(10):  # of short streams: one alone says little
            direct = streams(place.paced, 16, [], tokens=2)["first_ms"]
            for rival in rivals:
                with noted(wrong, rival, case), only(rival, rivals):
                    found = streams(rival.ports["paced"], 16, [], tokens=2)
                    if found["whole"] == 16:
                        each[case][rival.name].append(found["first_ms"] - direct)
        direct = steady(place.paced)
        case = "ms added to the first byte, p50, 16 clients at work"
        for rival in rivals:
            with noted(wrong, rival, case), only(rival, rivals):
                each[case][rival.name].append(steady(rival.ports["paced"]) - direct)
        print(f"round {round_ + 1} of {rounds} done", file=sys.stderr)
    figures = {case: {who: median(values) for who, values in by.items()} for case, by in each.items()}
    return figures, wrong


@contextmanager
def only(rival: Rival | None, rivals: list[Rival]) -> Iterator[None]:
    """Have all others, or all, stand still: what they do when nobody asks them is not this one's."""
    others = [each for each in rivals if each is not rival]
    for each in others:
        each.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in others:
            each.signal(signal.SIGCONT)


@contextmanager
def noted(wrong: dict[str, str], rival: Rival, case: str) -> Iterator[None]:
    """Note what goes wrong with another's relay; with ccrelay or nginx it ends the comparison."""
    try:
        yield
    except (Failed, subprocess.SubprocessError) as problem:
        if rival.name not in PEERS:
            sys.exit(f"{rival.name}, {case}: {problem}")
        wrong[f"{rival.name}, {case}"] = str(problem)


def alone(rivals: list[Rival]) -> Figures:
    """Return what is measured once for each: memory, and how long large requests hold others up."""
    from bench.held import held  # noqa: PLC0415
    from bench.streams import resident  # noqa: PLC0415

    figures: Figures = defaultdict(dict)
    for rival in rivals:
        figures["MB of memory after all of this"][rival.name] = resident(rival.pids("paced")) / 1024
        if rival.name.startswith("ccrelay"):
            for size in (2_000_000, 30_000_000):
                case = f"ms that {size // 1_000_000} MB hold others up, most"
                with only(rival, rivals):
                    figures[case][rival.name] = held(rival.ports["whole"], size)
    return figures


def starts(place: Place) -> dict[str, float]:
    """Return how long ccrelay and nginx take to the first answer."""
    figures = {}
    for name in ("ccrelay", "nginx"):
        took = []
        for _ in range(3):
            began = time.monotonic()
            made = place.relay(name, only="whole") if name == "ccrelay" else place.proxy()
            wait_for(made.ports["whole"])
            took.append(time.monotonic() - began)
        figures[name] = median(took)
    return figures


def growth(place: Place) -> list[str]:
    """Return how the cost of a small request grows, as lines of a table."""
    lines = ["", "| ccrelay, µs of CPU | 1 | 10 | 100 | 1,000 |", "|---|---|---|---|---|"]

    def line(what: str, values: dict[int, float]) -> None:
        shown = (f"{values[n]:.0f}" if n in values else "-" for n in (1, 10, 100, 1000))
        lines.append(f"| {what} | {' | '.join(shown)} |")

    small = body(200)
    made = {}
    for n in (1, 10, 100):
        listed = "\n".join(provider(f"p{k}", place.whole) for k in range(n))
        made[n] = place.relay("ccrelay", providers=listed, only="whole")
    line("a small request, by providers", {n: r.requests(place.folder, small, 2) for n, r in made.items()})
    made = {
        n: place.relay("ccrelay", providers=provider("one", place.whole, n), only="whole")
        for n in (1, 10, 100, 1000)
    }
    line("a small request, by keys", {n: r.requests(place.folder, small, 2) for n, r in made.items()})
    session = 'wrk.headers["x-claude-code-session-id"] = "session-" .. (n %% {n})'.replace("%%", "%")
    relay = place.relay("ccrelay")
    found = {
        n: relay.requests(place.folder, small, 3, session.replace("{n}", str(n))) for n in (1, 10, 100, 1000)
    }
    line("a small request, by conversations", found)
    many = relay.requests(place.folder, small, 5, session.replace("{n}", "100000"))
    lines.append(f"| a small request, by 100,000 conversations | {many:.0f} | | | |")
    line("an event, by streams", {n: relay.streams(n)["cpu_us"] for n in (1, 10, 100, 1000)})
    return lines


def table(figures: Figures, names: list[str]) -> list[str]:
    """Return the figures as the lines of a table; all but nginx with their ratio to it."""
    lines = [f"| | {' | '.join(names)} |", f"|---{'|---' * len(names)}|"]
    for case, found in figures.items():
        floor = found.get("nginx")
        shown = []
        for name in names:
            value = found.get(name)
            if value is None:
                shown.append("-")
                continue
            digits = 0 if value >= 100 else 1 if value >= 10 else 2
            ratio = f" ({value / floor:.1f} x)" if floor and name != "nginx" and "CPU" in case else ""
            shown.append(f"{value:,.{digits}f}{ratio}")
        lines.append(f"| {case} | {' | '.join(shown)} |")
    return lines


def machine() -> str:
    """Return what it was measured on."""
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    nginx = subprocess.run(
        [shutil.which("nginx") or "nginx", "-v"], capture_output=True, text=True, check=False
    ).stderr.split("/")[-1]
    cores = len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    parts = ", ".join(
        f"{name} {version(name)}" for name in ("twisted", "httptools", "msgspec", "klein", "treq")
    )
    today, where = time.strftime("%Y-%m-%d"), cpu[1] if cpu else platform.machine()
    return (
        f"{today}, {where}, {cores} cores, Linux {platform.release()}; ccrelay {version('ccrelay')}, "
        f"Python {platform.python_version()}, {parts}; nginx {nginx.strip()}"
    )


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, no growth")
    parser.add_argument("--peers", default="", help=f"also compare, comma-separated: {', '.join(PEERS)}")
    parser.add_argument(
        "--write", action="store_true", help=f"put table and plots into {PAGE.relative_to(ROOT)}"
    )
    asked = parser.parse_args()
    missing = [tool for tool in ("nginx", "wrk", "taskset") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; on Debian: apt install nginx-light wrk util-linux")
    place = Place()
    try:
        rivals = [place.proxy(), place.relay("ccrelay"), place.relay("ccrelay over twisted", "twisted")]
        peers, absent = started(place, [name for name in asked.peers.split(",") if name])
        rivals += peers
        numbers = [100] if asked.quick else [100, 400]
        figures, wrong = measured(place, rivals, 1 if asked.quick else asked.rounds, numbers)
        figures |= alone(rivals)
        with only(None, rivals):
            figures["s from start to first answer"] = starts(place)
            grown = [] if asked.quick else growth(place)
        lines = table(figures, [rival.name for rival in rivals]) + grown
    finally:
        place.close()
    absent += [f"{what}: {why}" for what, why in wrong.items()]
    lines += ["", machine()] + [line for each in absent for line in ("", f"Not measured: {each}.")]
    print("\n".join(lines))
    if asked.write:
        from bench.plots import draw  # noqa: PLC0415

        draw(figures, PAGE.parent)
        text = PAGE.read_text()
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text("\n".join([before + BEGIN, "", *lines, "", END + rest.partition(END)[2]]))


if __name__ == "__main__":
    main()

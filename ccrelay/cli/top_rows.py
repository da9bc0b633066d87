"""The lines of C{ccrelay top}, as text with colours: what C{urwid} calls markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ccrelay.cli.showing import (
    COLOURS,
    bar,
    count,
    cut,
    dollars,
    lasting,
    milliseconds,
    sparkline,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Markup: TypeAlias = "list[str | tuple[str, str]]"

_KINDS: Final = {"requests": "req", "input-tokens": "in", "output-tokens": "out", "tokens": "tok"}
_FAILED: Final = 400
_NEARLY: Final = 0.8
"""The share of a limit from which on it is nearly used up."""

PROVIDERS: Final = (
    f" {'provider':<14} {'stands':<13} {'flying':>6} {'first byte':<18} {'tried':>6} {'cost':>9}"
)
KEYS: Final = f" {'key':<14} {'stands':<20} {'of a minute':<11}"
RECENT: Final = f" {'ago':>6} {'model':<20} {'by':<16} {'':<4} {'first':>7} {'in all':>7} {'cost':>8}"


def standing(name: str, width: int) -> tuple[str, str]:
    """Return the word for a standing, in its colour."""
    return (COLOURS.get(name, "plain"), f"{word(name):<{width}}")


def head(status: Mapping[str, Any], live: tuple[str, str]) -> Markup:
    """Return the first line: whether all is well; C{live} says whether the picture is."""
    ready = status["ready"]
    strategy = status["strategy"]
    changed = "*" if strategy["changed"] else ""
    up = f"up {lasting(status['now'] - status['started'])}"
    return [
        ("title", f" ccrelay {cut(status['ccrelay'], 10)} "), " ",
        ("32", "ready") if ready is None else ("31", cut(f"not ready: {ready}", 40)),
        f"  {cut(strategy['name'], 20)}{changed}  {up}  ", live,
    ]  # fmt: skip


def sums(status: Mapping[str, Any]) -> Markup:
    """Return the second line: how much, for how much, and how fast."""
    totals = status["totals"]
    cached = totals["cache_read_tokens"] + totals["cache_write_tokens"]
    share = f" {totals['cache_read_tokens'] / cached:.0%} read" if cached else ""
    waits = status["ttfb_ms"]
    last = milliseconds(waits[-1]) if waits else "-"
    failed = f"{count(totals['failed'])} failed"
    tokens = f"{count(totals['input_tokens'] + cached)} in{share} {count(totals['output_tokens'])} out"
    return [
        f" {status['in_flight']['now']} flying  {count(totals['requests'])} req ",
        ("31", failed) if totals["failed"] else failed,
        f"  {tokens}  {dollars(totals['cost_usd'])}  {sparkline(waits, 12)} {last}",
    ]


def changes(status: Mapping[str, Any]) -> Markup:
    """Return the line of what is not in the file; empty where all is."""
    changed = status["changes"]
    return [("33", cut(f" changed, not in the file: {'; '.join(changed)}", 200))] if changed else []


def provider(one: Mapping[str, Any]) -> Markup:
    """Return a provider's line."""
    wait = f"{sparkline(one['ttfb_ms'], 9):<9} {milliseconds(one['first_byte_ms']):>8}"
    tried = f"{count(one['attempts']):>6} {dollars(one['cost_usd']):>9}"
    return [
        f" {cut(one['name'], 14):<14} ",
        standing(one["standing"], 13),
        f" {count(one['in_flight']):>6} {wait} {tried}",
    ]


def key(one: Mapping[str, Any], now: float) -> Markup:
    """Return a key's line: how it stands, and a bar for each of its limits."""
    shown = word(one["standing"])
    if one["until"] is not None:
        shown += f" {lasting(max(one['until'] - now, 0.0))}"
    name = "no key needed" if one["name"] == "-" else one["name"]
    colour = COLOURS.get(one["standing"], "plain")
    line: Markup = [f" {cut(name, 14):<14} ", (colour, f"{cut(shown, 20):<20}")]
    for used in one["usage"][:2]:
        limit = used["limit"]
        share = used["used"] / limit if limit else 0.0
        colour = "31" if share >= 1 else "33" if share >= _NEARLY else "32"
        of = f"/{count(limit)}" if limit else ""
        figures = f" {count(used['used'])}{of}"
        line += [f" {_KINDS[used['kind']]} ", (colour, bar(used["used"], limit, 8)), figures]
    return line


def request(one: Mapping[str, Any], now: float) -> Markup:
    """Return a request's line, and one more under it where it took more than one attempt to answer."""
    answered = one["attempts"][one["answered"]] if one["answered"] is not None else None
    by = f"{answered['provider']}/{answered['key']}" if answered else "-"
    failed = one["status"] >= _FAILED or not one["status"]
    when, model = lasting(max(now - one["at"], 0.0)), cut(one["model"] or one["path"], 20)
    times = f"{milliseconds(one['ttfb_ms']):>7} {milliseconds(one['duration_ms']):>7}"
    line: Markup = [
        f" {when:>6} {model:<20} {cut(by, 16):<16} ",
        ("31" if failed else "32", f"{one['status'] or 'none':<4}"),
        f" {times} {dollars(one['cost_usd']):>8}",
    ]
    if one["ended"] != "complete":
        line.append(("31", f" {cut(one['ended'], 60)}"))
    before = [attempt for attempt in one["attempts"] if attempt is not answered]
    if before:
        tried = "; ".join(f"{a['provider']}/{a['key']}: {a['reason'] or a['verdict']}" for a in before)
        line.append(("90", f"\n        after {cut(tried, 110)}"))
    return line

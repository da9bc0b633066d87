"""C{ccrelay manual}: the pages of the manual, made of what C{--help} and the schema are made of."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ccrelay._version import __version__
from ccrelay.cli import manual_daemon
from ccrelay.cli.outline import outlines
from ccrelay.cli.roff import Page
from ccrelay.config.catalogue import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from ccrelay.cli.outline import Outline
    from ccrelay.config.catalogue import Entry

_STATUSES: Final = (
    ("0", "Done."),
    ("1", "It did not do what it was asked, and said why."),
    ("2", "Wrong usage."),
    ("65", "What was given is no request."),
    ("69", "No relay answers, or an address cannot be listened on."),
    ("77", "The relay may not be asked."),
    ("78", "The configuration cannot be used; each problem was printed."),
)
_FILES: Final = (
    ("~/.config/ccrelay/config.yaml", "The configuration of a user, unless `--config` names another."),
    ("/etc/ccrelay/config.yaml", "The configuration where a user has none."),
)
_ENVIRONMENT: Final = (
    ("CCRELAY_CONFIG", "The configuration file."),
    ("CCRELAY_ADMIN_TOKEN", "What is shown to a relay that wants `admin.token`."),
    (
        "ANTHROPIC_API_KEY, ZAI_API_KEY, OLLAMA_HOST and others",
        "Without a configuration file, the providers that these name are used.",
    ),
)
_EXAMPLES: Final = (
    ("Begin, on simulated answers:", ("ccrelay init", "ccrelay check", "ccrelay serve")),
    ("Let Claude Code use it:", ("ccrelay claude setup",)),
    ("Try what works at each provider:", ("ccrelay doctor",)),
)


def run(arguments: Sequence[str], out: TextIO, _err: TextIO, environ: Mapping[str, str], _home: Path) -> int:
    """
    Print a page.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    options = parser().parse_args(arguments)
    seconds = int(environ.get("SOURCE_DATE_EPOCH") or time.time())
    date = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    page = _PAGES[options.page](date)
    page.heading("SEE ALSO")
    others = {"1": "ccrelay(1)", "5": "ccrelay.yaml(5)", "8": "ccrelay(8)"}
    page.paragraph(", ".join(name for number, name in others.items() if number != options.page))
    out.write(page.written())
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = argparse.ArgumentParser(
        prog="ccrelay manual",
        description="Print a page of the manual: ccrelay manual 5 | man -l -",
    )
    made.add_argument(
        "page", choices=tuple(_PAGES), help="1: the commands; 5: the configuration; 8: the daemon"
    )
    return made


def _commands(date: str) -> Page:
    """Return ccrelay(1)."""
    page = Page(
        "ccrelay", 1, date, __version__, "relay between clients of the Messages API and its providers"
    )
    page.heading("SYNOPSIS")
    page.paragraph("`ccrelay` COMMAND [ARGUMENT ...]")
    page.heading("DESCRIPTION")
    page.paragraph(
        "ccrelay stands between clients of the Anthropic Messages API, such as Claude Code, and many "
        "providers of it. It chooses among them, repeats and fails over, and passes every event of a "
        "stream on the moment it arrives."
    )
    page.heading("COMMANDS")
    for outline in outlines():
        _command(page, outline)
    for heading, entries in (("EXIT STATUS", _STATUSES), ("FILES", _FILES), ("ENVIRONMENT", _ENVIRONMENT)):
        page.heading(heading)
        for name, words in entries:
            page.entry(name, words)
    page.heading("EXAMPLES")
    for words, lines in _EXAMPLES:
        page.paragraph(words)
        page.verbatim(lines)
    return page


def _command(page: Page, outline: Outline) -> None:
    page.subheading(outline.usage)
    page.paragraph(outline.says)
    for argument in outline.arguments:
        value = argument.value
        name = ", ".join(argument.flags)
        page.entry(f"{name} {value}".strip(), argument.says or "See above.")
    for action in outline.actions:
        _command(page, action)


def _configuration(date: str) -> Page:
    """Return ccrelay.yaml(5)."""
    page = Page("ccrelay.yaml", 5, date, __version__, "configuration of ccrelay")
    page.heading("DESCRIPTION")
    page.paragraph(
        "A file in YAML. `ccrelay check` says everything that is wrong with one. In texts, `${NAME}` is a "
        "variable of the environment, `${NAME:-default}` one with a default, and `$${` a literal `${`. Names "
        "that end in _ms are milliseconds. `[]` below stands for each entry of a list."
    )
    page.heading("KEYS")
    for entry in catalogue():
        if not entry.kind or entry.kind == "a list":
            page.subheading(entry.path)
            page.paragraph(entry.says)
        else:
            page.entry(entry.path, f"{_held(entry)}. {entry.says}")
    page.heading("EXAMPLE")
    page.verbatim(
        (
            "server:",
            "  listen: 127.0.0.1:8787",
            "providers:",
            "  - name: anthropic",
            "    type: anthropic",
            '    keys: [{key: "${ANTHROPIC_API_KEY}"}]',
            "  - name: local",
            "    type: ollama",
            "    priority: 0",
            '    model_mapping: {"claude-*": qwen3-coder}',
        )
    )
    return page


def _held(entry: Entry) -> str:
    """Return what a key may hold, and what it is without."""
    if entry.required:
        return f"{entry.kind}, required"
    return f"{entry.kind}, default `{entry.default}`" if entry.default else entry.kind


def _daemon(date: str) -> Page:
    """Return ccrelay(8)."""
    page = Page("ccrelay", 8, date, __version__, "the daemon")
    manual_daemon.write(page)
    return page


_PAGES: Final[Mapping[str, Callable[[str], Page]]] = {"1": _commands, "5": _configuration, "8": _daemon}

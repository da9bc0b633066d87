"""C{ccrelay check}: every problem of a configuration, or what it sets up."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccrelay.config.load import load
from ccrelay.config.reach import reachable_from_outside
from ccrelay.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

    from ccrelay.config.model import ProviderSettings, ServerSettings, Settings
    from ccrelay.config.read import Loaded

_CONFIG: Final = 78  # EX_CONFIG of sysexits.h


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    Say what a configuration sets up, or what is wrong with it.

    The parameters are those of L{ccrelay.cli.main.Command.run}.

    @return: 0, or 78 if the configuration cannot be used.
    """
    options = parser().parse_args(arguments)
    try:
        loaded = load(options.config, environ, home)
    except ConfigError as error:
        for problem in error.problems:
            err.write(f"{problem}\n")
        err.write(f"{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}\n")
        return _CONFIG
    for line in _report(loaded):
        out.write(f"{line}\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = argparse.ArgumentParser(
        prog="ccrelay check",
        description="Say every problem of a configuration, and what it sets up if there is none.",
    )
    made.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="the file; without it, the usual places"
    )
    return made


def _report(loaded: Loaded) -> Iterator[str]:
    settings = loaded.settings
    yield f"{loaded.source}: no problems"
    yield from _server(settings.server)
    yield from _operators(settings)
    yield "providers:"
    width = max((len(provider.name) for provider in settings.providers), default=0)
    for provider in settings.providers:
        yield f"  {provider.name:<{width}}  {_provider(provider)}"
    for note in loaded.notes:
        yield f"note: {note}"
    if loaded.not_in_effect:
        yield f"not in effect in this version: {', '.join(loaded.not_in_effect)}"


def _server(server: ServerSettings) -> Iterator[str]:
    auth = server.auth
    for listen in server.listen:
        reach = "other machines reach it" if reachable_from_outside(listen) else "this machine alone"
        yield f"listen: {listen} ({reach})"
    ways = [name for name in ("api_key", "bearer_secret") if getattr(auth, name) is not None]
    ways += [f"client {client.name}" for client in auth.clients]
    ways += [name for name in ("allow_bearer", "allow_subscription") if getattr(auth, name)]
    yield f"clients show: {', '.join(ways) or 'nothing, anybody is let in'}"


def _operators(settings: Settings) -> Iterator[str]:
    metrics, admin = settings.metrics, settings.admin
    if metrics.enabled:
        reach = "other machines reach it" if reachable_from_outside(metrics.listen) else "this machine alone"
        yield f"metrics and status page: {metrics.listen} ({reach})"
    ways = [name for name in ("token", "socket") if getattr(admin, name) is not None]
    if ways:
        yield f"changes at run time: by admin.{' and admin.'.join(ways)}"


def _provider(provider: ProviderSettings) -> str:
    """Return what a provider is in a few words; of its keys, names or last four characters."""
    if not provider.enabled:
        return f"{provider.type}, disabled"
    words: list[str] = [provider.type]
    if provider.base_url:
        words.append(provider.base_url)
    if provider.keys:
        keys = ", ".join(key.name or str(key.key) for key in provider.keys)
        words.append(f"key{'s' if len(provider.keys) > 1 else ''} {keys}")
    if provider.passthrough:
        words.append("passthrough")
    words.append(f"priority {provider.priority}")
    return ", ".join(words)

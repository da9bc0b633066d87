"""
C{ccrelay claude}: Claude Code's C{settings.json}, pointed to the relay and back.

Nothing is touched but C{env.ANTHROPIC_BASE_URL} and C{env.ANTHROPIC_AUTH_TOKEN}
(https://docs.anthropic.com/en/docs/claude-code/llm-gateway); C{remove} puts back
what stood there.  A token is never shown.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccrelay.cli import claude_address, claude_settings
from ccrelay.cli.claude_file import SettingsFile
from ccrelay.cli.claude_settings import BASE_URL, TOKEN, Unusable
from ccrelay.config.read import find, read
from ccrelay.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from ccrelay.cli.claude_settings import Edit
    from ccrelay.wire.secret import Secret

DEFAULT_URL: Final = "http://127.0.0.1:8787"

_FAILED: Final = 1
_USAGE: Final = 2
_CONFIG: Final = 78

_ELSEWHERE: Final = frozenset(
    {
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY",
        "CLAUDE_CODE_USE_MANTLE",
        "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    }
)
"""Variables that make Claude Code go to a cloud, whatever the base URL is."""


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    Set Claude Code up for the relay, take that back, or show what is set.

    The parameters are those of L{ccrelay.cli.main.Command.run}.

    @return: 0, or 1 if a file cannot be used or (C{show}) Claude Code does not go to the relay, 2 for a
        wrong argument, 78 if the relay's configuration is broken.
    """
    options = parser().parse_args(arguments)
    directory = environ.get("CLAUDE_CONFIG_DIR")
    path = options.settings or (Path(directory) if directory else home / ".claude") / "settings.json"
    try:
        settings = SettingsFile.found(path)
        if options.action == "remove":
            return _remove(settings, out, dry=options.dry_run)
        url = claude_address.base_url(options.url)
        if options.action == "show":
            return _show(settings, url, out)
        token = _token(options, url, environ, home)
        return _setup(settings, url, token, out, dry=options.dry_run)
    except ConfigError as problem:
        err.write(
            f"{problem.message}\nccrelay claude: so the relay's key is unknown; --key-file can name it\n"
        )
        return _CONFIG
    except ValueError as problem:
        err.write(f"ccrelay claude: {problem}\n")
        return _USAGE
    except (Unusable, OSError) as problem:
        err.write(f"ccrelay claude: {problem}\n")
        return _FAILED


def parser() -> argparse.ArgumentParser:
    """Return what the command line may hold."""
    made = argparse.ArgumentParser(
        prog="ccrelay claude", description="Point Claude Code to the relay, or back, in its settings.json."
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="setup | remove | show")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--settings", type=Path, metavar="PATH", help="another file than Claude Code's own")
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--url", default=DEFAULT_URL, help="where the relay is (default: %(default)s)")
    dry = argparse.ArgumentParser(add_help=False)
    dry.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    setup = actions.add_parser("setup", parents=[common, place, dry], help="point Claude Code to the relay")
    key = setup.add_mutually_exclusive_group()
    key.add_argument("--token", help="what Claude Code shows the relay (it is seen in the process list)")
    key.add_argument("--key-file", type=Path, metavar="FILE", help="a file that holds the token")
    actions.add_parser("remove", parents=[common, dry], help="take out what setup put there")
    actions.add_parser("show", parents=[common, place], help="say what is set; status 0 if it is this relay")
    return made


def _token(options: argparse.Namespace, url: str, environ: Mapping[str, str], home: Path) -> Secret | None:
    """
    Return what Claude Code is to show the relay: as it was told, or what a relay on this machine asks for.

    @raise ConfigError: if the relay's configuration cannot be read.
    @raise OSError: if the key file cannot be read.
    @raise ValueError: if it is no token.
    """
    if options.token is not None:
        return claude_address.token(options.token)
    if options.key_file is not None:
        return claude_address.token(options.key_file.read_text("utf-8").strip())
    path = find(environ, home) if claude_address.loopback(url) else None
    if path is None:
        return None
    auth = read(path, environ).settings.server.auth
    if auth.api_key or auth.bearer_secret:
        return auth.api_key or auth.bearer_secret
    if len(auth.clients) > 1:
        names = ", ".join(client.name for client in auth.clients)
        msg = f"the relay has several clients ({names}): give one's key with --key-file"
        raise ValueError(msg)
    return auth.clients[0].key if auth.clients else None


def _setup(settings: SettingsFile, url: str, token: Secret | None, out: TextIO, *, dry: bool) -> int:
    """Point Claude Code to the relay, and say what to know about it."""
    wanted = {BASE_URL: url} | ({TOKEN: token.reveal()} if token else {})
    edit = claude_settings.set_up(settings.text, settings.memory, wanted)
    _write(settings, edit, out, dry=dry)
    variables = claude_settings.variables(edit.text or "{}")
    if TOKEN not in variables:
        out.write(
            "No token is set: Claude Code shows the relay its own login or API key, and asks for one where "
            "it has none; a relay that wants no key takes any (--token any).\n"
        )
    elif token is None:
        out.write(f"{TOKEN} stays as it is: Claude Code will show it to the relay.\n")
    for name in _elsewhere(variables):
        out.write(f"Mind: {name} is set there too, and takes Claude Code elsewhere.\n")
    if token and settings.data is not None and not dry and settings.path.stat().st_mode & 0o077:
        out.write(f"Mind: others may read {settings.path}, and the token in it (chmod 600 mends that).\n")
    return 0


def _remove(settings: SettingsFile, out: TextIO, *, dry: bool) -> int:
    """Take out what setup put there."""
    text = settings.text
    if text is None or not settings.memory.variables:
        out.write(f"{settings.path}: ccrelay has put nothing there.\n")
        return 0
    edit = claude_settings.take_out(text, settings.memory)
    _write(settings, edit, out, dry=dry)
    for name in edit.foreign:
        out.write(f"{name} stays: it was changed after ccrelay had put it there.\n")
    return 0


def _show(settings: SettingsFile, url: str, out: TextIO) -> int:
    """Say what is set, and whether it leads to this relay."""
    variables = claude_settings.variables(settings.text or "{}")
    out.write(f"{settings.path}:\n")
    for name in (BASE_URL, TOKEN):
        value = variables.get(name)
        written = "is not set" if value is None else f"= {claude_address.shown(str(value), name)}"
        out.write(f"  {name} {written}\n")
    elsewhere = _elsewhere(variables)
    here = claude_address.same(str(variables.get(BASE_URL, "")), url) and not elsewhere
    for name in elsewhere:
        out.write(f"  {name} is set, and takes Claude Code elsewhere\n")
    out.write(f"Claude Code {'goes' if here else 'does not go'} through the relay at {url}.\n")
    return 0 if here else _FAILED


def _elsewhere(variables: Mapping[str, object]) -> list[str]:
    """Return the variables that are switched on and take Claude Code to a cloud."""
    off = {"", "0", "false"}
    return sorted(name for name in _ELSEWHERE if str(variables.get(name, "")).lower() not in off)


def _write(settings: SettingsFile, edit: Edit, out: TextIO, *, dry: bool) -> None:
    """Make an edit, unless it is a dry run, and say what is different: the old and the new values."""
    out.write(f"{settings.path}:" + ("" if edit.changes else " nothing to change") + "\n")
    for change in edit.changes:
        for sign, literal in (("-", change.before), ("+", change.after)):
            if literal is not None:
                value = claude_address.shown(str(json.loads(literal)), change.name)
                out.write(f"{sign} {change.name} = {value}\n")
    if dry:
        out.write("Nothing was written: this was a dry run.\n")
        return
    backup = settings.become(edit) if edit.changes or edit.memory != settings.memory else None
    if backup:
        out.write(f"What it was is kept in {backup}.\n")

"""What can be written after C{ccrelay}, told as values: for the manual and for completion in a shell."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

from ccrelay.cli.main import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ccrelay.cli.main import Command


class Argument(NamedTuple):
    """
    An option, or something without a name.

    @ivar flags: such as C{-c} and C{--config}; none for what has no name.
    @ivar value: what is to be given, in capitals or as an operator writes it; empty for a switch.
    @ivar choices: what may be given, where that is known.
    @ivar says: what it is for.
    @ivar file: whether a file's path may be given.
    """

    flags: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    says: str
    file: bool


class Outline(NamedTuple):
    """
    A command, or an action of one.

    @ivar name: without C{ccrelay}.
    @ivar says: a sentence.
    @ivar usage: how it is written, as C{--help} has it.
    @ivar actions: the actions of it, each with arguments of its own.
    """

    name: str
    says: str
    usage: str
    arguments: tuple[Argument, ...]
    actions: tuple[Outline, ...]


_FILES = frozenset({"config", "path", "settings", "key_file", "body", "socket", "scenario"})


def outlines() -> Iterator[Outline]:
    """Yield every command; each module is loaded for that."""
    for name, (module, _) in COMMANDS.items():
        parser = cast("Command", import_module(module)).parser()
        yield _outline(name, parser.description or "", parser)


def _outline(name: str, says: str, parser: argparse.ArgumentParser) -> Outline:
    arguments: list[Argument] = []
    actions: list[Outline] = []
    for action in parser._actions:  # noqa: SLF001  argparse tells it no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {each.dest: each.help or "" for each in action._choices_actions}  # noqa: SLF001
            actions += [_outline(each, helps.get(each, ""), made) for each, made in action.choices.items()]
        elif not isinstance(action, argparse._HelpAction):  # noqa: SLF001
            arguments.append(_argument(action))
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=2000)
    usage = " ".join(parser.format_usage().split()).removeprefix("usage: ")
    return Outline(name, says, usage, tuple(arguments), tuple(actions))


def _argument(action: argparse.Action) -> Argument:
    choices = tuple(map(str, action.choices or ()))
    value = ""
    if action.nargs != 0:
        named = action.metavar if isinstance(action.metavar, str) else None
        value = named or ("|".join(choices) if choices else action.dest.upper())
    says = (action.help or "") % {"default": action.default}
    return Argument(tuple(action.option_strings), value, choices, says, action.dest in _FILES)

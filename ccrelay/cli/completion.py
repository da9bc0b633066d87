"""C{ccrelay completion}: what a shell needs to complete its commands and options."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ccrelay.cli.outline import outlines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from ccrelay.cli.outline import Argument, Outline


def run(arguments: Sequence[str], out: TextIO, _err: TextIO, _environ: Mapping[str, str], _home: Path) -> int:
    """
    Print the script for a shell.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    options = parser().parse_args(arguments)
    out.write("\n".join(_SHELLS[options.shell](list(outlines()))) + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = argparse.ArgumentParser(
        prog="ccrelay completion",
        description="Print what a shell needs to complete the arguments of ccrelay: "
        "source <(ccrelay completion bash)",
    )
    made.add_argument("shell", choices=tuple(_SHELLS), help="the shell that is to read it")
    return made


def _words(outline: Outline) -> list[str]:
    """Return what may follow a command: its actions, its options, and what else is known."""
    found = [each.name for each in outline.actions]
    for argument in outline.arguments:
        found += argument.flags or argument.choices
    return [*found, "--help"]


def _commands(told: Sequence[Outline]) -> Iterator[tuple[str, Outline]]:
    """Yield each command and each action, by what is written to have it."""
    for outline in told:
        yield outline.name, outline
        for action in outline.actions:
            yield f"{outline.name} {action.name}", action


def _valued(outline: Outline) -> Iterator[Argument]:
    """Yield the options that want a value."""
    return (each for each in outline.arguments if each.flags and each.value)


def _takes_files(outline: Outline) -> bool:
    return any(each.file and not each.flags for each in outline.arguments)


def _bash(told: Sequence[Outline]) -> Iterator[str]:
    yield "# bash completion for ccrelay; made by `ccrelay completion bash`."
    yield "_ccrelay() {"
    yield "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}"
    yield '    local command="${COMP_WORDS[1]}" words= files='
    yield "    COMPREPLY=()"
    yield '    if [ "$COMP_CWORD" = 1 ]; then'
    first = " ".join(each.name for each in told)
    yield f"        COMPREPLY=($(compgen -W '{first} --help --version' -- \"$word\"))"
    yield "        return"
    yield "    fi"
    yield '    case "$command ${COMP_WORDS[2]}" in'
    for name, _ in _commands(told):
        if " " in name:
            yield f"        '{name}') command='{name}' ;;"
    yield "    esac"
    yield '    case "$command $before" in'
    for name, outline in _commands(told):
        for option in _valued(outline):
            pattern = " | ".join(f"'{name} {flag}'" for flag in option.flags)
            if option.choices:
                yield f"        {pattern}) words='{' '.join(option.choices)}' ;;"
            else:
                yield f"        {pattern}) files={'yes' if option.file else 'no'} ;;"
    yield "    esac"
    yield '    if [ -z "$words$files" ]; then'
    yield '        case "$command" in'
    for name, outline in _commands(told):
        files = " files=yes" if _takes_files(outline) else ""
        yield f"            '{name}') words='{' '.join(_words(outline))}'{files} ;;"
    yield "        esac"
    yield "    fi"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$word"))'
    yield '    if [ "$files" = yes ] && [ "${word#-}" = "$word" ]; then'
    yield '        COMPREPLY+=($(compgen -f -- "$word"))'
    yield "        compopt -o filenames 2> /dev/null"
    yield "    fi"
    yield "}"
    yield "complete -F _ccrelay ccrelay"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh(told: Sequence[Outline]) -> Iterator[str]:
    yield "#compdef ccrelay"
    yield "# zsh completion for ccrelay; made by `ccrelay completion zsh`."
    yield "_ccrelay() {"
    yield "    local -a commands"
    yield "    commands=("
    for each in told:
        yield f"        {_quoted(_described(each))}"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe -t commands 'ccrelay command' commands"
    yield "        return"
    yield "    fi"
    yield '    local command="${words[2]}"'
    yield "    shift words; (( CURRENT-- ))"
    yield '    case "$command" in'
    for each in told:
        yield from _zsh_command(each)
    yield "    esac"
    yield "}"
    yield '[ "$funcstack[1]" = _ccrelay ] && _ccrelay "$@" || compdef _ccrelay ccrelay'


def _described(outline: Outline) -> str:
    return f"{outline.name}:{outline.says.rstrip('.').replace(':', chr(92) + ':')}"


def _zsh_command(outline: Outline) -> Iterator[str]:
    yield f"        {outline.name})"
    if not outline.actions:
        yield f"            _arguments {' '.join(_zsh_arguments(outline.arguments))} ;;"
        return
    yield "            local -a actions"
    yield f"            actions=({' '.join(_quoted(_described(each)) for each in outline.actions)})"
    yield "            if (( CURRENT == 2 )); then _describe -t actions action actions; return; fi"
    yield '            local action="${words[2]}"'
    yield "            shift words; (( CURRENT-- ))"
    yield '            case "$action" in'
    for each in outline.actions:
        yield f"                {each.name}) _arguments {' '.join(_zsh_arguments(each.arguments))} ;;"
    yield "            esac ;;"


def _zsh_arguments(arguments: Iterable[Argument]) -> Iterator[str]:
    yield "'--help[say what there is]'"
    rest = False
    for each in arguments:
        says = each.says.replace("[", "(").replace("]", ")").replace(":", " -")
        what = f"({' '.join(each.choices)})" if each.choices else "_files" if each.file else " "
        name = "value" if "|" in each.value else each.value.lower().replace(":", " ")
        if not each.flags:
            rest = True
            yield _quoted(f"*:{name}:{what}") if not each.choices else _quoted(f"1:{name}:{what}")
        for flag in each.flags:
            yield _quoted(f"{flag}[{says}]" + (f":{name}:{what}" if each.value else ""))
    if not rest:
        yield "'*: :'"


def _fish(told: Sequence[Outline]) -> Iterator[str]:
    yield "# fish completion for ccrelay; made by `ccrelay completion fish`."
    yield "complete -c ccrelay -f"
    for each in told:
        yield f"complete -c ccrelay -n __fish_use_subcommand -a {each.name} -d {_fish_quoted(each.says)}"
    for name, outline in _commands(told):
        command, _, action = name.partition(" ")
        seen = f"__fish_seen_subcommand_from {command}"
        if action:
            seen += f"; and __fish_seen_subcommand_from {action}"
        begin = f"complete -c ccrelay -n {_fish_quoted(seen)}"
        for one in outline.actions:
            yield f"{begin} -a {one.name} -d {_fish_quoted(one.says)}"
        for argument in outline.arguments:
            given = f" -a {_fish_quoted(' '.join(argument.choices))}" if argument.choices else ""
            files = " -F" if argument.file else ""
            if not argument.flags:
                if given or files:
                    yield f"{begin}{given}{files}"
                continue
            flags = " ".join(
                f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in argument.flags
            )
            wanted = " -r" if argument.value else ""
            yield f"{begin} {flags}{wanted}{given}{files} -d {_fish_quoted(argument.says)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SHELLS: Final[Mapping[str, Callable[[Sequence[Outline]], Iterator[str]]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}

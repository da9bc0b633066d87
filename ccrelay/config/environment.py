"""What the environment adds to a configuration: variables in texts, and secrets from files."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ccrelay.config.written import Problem, leaves

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ccrelay.config.written import KeyPath

_EXPRESSION: Final = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:(?!\$\{)[^}])*))?\}|\$\{"
)
_OFF: Final = frozenset({"false", "off", "no", "0", "f", "n"})
_PROVIDER: Final = 2  # steps in the path of a provider
_OF_FILE: Final = "_FILE"
"""How the name of a variable ends that names the file of another one's value: a habit of containers."""


def variables(text: str) -> tuple[str, ...]:
    """Return the names of the variables in a text, in order."""
    return tuple(match["name"] for match in _EXPRESSION.finditer(text) if match["name"])


def expanded(tree: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """
    Return a configuration with its texts expanded: C{${NAME}}, C{${NAME:-default}} and C{$${} for C{${}.

    The default is taken where the variable is unset or empty, as a shell does.  Where C{NAME} is
    unset and C{NAME_FILE} is not, that file's text is its value.  In a disabled provider, what
    names an unset variable is left out.

    @return: a new tree, and the problems.
    """
    problems: list[Problem] = []
    made = _expanded(tree, (), environ, problems, lenient=False)
    return (made if isinstance(made, dict) else {}), tuple(problems)


def with_key_files(
    tree: dict[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], Mapping[KeyPath, KeyPath], tuple[Problem, ...]]:
    """
    Return a configuration in which each C{key_file} of an enabled provider has become a C{key}.

    @param tree: an expanded configuration.
    @param environ: C{CREDENTIALS_DIRECTORY} is where a relative path begins
        (https://systemd.io/CREDENTIALS/).
    @return: a new tree; for each such key the path of its C{key_file}; and the problems.
    """
    made = copy.deepcopy(tree)
    places: dict[KeyPath, KeyPath] = {}
    problems: list[Problem] = []
    for path, key in _keys(made):
        name = key.get("key_file")
        if not isinstance(name, str) or not name:
            continue
        if key.get("key") is not None:
            problems.append(Problem((*path, "key_file"), "found beside key; keep one of them"))
            continue
        try:
            key["key"] = _secret_in(name, environ)
        except ValueError as problem:
            problems.append(Problem((*path, "key_file"), f"found {name!r}, which {problem}"))
        places[*path, "key"] = (*path, "key_file")
    return made, places, tuple(problems)


def key_files(tree: dict[str, Any], environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files that hold keys of enabled providers, or values of variables."""
    made, _ = expanded(tree, environ)
    names = (key.get("key_file") for _, key in _keys(made))
    files = [_path_of(name, environ) for name in names if isinstance(name, str) and name]
    for _, text in leaves(tree):
        named = variables(text) if isinstance(text, str) else ()
        inside = [environ.get(name + _OF_FILE) for name in named if name not in environ]
        files += [Path(file) for file in inside if file]
    return tuple(dict.fromkeys(files))


def enabled(provider: object) -> bool:
    """Return whether what was written of a provider, expanded, leaves it enabled."""
    given = provider.get("enabled") if isinstance(provider, dict) else None
    return not (given is False or (isinstance(given, str) and given.lower() in _OFF))


def _keys(tree: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    providers = tree.get("providers")
    for place, provider in enumerate(providers if isinstance(providers, list) else []):
        keys = provider.get("keys") if isinstance(provider, dict) and enabled(provider) else None
        for number, key in enumerate(keys if isinstance(keys, list) else []):
            if isinstance(key, dict):
                yield ("providers", place, "keys", number), key


def _path_of(name: str, environ: Mapping[str, str]) -> Path:
    """Return the path of a key's file; what is no whole path names a systemd credential, if there are any."""
    return Path(environ.get("CREDENTIALS_DIRECTORY") or "") / name


def _secret_in(name: str, environ: Mapping[str, str]) -> str:
    """
    Return what is in a file, without the blanks around it.

    @raise ValueError: if there is nothing; the text says what to do.
    """
    path = _path_of(name, environ)
    if not path.is_absolute():
        msg = "is no whole path; allowed: one that begins with a slash, or a systemd credential's name"
        raise ValueError(msg)
    try:
        text = path.read_text("utf-8").strip()
    except OSError as problem:
        msg = f"cannot be read: {problem.strerror}; name a file that holds the key alone"
        raise ValueError(msg) from None
    except UnicodeDecodeError:
        msg = "is not a text; name a file that holds the key alone"
        raise ValueError(msg) from None
    if not text:
        msg = "is empty; put the key into it"
        raise ValueError(msg)
    return text


def _expanded(
    value: object, path: KeyPath, environ: Mapping[str, str], problems: list[Problem], *, lenient: bool
) -> object:
    """Return a value with the texts in it expanded; a text that cannot be stays, with a problem."""
    if isinstance(value, str):
        wrong = list(_wrong(value, environ))
        if not wrong:
            return _EXPRESSION.sub(lambda match: _meaning(match, environ), value)
        if not lenient:
            problems.extend(Problem(path, text) for text in wrong)
        return value
    if isinstance(value, dict):
        off = lenient or (path[:1] == ("providers",) and len(path) == _PROVIDER and _off(value, environ))
        return {
            key: _expanded(item, (*path, key), environ, problems, lenient=off)
            for key, item in value.items()
            if not (off and isinstance(item, str) and any(_wrong(item, environ)))
        }
    if isinstance(value, list):
        return [_expanded(v, (*path, n), environ, problems, lenient=lenient) for n, v in enumerate(value)]
    return value


def _off(provider: dict[str, object], environ: Mapping[str, str]) -> bool:
    given = provider.get("enabled")
    if isinstance(given, str) and not any(_wrong(given, environ)):
        given = _EXPRESSION.sub(lambda match: _meaning(match, environ), given)
    return not enabled({"enabled": given})


def _meaning(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match["name"] is None:
        return "${"
    return _value(match["name"], environ) or match["default"] or ""


def _value(name: str, environ: Mapping[str, str]) -> str:
    """
    Return what a variable holds; nothing if it is unset.

    @raise ValueError: if its file cannot be used; the text says why.
    """
    if name not in environ and environ.get(name + _OF_FILE):
        return _secret_in(environ[name + _OF_FILE], {})
    return environ.get(name, "")


def _wrong(text: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what keeps a text from being expanded."""
    for match in _EXPRESSION.finditer(text):
        name = match["name"]
        if match[0] == "${":
            yield "found ${ and no name after it; allowed: ${NAME}, ${NAME:-default}, or $${ for a literal ${"
        elif name is not None and name not in environ and environ.get(name + _OF_FILE):
            try:
                _value(name, environ)
            except ValueError as problem:
                yield f"found ${{{name}}}, and the file that {name}{_OF_FILE} names {problem}"
        elif name is not None and match["default"] is None and name not in environ:
            yield f"found ${{{name}}}, which is not set; set it, or write ${{{name}:-default}}"

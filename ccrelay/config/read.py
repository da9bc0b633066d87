"""From a file to settings: found, read, and judged whole."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccrelay.config import agreement, environment
from ccrelay.config.model import Settings
from ccrelay.config.not_in_effect import not_in_effect
from ccrelay.config.parse import parsed
from ccrelay.config.spellings import respelled
from ccrelay.config.validation import judged
from ccrelay.config.vocabulary import Vocabulary
from ccrelay.config.written import Problem, leaves
from ccrelay.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccrelay.config.written import Written

_ROOT: Final = Path("/")
_GROUP: Final = 0o040
_OTHERS: Final = 0o004


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    A configuration that can be used.

    @ivar notes: what the operator should know, a line each.
    @ivar source: where it comes from: the path of a file, or words.
    @ivar not_in_effect: the paths of keys that were written and do nothing in this version.
    @ivar files: those it was read from, secrets included.
    """

    settings: Settings
    notes: tuple[str, ...]
    source: str
    not_in_effect: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def find(environ: Mapping[str, str], home: Path, root: Path = _ROOT) -> Path | None:
    """
    Return the configuration file to use, or None if there is none; never one of the working directory.

    @param environ: C{CCRELAY_CONFIG} names a file, which need not be there.
    @param home: the user's home directory.
    @param root: where C{/etc} is.
    """
    named = environ.get("CCRELAY_CONFIG")
    if named:
        return Path(named)
    places = (
        home / ".config/ccrelay/config.yaml",
        home / ".config/cc-relay/config.yaml",
        home / ".config/cc-relay/config.toml",
        root / "etc/ccrelay/config.yaml",
    )
    return next((place for place in places if os.path.exists(place)), None)  # noqa: PTH110  unreadable is absent


def read(path: Path, environ: Mapping[str, str]) -> Loaded:
    """
    Return what a configuration file says.

    @param path: YAML, or TOML if its name ends in C{.toml}.
    @param environ: for variables in its texts, and C{CREDENTIALS_DIRECTORY}.
    @raise ConfigError: with every problem of it.
    """
    try:
        text = path.read_text("utf-8-sig")
        mode, ours = path.stat().st_mode, path.stat().st_uid == os.geteuid()
    except OSError as problem:
        raise ConfigError((f"{path}: it cannot be read: {problem.strerror}",)) from None
    except UnicodeDecodeError as problem:
        raise ConfigError((f"{path}: it is not a text in UTF-8: byte {problem.start}",)) from None
    # Whoever is not the owner of the file reads it by its group: then that is how it is meant.
    readable = mode & (_OTHERS | (_GROUP if ours else 0)) != 0
    loaded = settled(parsed(text, str(path)), environ, readable=readable)
    return replace(loaded, files=(path, *loaded.files))


def settled(written: Written, environ: Mapping[str, str], *, readable: bool = False) -> Loaded:
    """
    Return the settings that something written makes.

    @param readable: whether others may read it.
    @raise ConfigError: with every problem of it.
    """
    vocabulary = Vocabulary(Settings.model_json_schema())
    spelled = respelled(written)
    written = spelled.written
    tree, unset = environment.expanded(written.tree, environ)
    tree, key_files, unreadable = environment.with_key_files(tree, environ)
    files = environment.key_files(written.tree, environ)
    problems = [*spelled.problems, *unset, *unreadable]
    written = replace(written, former={**written.former, **key_files})
    known = {problem.path for problem in problems} | {
        key for key, file in key_files.items() if file in {problem.path for problem in unreadable}
    }
    result = judged(tree, written, vocabulary, known)
    problems.extend(result.problems)
    known.update(problem.path for problem in result.problems)
    if result.settings is not None:
        problems.extend(agreement.problems(result.settings, known))
    if problems or result.settings is None:
        problems.sort(key=lambda problem: written.line(problem.path) or 0)
        raise ConfigError(tuple(dict.fromkeys(written.told(problem) for problem in problems)), files)
    settings = result.settings
    notes = [*spelled.notes, *agreement.notes(settings)]
    if readable:
        notes.extend(_shown_secrets(written, vocabulary))
    paths = [path for path, value in leaves(written.tree) if value not in (None, {}, [])]
    return Loaded(settings, tuple(notes), written.file, not_in_effect(settings, paths), files)


def _shown_secrets(written: Written, vocabulary: Vocabulary) -> list[str]:
    """Return a note if secrets stand in what was written, for all to see."""
    paths = [
        path
        for path, value in leaves(written.tree)
        if vocabulary.secret(path) and isinstance(value, str) and not environment.variables(value)
    ]
    if not paths:
        return []
    text = "a secret stands here, and others may read the file: chmod 600, or write ${NAME} or key_file"
    return [written.told(Problem(paths[0], text))]

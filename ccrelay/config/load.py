"""The configuration to run with: a named file, one in the usual places, or what the environment means."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from ccrelay.config.implied import from_environment
from ccrelay.config.read import find, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ccrelay.config.read import Loaded

_OLLAMA: Final = ("127.0.0.1", 11434)
_PATIENCE_S: Final = 0.2


def ollama_answers(address: tuple[str, int] = _OLLAMA) -> bool:
    """Return whether something listens where a local Ollama does."""
    try:
        with socket.create_connection(address, _PATIENCE_S):
            return True
    except OSError:
        return False


def load(
    given: Path | None,
    environ: Mapping[str, str],
    home: Path,
    local_ollama: Callable[[], bool] = ollama_answers,
) -> Loaded:
    """
    Return the configuration to run with.

    @param given: the file that was named, or None.
    @param local_ollama: asked only where there is no file.
    @raise ConfigError: if it cannot be used.
    """
    path = given or find(environ, home)
    return read(path, environ) if path is not None else from_environment(environ, local_ollama())

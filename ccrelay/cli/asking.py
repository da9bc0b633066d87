"""How the command line asks a relay that runs: over its unix socket, or where operators are listened to."""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ccrelay.config.load import load
from ccrelay.config.reach import address_of
from ccrelay.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from ccrelay.config.model import Settings

UNAVAILABLE: Final = 69  # EX_UNAVAILABLE of sysexits.h
NOT_PERMITTED: Final = 77  # EX_NOPERM
REFUSED: Final = 1
USAGE: Final = 2

SOCKET: Final = "/run/ccrelay/admin.sock"
"""Where Debian's daemon listens, for those who may not read its configuration."""
USUAL: Final = "127.0.0.1:9100"
TOKEN: Final = "CCRELAY_ADMIN_TOKEN"  # noqa: S105  a variable's name
_PATIENCE_S: Final = 30.0
_LARGEST: Final = 16 * 1024 * 1024
_UNAUTHORIZED, _FORBIDDEN, _OK = 401, 403, 200


class NoAnswerError(Exception):
    """
    A relay that cannot be asked, or that does not do what it was asked.

    @ivar status: the exit status that says so.
    @ivar away: whether there is no relay at all.
    """

    def __init__(self, words: str, status: int = UNAVAILABLE, *, away: bool = False) -> None:
        super().__init__(words)
        self.status = status
        self.away = away


class _OverSocket(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Relay:
    """
    A relay that runs.

    @ivar path: of its unix socket; None where it is asked over TCP.
    @ivar host, port: where else.
    @ivar token: C{admin.token}, if it is known.
    """

    def __init__(self, path: str | None, host: str = "", port: int = 0, token: str | None = None) -> None:
        self.path = path
        self.host = host
        self.port = port
        self.token = token

    @property
    def where(self) -> str:
        """Where it is asked, in words."""
        return self.path if self.path is not None else f"http://{self.host}:{self.port}"

    def status(self) -> dict[str, Any]:
        """
        Return its status.

        @raise NoAnswerError: if there is none.
        """
        told = self._ask("GET", "/status")
        if "ccrelay" not in told:
            msg = f"what answers at {self.where} is not ccrelay; name the place with --url or --socket"
            raise NoAnswerError(msg)
        return told

    def order(self, action: str, **asked: Any) -> dict[str, Any]:  # noqa: ANN401  whatever JSON holds
        """
        Let it do something, and return what it answers.

        @raise NoAnswerError: if it does not.
        """
        return self._ask("POST", f"/admin/{action}", asked)

    def headers(self) -> dict[str, str]:
        """Return what shows who asks."""
        return {"Authorization": f"Bearer {self.token}"} if self.token and self.path is None else {}

    def _ask(self, method: str, path: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        headers = self.headers()
        content = None
        if asked is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(asked).encode()
        connection = (
            _OverSocket(self.path)
            if self.path is not None
            else http.client.HTTPConnection(self.host, self.port, timeout=_PATIENCE_S)
        )
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            status, said = answer.status, answer.read(_LARGEST)
        except (OSError, http.client.HTTPException) as problem:
            raise _unreachable(self.where, problem) from None
        finally:
            connection.close()
        return self._told(status, said)

    def _told(self, status: int, said: bytes) -> dict[str, Any]:
        try:
            told = json.loads(said)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            msg = f"what answers at {self.where} is not ccrelay (status {status})"
            raise NoAnswerError(msg)
        if status == _OK:
            return told
        error = told.get("error")
        words = str(error.get("message") if isinstance(error, dict) else error)
        if status == _UNAUTHORIZED:
            words += f" Set {TOKEN}, or name the configuration that has it with --config."
        raise NoAnswerError(words, NOT_PERMITTED if status in {_UNAUTHORIZED, _FORBIDDEN} else REFUSED)


def _unreachable(where: str, problem: Exception) -> NoAnswerError:
    if isinstance(problem, PermissionError):
        words = f"{where} may be opened by the user ccrelay runs as and by root alone: try it with sudo"
        return NoAnswerError(words, NOT_PERMITTED)
    if isinstance(problem, ConnectionRefusedError | FileNotFoundError):
        return NoAnswerError(f"nothing listens at {where}: is ccrelay running? (`ccrelay serve`)", away=True)
    if isinstance(problem, TimeoutError):
        return NoAnswerError(f"{where} did not answer within {_PATIENCE_S:g} s")
    return NoAnswerError(f"{where} could not be asked: {str(problem) or type(problem).__name__}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let a command be told which relay is meant."""
    which = parser.add_argument_group("which relay")
    which.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="its configuration; without it, the usual places"
    )
    which.add_argument("--socket", metavar="PATH", help="its unix socket (admin.socket)")
    which.add_argument("--url", help="where it listens for operators, such as http://127.0.0.1:9100")


def relay_of(options: argparse.Namespace, environ: Mapping[str, str], home: Path) -> Relay:
    """
    Return the relay that is meant: as the options say, else as its configuration does, else the usual one.

    @raise NoAnswerError: if what is given means none.
    """
    token = environ.get(TOKEN) or None
    if options.socket:
        return Relay(options.socket)
    if options.url:
        return _at(options.url, token)
    try:
        settings = load(options.config, environ, home, lambda: False).settings
    except ConfigError as error:
        if options.config is not None and not options.config.exists():
            raise NoAnswerError(error.problems[0]) from None
        # Keys that this user does not have are no reason not to ask; the usual places may do.
        return Relay(SOCKET) if os.path.exists(SOCKET) else _listening(USUAL, token)  # noqa: PTH110
    return _configured(settings, token)


def _configured(settings: Settings, token: str | None) -> Relay:
    path, secret = settings.admin.socket, settings.admin.token
    path = None if path is None else os.path.expanduser(path)  # noqa: PTH111
    token = token or (secret.reveal() if secret is not None else None)
    if path is not None and (os.access(path, os.R_OK | os.W_OK) or not settings.metrics.enabled):
        return Relay(path)
    if not settings.metrics.enabled:
        msg = "this configuration has neither metrics.enabled nor admin.socket, so nobody can ask its relay"
        raise NoAnswerError(msg)
    if "listen" not in settings.metrics.model_fields_set and path is None and os.access(SOCKET, os.W_OK):
        return Relay(SOCKET)
    return _listening(settings.metrics.listen, token)


def _listening(listen: str, token: str | None) -> Relay:
    found = address_of(listen)
    if found is None:
        kind, _, rest = listen.partition(":")
        if kind == "unix":
            return Relay(rest.partition(":")[0], token=token)
        msg = f"metrics.listen is {listen}: name the place with --url"
        raise NoAnswerError(msg)
    host, port = found
    return Relay(None, {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, token)  # noqa: S104


def _at(url: str, token: str | None) -> Relay:
    parts = urlsplit(url if "//" in url else f"//{url}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in {"", "http"} or not parts.hostname or port is None:
        msg = f"--url {url}: write it like http://127.0.0.1:9100"
        raise NoAnswerError(msg, USAGE)
    return Relay(None, parts.hostname, port, token)

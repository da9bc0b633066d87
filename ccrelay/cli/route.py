"""C{ccrelay route --explain}: where a request would go, and why; nothing is sent."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccrelay.cli.asking import NoAnswerError, relay_of
from ccrelay.cli.ordering import parser_of
from ccrelay.cli.showing import clean, cut, table
from ccrelay.config.load import load
from ccrelay.errors import ConfigError, Malformed
from ccrelay.policy.client import Client
from ccrelay.web.explaining import smallest
from ccrelay.wire.request import MessagesRequest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

    from ccrelay.config.model import Settings

_WHY: Final = 26
_NOBODY: Final = 1
_BAD_BODY: Final = 65  # EX_DATAERR
_NO_INPUT: Final = 66  # EX_NOINPUT
_CONFIG: Final = 78  # EX_CONFIG


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    Explain where a request would go.

    The parameters are those of L{ccrelay.cli.main.Command.run}.

    @return: 0; 1 where nobody could take it, 65 for what is no request, 78 for a configuration that is none.
    """
    options = parser().parse_args(arguments)
    if options.body is None:
        parser().error("say what is to be explained: a file, - or the name of a model")
    try:
        body = _body(options.body)
        request = MessagesRequest.parse(body)
    except OSError as problem:
        err.write(f"ccrelay: {options.body}: {problem.strerror}\n")
        return _NO_INPUT
    except Malformed as problem:
        err.write(f"ccrelay: {options.body}: {clean(problem.message)}\n")
        return _BAD_BODY
    try:
        explained, whence = _explained(options, body, request, environ, home)
    except NoAnswerError as problem:
        err.write(f"ccrelay: {clean(problem)}\n")
        return problem.status
    except ConfigError as error:
        for line in error.problems:
            err.write(f"{line}\n")
        return _CONFIG
    if options.json:
        out.write(json.dumps(explained, indent=2, ensure_ascii=False) + "\n")
    else:
        for line in report(explained, whence):
            out.write(f"{line}\n")
    return 0 if explained["candidates"] else _NOBODY


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = parser_of("route", "Explain where a request would go, and why; nothing is sent to a provider.")
    made.add_argument("--explain", action="store_true", required=True, help="the only thing it does")
    made.add_argument(
        "body", nargs="?", metavar="BODY",
        help="the file of a request's body, - for standard input, or the name of a model",
    )  # fmt: skip
    made.add_argument("--client", default="", metavar="NAME", help="as whom; without it, as anybody")
    made.add_argument("--session", metavar="ID", help="of which conversation (x-claude-code-session-id)")
    made.add_argument("--offline", action="store_true", help="by the configuration alone: ask no relay")
    made.add_argument("--json", action="store_true", help="for programs")
    return made


def _body(given: str) -> bytes:
    """Return a request's body: of a file, of standard input, or the smallest one for a model."""
    if given == "-":
        return sys.stdin.buffer.read()
    path = Path(given)
    # A model's name looks like no path, and what looks like one should be there.
    if path.exists() or "/" in given or given.endswith(".json"):
        return path.read_bytes()
    return smallest(given)


def _explained(
    options: argparse.Namespace,
    body: bytes,
    request: MessagesRequest,
    environ: Mapping[str, str],
    home: Path,
) -> tuple[dict[str, Any], str]:
    """Return what a relay says, else what the configuration does, and which of them it was."""
    headers = {"x-claude-code-session-id": options.session} if options.session else {}
    if not options.offline:
        relay = relay_of(options, environ, home)
        try:
            told = relay.order("explain", request=json.loads(body), headers=headers, client=options.client)
        except NoAnswerError as problem:
            if not problem.away or options.url or options.socket:
                raise
        else:
            return told, f"as the relay at {relay.where} stands"
    settings = load(options.config, environ, home).settings
    return _offline(settings, options.client, request, headers), "by the configuration alone, all being well"


def _offline(
    settings: Settings, name: str, request: MessagesRequest, headers: Mapping[str, str]
) -> dict[str, Any]:
    from twisted.internet.task import Clock  # noqa: PLC0415  slow to load, and not needed where a relay answers

    from ccrelay.relay.explain import explain  # noqa: PLC0415
    from ccrelay.service.assembly import auth_of, upstreams_of  # noqa: PLC0415

    def nowhere(_provider: object) -> Any:  # noqa: ANN401  nobody is reached
        return None

    clients = {known.client.name: known.client for known in auth_of(settings).clients}
    if name and name not in clients:
        msg = f"there is no client {name!r}; there are: {', '.join(clients) or 'none'}"
        raise NoAnswerError(msg, _NOBODY)
    upstreams = upstreams_of(settings, Clock(), nowhere)
    disabled = tuple(provider.name for provider in settings.providers if not provider.enabled)
    pairs = tuple((key.encode(), value.encode()) for key, value in headers.items())
    explained = explain(upstreams, clients.get(name, Client()), request, pairs, time.time(), disabled)
    told: dict[str, Any] = msgspec.to_builtins(explained)
    return told


def report(explained: Mapping[str, Any], whence: str) -> Iterator[str]:
    """Yield the lines that explain where a request would go, none wider than 80 characters."""
    yield cut(f"{explained['model']}, strategy {explained['strategy']}; {whence}", 80)
    if explained["place"]:
        yield cut(f"its conversation is at {explained['place']}", 80)
    yield ""
    if explained["candidates"]:
        rows = [
            (
                str(one["rank"]), cut(one["provider"], 14), cut(one["model"], 20),
                cut(one["key"] or "own login", 10), cut(one["reason"], _WHY),
            )
            for one in explained["candidates"]
        ]  # fmt: skip
        heads = ("", "provider", "model there", "key", "why")
        for line, one in zip(table(heads, rows), (None, *explained["candidates"]), strict=True):
            yield line
            if one is not None and len(one["reason"]) > _WHY:
                yield f"   {cut(one['reason'], 77)}"
    else:
        yield "nobody could take it"
    if explained["left_out"]:
        yield ""
        yield "left out:"
        for one in explained["left_out"]:
            yield f"  {cut(one['provider'] + ': ' + one['reason'], 78)}"
    for note in explained["notes"]:
        yield cut(f"note: {note}", 80)

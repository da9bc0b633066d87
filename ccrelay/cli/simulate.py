"""C{ccrelay simulate}: the simulated provider alone, for drills and load tests of any gateway."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Final

from ccrelay.errors import ConfigError
from ccrelay.simulator.default import FAULTS
from ccrelay.simulator.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any, TextIO

_LISTEN: Final = "127.0.0.1:8788"
_USAGE: Final = 2
_UNAVAILABLE: Final = 69  # EX_UNAVAILABLE of sysexits.h

_ADDRESS: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_PORTS: Final = 65535


def run(arguments: Sequence[str], out: TextIO, err: TextIO, _environ: Mapping[str, str], _home: Path) -> int:
    """
    Serve until SIGINT or SIGTERM.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}; 69 where the port is taken.
    """
    options = parser().parse_args(arguments)
    # Twisted's reactor is installed by whoever imports it first, so nobody may at the top of a module.
    from twisted.internet import reactor  # noqa: PLC0415

    return serve(reactor, options, out, err)


def serve(
    reactor: Any,  # noqa: ANN401  it is many things at once
    options: argparse.Namespace,
    out: TextIO,
    err: TextIO,
) -> int:
    """
    Listen and run the reactor until it is stopped.

    @param reactor: provides C{IReactorTCP}, C{IReactorTime} and C{IReactorCore}.
    @param options: listen, scenario, pace_ms and error_rate.
    @return: the exit status.
    """
    from twisted.internet.error import CannotListenError  # noqa: PLC0415

    from ccrelay.simulator.app import Simulator  # noqa: PLC0415

    host, port = options.listen
    try:
        simulator = Simulator(
            reactor,
            scenario=options.scenario,
            pace=options.pace_ms / 1000,
            error_rate=options.error_rate,
            remember=0,
        )
        listening = reactor.listenTCP(port, simulator.site, interface=host, backlog=1024)
    except ConfigError as problem:
        err.write("".join(f"ccrelay simulate: {line}\n" for line in problem.problems))
        return _USAGE
    except CannotListenError as problem:
        err.write(
            f"ccrelay simulate: cannot listen on {_shown(host, port)}: {problem.socketError.strerror};"
            " choose another with --listen\n"
        )
        return _UNAVAILABLE
    out.write(
        f"ccrelay simulator: http://{_shown(host, listening.getHost().port)} answers"
        f" (scenario {options.scenario}, {options.pace_ms:g} ms an event); Ctrl-C stops it\n"
    )
    out.flush()
    reactor.run()
    return 0


def address(text: str) -> tuple[str, int]:
    """
    Return the host and port of C{host:port} or C{[v6]:port}.

    @raise argparse.ArgumentTypeError: it is neither.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > _PORTS:
        msg = f"{text!r} is not host:port"
        raise argparse.ArgumentTypeError(msg)
    host = found["v6"] or found["host"]
    return "127.0.0.1" if host == "localhost" else host, int(found["port"])


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = argparse.ArgumentParser(
        prog="ccrelay simulate",
        description="Serve the Messages API without a model: simulated answers, and faults on demand.",
        epilog=f"Scenarios: {', '.join(SCENARIOS)}. Models that bring a fault: {', '.join(FAULTS)}.",
    )
    made.add_argument(
        "--listen",
        type=address,
        default=address(_LISTEN),
        metavar="HOST:PORT",
        help=f"where to listen ({_LISTEN})",
    )
    made.add_argument("--scenario", default="default", help="a scenario's name, or a YAML file of acts")
    made.add_argument("--pace-ms", type=float, default=20.0, metavar="MS", help="between two events (20)")
    made.add_argument(
        "--error-rate",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="the share of requests, 0 to 1, that meet a fault (0)",
    )
    return made


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host or '*'}:{port}"

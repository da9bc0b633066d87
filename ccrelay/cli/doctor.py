"""C{ccrelay doctor}: what works at each provider, found out with tiny real requests."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ccrelay.cli.showing import Painter, clean, cut
from ccrelay.config.load import load
from ccrelay.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from ccrelay.config.model import ProviderSettings, Settings
    from ccrelay.relay.doctor import Finding

_PROBLEMS: Final = 1
_USAGE: Final = 2
_CONFIG: Final = 78  # EX_CONFIG
_INTERRUPTED: Final = 130


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    Examine providers, and say what works.

    The parameters are those of L{ccrelay.cli.main.Command.run}.

    @return: 0 if all does; 1 if something does not; 78 if the configuration cannot be used.
    """
    options = parser().parse_args(arguments)
    try:
        settings = load(options.config, environ, home).settings
    except ConfigError as error:
        for problem in error.problems:
            err.write(f"{problem}\n")
        return _CONFIG
    chosen = [
        p for p in settings.providers if p.name in options.provider or (not options.provider and p.enabled)
    ]
    unknown = set(options.provider) - {p.name for p in settings.providers}
    if unknown or not chosen:
        known = ", ".join(p.name for p in settings.providers) or "none"
        words = f"there is no provider {min(unknown)!r}" if unknown else "no provider is enabled"
        err.write(f"ccrelay: {words}; there are: {known}\n")
        return _USAGE
    return _Practice(options, out, environ).examine(settings, chosen)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    import argparse  # noqa: PLC0415  with the options it makes

    made = argparse.ArgumentParser(
        prog="ccrelay doctor",
        description="Ask each provider for a few tokens, and say what works: reach, TLS, keys, models, "
        "streaming, tools, counting and beta flags. No relay is asked, and none has to run.",
    )
    made.add_argument("provider", nargs="*", help="its name; without one, all that are enabled")
    made.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="the file; without it, the usual places"
    )
    made.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="a model to try, as clients name it"
    )
    made.add_argument("--betas", action="store_true", help="try each beta flag by itself")
    made.add_argument("--timeout", type=float, default=20.0, metavar="SECONDS", help="for each request (20)")
    made.add_argument("--json", action="store_true", help="for programs")
    return made


class _Practice:
    """Runs the reactor for as long as it takes, and writes down what is found."""

    def __init__(self, options: argparse.Namespace, out: TextIO, environ: Mapping[str, str]) -> None:
        self._options = options
        self._out = out
        self._environ = environ
        self._painter = Painter(out, environ)
        self._findings: list[Finding] = []
        self._status: int | None = None

    def examine(self, settings: Settings, chosen: Sequence[ProviderSettings]) -> int:
        """Examine some providers one after the other, and return the exit status."""
        from twisted.internet import reactor  # noqa: PLC0415  slow to load
        from twisted.internet.defer import Deferred  # noqa: PLC0415

        clock: Any = reactor

        def begin() -> None:
            examining = Deferred.fromCoroutine(self._examined(settings, chosen, clock))
            examining.addErrback(self._failed).addBoth(lambda _: clock.stop() if clock.running else None)

        clock.callWhenRunning(begin)
        clock.run()
        return _INTERRUPTED if self._status is None else self._status

    def _failed(self, failure: Any) -> None:  # noqa: ANN401  Twisted's
        self._out.write(f"{failure.getTraceback()}\n")
        self._status = _PROBLEMS

    async def _examined(self, settings: Settings, chosen: Sequence[ProviderSettings], clock: Any) -> None:  # noqa: ANN401
        from ccrelay.credentials.threads import Threads  # noqa: PLC0415  slow to load
        from ccrelay.relay.doctor import Doctor  # noqa: PLC0415
        from ccrelay.service.assembly import upstreams_of  # noqa: PLC0415
        from ccrelay.service.endpoints import network_endpoints  # noqa: PLC0415

        enabled = tuple(p if p.enabled else p.model_copy(update={"enabled": True}) for p in chosen)
        threads = Threads(clock)
        ways = network_endpoints(clock, self._environ)
        try:
            upstreams = upstreams_of(
                settings.model_copy(update={"providers": enabled}), clock, ways, in_thread=threads.run
            )
        except ConfigError as error:
            for problem in error.problems:
                self._out.write(f"{problem}\n")
            self._status = _CONFIG
            threads.stop()
            return
        try:
            for provider in enabled:
                doctor = Doctor(
                    upstreams[provider.name], ways(provider), clock, time.time,
                    self._options.timeout, self._options.model, each_beta=self._options.betas,
                )  # fmt: skip
                self._head(provider, doctor)
                async for finding in doctor.examine():
                    self._findings.append(finding)
                    self._tell(finding)
        finally:
            threads.stop()
            for upstream in upstreams.listed:
                await upstream.client.close()
        self._end()

    def _head(self, provider: ProviderSettings, doctor: Any) -> None:  # noqa: ANN401  a Doctor
        if self._options.json:
            return
        address = doctor.address
        self._out.write(f"{cut(f'{provider.name} ({provider.type}), {address}', 80)}\n")
        self._out.write(f"at most {doctor.most} tiny requests\n")
        self._out.flush()

    def _tell(self, finding: Finding) -> None:
        if self._options.json:
            return
        works = finding.works
        mark = {True: ("ok  ", "ready"), False: ("FAIL", "open"), None: ("-   ", "disabled")}[works]
        what = f"{finding.check} {finding.subject}".strip()
        took = f"{finding.seconds * 1000:.0f} ms"
        line = f"{cut(what, 40):<40} {took:>9}"
        self._out.write(f"  {self._painter.paint(mark[0], mark[1])} {line}\n")
        for words in (finding.words, f"-> {finding.remedy}" if finding.remedy else ""):
            for part in _wrapped(clean(words), 72):
                self._out.write(f"       {part}\n")
        self._out.flush()

    def _end(self) -> None:
        wrong = [finding for finding in self._findings if finding.works is False]
        if self._options.json:
            told = [asdict(finding) for finding in self._findings]
            self._out.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        else:
            words = "all works" if not wrong else f"{len(wrong)} of {len(self._findings)} do not work"
            self._out.write(f"{words}\n")
        self._status = _PROBLEMS if wrong else 0


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap  # noqa: PLC0415  only where there is something to wrap

    return textwrap.wrap(text, width)[:4]

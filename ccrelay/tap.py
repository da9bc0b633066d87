"""C{twistd ccrelay}: its options, and the service they make."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.python.usage import Options as UsageOptions

from ccrelay.config.load import load
from ccrelay.errors import ConfigError
from ccrelay.service import memory
from ccrelay.service import reactor as own_reactor

if TYPE_CHECKING:
    from twisted.application.service import IService

    from ccrelay.config.read import Loaded

# twistd imports this before it needs a reactor, unless --reactor has chosen one.
own_reactor.install()

EX_CONFIG = 78
"""The exit status for a configuration that cannot be used (sysexits.h)."""


class Options(UsageOptions):
    """What C{twistd ccrelay} understands."""

    synopsis = "[--config FILE]"
    longdesc = "Relay the Anthropic Messages API to many providers of it."
    optParameters = [  # noqa: RUF012  Twisted's way to declare options
        ["config", "c", None, "The configuration file; without it, the usual places are looked at."],
    ]


def makeService(options: Options) -> IService:
    """
    Return the relay as a service.

    @raise SystemExit: with 78 and a line for each problem, if the configuration cannot be used.
    """
    from twisted.internet import reactor  # noqa: PLC0415  installed by now, and not before

    from ccrelay.service.root import Ccrelay  # noqa: PLC0415  the rooms load with it

    given = options["config"]

    def read() -> Loaded:
        return load(Path(given) if given else None, os.environ, Path.home())

    memory.set_large_apart()
    reactor.callWhenRunning(memory.settle)
    try:
        return Ccrelay(read(), reactor, reread=read, environ=os.environ)
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"ccrelay: {problem}\n")
        raise SystemExit(EX_CONFIG) from None

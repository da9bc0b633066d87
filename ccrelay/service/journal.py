"""Where the relay's log goes, as long as it runs: chosen by the configuration, opened anew when told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.logger import ILogObserver, Logger

from ccrelay.http1.turns import at_end_of_turn
from ccrelay.observe import log as logs

if TYPE_CHECKING:
    from ccrelay.config.model import Settings


class Journal:
    """
    The log.

    @ivar output: what writes it.
    """

    log = Logger()

    def __init__(self, settings: Settings) -> None:
        """
        Open it.

        @raise OSError: if the file cannot be opened.
        """
        logging = settings.logging
        self.output = logs.Output(logs.standard(logging.output), logging.format, logging.level)
        self._where = logging.output
        self._ours = False

    @property
    def direct(self) -> logs.Output | None:
        """What lines may be given straight to; None where Twisted's log goes elsewhere."""
        return self.output if self._ours else None

    def come_along(self, parent: Any, reactor: Any) -> bool:  # noqa: ANN401  Twisted's application
        """Be what C{twistd} writes through; return whether the parent is an application that lets it."""
        set_component = getattr(parent, "setComponent", None)
        if set_component is None:
            return False
        set_component(ILogObserver, self.output)
        self._ours = True
        self.output.soon = at_end_of_turn(reactor)
        return True

    def other(self, settings: Settings) -> logs.LogFile | None:
        """
        Return what another configuration wants written to, opened; None if it is what is written to now.

        @raise OSError: if the file cannot be opened.
        """
        if settings.logging.output == self._where:
            return None
        return logs.standard(settings.logging.output)

    def change(self, settings: Settings, file: logs.LogFile | None) -> None:
        """Write as another configuration says; C{file} is what L{other} returned."""
        old = self.output.file
        self.output.change(file or old, settings.logging.format, settings.logging.level)
        self._where = settings.logging.output
        if file is not None:
            old.close()

    def reopen(self) -> None:
        """Open the file anew: somebody has moved it away."""
        try:
            self.output.file.reopen()
        except OSError as problem:
            self.log.error(  # noqa: TRY400  the words say enough
                "cannot open the log file anew ({problem}); it goes on", problem=problem
            )
        else:
            if self.output.file.path is not None:
                self.log.info("log file opened anew")

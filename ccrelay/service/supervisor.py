"""systemd, or whoever else started the process and wants to hear how it is: sd_notify(3)."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MICROSECONDS: Final = 1_000_000


class Supervisor:
    """
    Tells the supervisor what it wants to know; tells nobody where there is none.

    @ivar watchdog: seconds within which it wants a sign of life each time; None where it does not.
    """

    log = Logger()

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        """@param address: of its datagram socket, a path or C{@} and a name; None where there is none."""
        self.watchdog = watchdog
        self._address = address

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Supervisor:
        """Return the supervisor that the environment names (sd_notify(3), sd_watchdog_enabled(3))."""
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        wait = environ.get("WATCHDOG_USEC", "")
        watched = ours and wait.isdecimal() and int(wait) > 0
        return cls(environ.get("NOTIFY_SOCKET") or None, int(wait) / _MICROSECONDS if watched else None)

    @property
    def there(self) -> bool:
        """Whether there is one."""
        return self._address is not None

    def tell(self, *assignments: str, descriptors: Sequence[int] = ()) -> None:
        """
        Tell it something; that it cannot be reached stops nothing.

        @param assignments: such as C{READY=1}.
        @param descriptors: handed over with them.
        """
        if self._address is None:
            return
        where = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.connect(where)
                message = "\n".join(assignments).encode()
                if descriptors:
                    socket.send_fds(line, [message], list(descriptors))
                else:
                    line.send(message)
        except OSError as problem:
            self.log.warn(  # noqa: G010  Twisted's Logger has no other
                "cannot tell the supervisor {what} ({problem})", what=assignments[0], problem=problem
            )

    def leave(self) -> None:
        """Tell it nothing more: another process speaks for the relay now."""
        self._address = None

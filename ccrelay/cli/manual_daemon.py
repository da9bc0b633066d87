"""ccrelay(8): how the daemon runs. What it says of the service is what debian/ installs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ccrelay.cli.roff import Page

_TEXT: Final = """\
# DESCRIPTION

`ccrelay serve` runs the relay in the foreground, and so does `twistd --nodaemon ccrelay`. Debian's package
runs it as `ccrelay.service`, as the user _ccrelay, who may write nowhere but to its own directories.

A second one beside it is `ccrelay@NAME.service`, with the configuration /etc/ccrelay/NAME.yaml, which must
listen elsewhere.

# SECRETS

Keys need not stand in the configuration. A file below /etc/ccrelay/credentials, which only root can read,
is handed to the daemon by systemd when it starts: `key_file: key_NAME` reads the file NAME. A variable of
/etc/default/ccrelay is read as `${NAME}`.

# SIGNALS

* SIGTERM, SIGINT: Stop: no new connection is taken, requests that run may go on for `server.drain_ms`, then
streams end with an error event. A second one ends the process at once.

* SIGHUP: Open the log file anew, and read the configuration anew. One with a mistake changes nothing.

* SIGUSR2: Hand over, as `ccrelay upgrade` does: a new process, of the version that is installed now, takes
the listening sockets. What runs ends in the old process. If the new one does not come to serve, the old one
goes on.

# SYSTEMD

The daemon says when it serves (`Type=notify`), and gives a sign of life again and again (`WatchdogSec=`).
Its listening sockets are kept by systemd, so that whoever connects while it is restarted, or after it has
crashed, waits for the next process; `systemctl stop` closes them. `systemctl reload` is SIGHUP. An upgrade
of the package hands over.

With `ccrelay.socket`, which is not enabled, systemd listens in its place. An address of it that
`server.listen` does not name is not used, and the log says so.

A unix socket in `server.listen`, and an address with TLS of its own (`ssl:`), cannot be handed over; there
is a moment without them.

# FILES

* /etc/ccrelay/config.yaml: The configuration: ccrelay.yaml(5).

* /etc/ccrelay/credentials/: Files that hold keys.

* /etc/default/ccrelay: Variables for the service.

* /run/ccrelay/admin.sock: Where `ccrelay status`, `ccrelay top` and others ask the daemon; for root.

* /var/lib/ccrelay/: The home of _ccrelay, where SDKs of clouds may keep what they fetched.

* /var/log/ccrelay/: For `logging.output`, if it is a file there; without it the journal has the log.
"""
"""Paragraphs; one that begins with C{#} is a heading, with C{*} a name and what that is."""


def write(page: Page) -> None:
    """Write all of the page but its head and its end."""
    for paragraph in _TEXT.strip().split("\n\n"):
        words = " ".join(paragraph.split())
        if words.startswith("# "):
            page.heading(words.removeprefix("# "))
        elif words.startswith("* "):
            name, _, told = words.removeprefix("* ").partition(": ")
            page.entry(name, told)
        else:
            page.paragraph(words)

"""Bytes to a client at once, where nothing waits to go before them."""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection


def send_now(transport: Any, *pieces: bytes) -> None:  # noqa: ANN401  whatever a channel has
    """
    Send bytes in this turn of the reactor, and leave to the transport what the socket does not take.

    A transport keeps what is written for the reactor's next turn: it asks
    epoll to be told when it can write, is told at once, writes, and asks
    epoll not to tell any more.  For one event of a stream that is a third of
    what relaying it costs.
    """
    # _tempDataBuffer: what was written in this turn; _aborting: it is being cut. Neither has a public name.
    data = pieces[0]
    idle = isinstance(transport, Connection) and not (
        transport.dataBuffer
        or transport._tempDataBuffer  # noqa: SLF001
        or transport.disconnecting
        or transport._aborting  # noqa: SLF001
    )
    if idle and transport.connected:
        left = None
        try:
            if len(pieces) == 1:
                sent = transport.socket.send(data)
            else:
                sent = transport.socket.sendmsg(pieces)  # uncopied: 3 % of a request of 100 KB
                if sent == sum(map(len, pieces)):
                    return
                data = b"".join(pieces)
            if sent == len(data):
                return
            left = memoryview(data)
            while sent:
                left = left[sent:]
                sent = transport.socket.send(left) if left else 0
            if not left:
                return
        except OSError:
            pass  # the socket is full; or the connection is lost, as the transport will find out itself
        if left is not None:
            transport.write(bytes(left))
            return
    transport.write(data if len(pieces) == 1 else b"".join(pieces))

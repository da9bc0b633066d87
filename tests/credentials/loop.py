"""Watches the reactor's loop: how long nothing else was done."""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

TICK_S = 0.01
LONGEST_S = 0.5
"""What a tick may be late on a machine that is busy with other things; a fetch takes four times as long."""


class LoopWatch:
    """
    Ticks a hundred times a second, and remembers the longest pause.

    Meanwhile no garbage is looked for among what was there before: hundreds of tests may have left some,
    and looking through it takes half a second.
    """

    def __init__(self, reactor: Any) -> None:
        gc.collect()
        gc.freeze()
        self._reactor = reactor
        self._last = time.monotonic()
        self._longest = 0.0
        self._call = LoopingCall(self._tick)
        self._call.clock = reactor
        self._call.start(TICK_S).addErrback(lambda _: None)

    def _tick(self) -> None:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last)
        self._last = now

    def stop(self) -> float:
        """Return the longest pause, in seconds."""
        self._tick()
        if self._call.running:
            self._call.stop()
            gc.unfreeze()
        return self._longest


async def first_fetches(reactor: Any) -> None:
    """Load every SDK for the first time, as a relay does, and print the longest pause of the loop."""
    from ccrelay.credentials.aws import AwsSettings, aws_credential  # noqa: PLC0415
    from ccrelay.credentials.entra import EntraSettings, entra_credential  # noqa: PLC0415
    from ccrelay.credentials.google import GoogleSettings, google_credential  # noqa: PLC0415
    from ccrelay.credentials.threads import Threads  # noqa: PLC0415
    from ccrelay.errors import CredentialFailed  # noqa: PLC0415
    from ccrelay.wire.http import UpstreamRequest  # noqa: PLC0415
    from ccrelay.wire.secret import Secret  # noqa: PLC0415

    threads = Threads(reactor)
    secret = Secret("test-secret-0123456789")
    nowhere = "https://127.0.0.1:1"
    request = UpstreamRequest("POST", "https://bedrock-runtime.us-east-1.amazonaws.com/", (), b"{}")
    watch = LoopWatch(reactor)
    keys = AwsSettings("us-east-1", None, "AKIATESTCCRELAY00000", secret)
    for credential in (
        aws_credential("a", keys, threads.run, reactor),
        google_credential("b", GoogleSettings(), threads.run, reactor),
        entra_credential("c", EntraSettings("t", "c", secret, authority=nowhere), threads.run, reactor),
    ):
        try:
            await credential.authorize(request, time.time())
        except CredentialFailed:
            sys.stdout.write("failed ")
        else:
            sys.stdout.write("authorized ")
    sys.stdout.write(f"{watch.stop():.3f}")
    threads.stop()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(first_fetches(reactor)))

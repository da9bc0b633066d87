"""The observer that writes a line for every request, and for every attempt that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from twisted.logger import Logger, LogLevel

from ccrelay.observe.log import FIELDS, fields_of, stamped
from ccrelay.policy.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.observe.log import Output
    from ccrelay.relay.events import AttemptEnded, RequestEnded

_LONGEST = 256


class RequestLine(msgspec.Struct, omit_defaults=True):
    """
    The line of a request; what is as here by default says nothing, and is left out.

    As a dictionary it would be made, looked through and encoded in three
    times the time, which is 3 % of a small request.
    """

    time: str
    level: str
    message: str
    id: str
    client: str = ""
    session: str = ""
    method: str = ""
    path: str = ""
    provider: str = ""
    key: str = ""
    model: str = ""
    model_sent: str = ""
    upstream_id: str = ""
    stream: bool = False
    attempts: int = 0
    tried: list[str] | None = None
    status: int = -1
    bytes: int = -1
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cost_usd: float | None = None
    ttfb_ms: float | None = None
    duration_ms: float | None = None
    ended: str = ""


class RequestLog:
    """Turns finished requests and failed attempts into log events; it sees neither keys nor prompts."""

    log = Logger()

    def __init__(
        self,
        cost: Callable[[RequestEnded], float | None] = lambda _request: None,
        output: Output | None = None,
        wall: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """
        @param cost: returns what a request has cost in US dollars, or None where that is not known.
        @param output: what writes the log, where nothing else listens; None for Twisted's log.
        @param wall: returns seconds since the epoch.
        """
        self._output = output
        self._wall = wall
        # Logger as a descriptor makes a new one on each access.
        self._log = self.log
        self._cost = cost

    def attempt_ended(self, attempt: AttemptEnded) -> None:
        """
        Log an attempt that failed; one that did not, or was cut short, shows in its request's line.

        What a request was sent without is logged at debug, whatever came of it.
        """
        if attempt.dropped or attempt.mended:
            adapted = {
                "id": attempt.request,
                "provider": attempt.provider,
                "model_sent": _clipped(attempt.model),
                "dropped": [_clipped(name) for name in attempt.dropped],
                "mended": attempt.mended,
            }
            self._log.debug("request adapted", **{FIELDS: adapted})
        if attempt.verdict is Verdict.OK or attempt.verdict is Verdict.CANCELLED:
            return
        fields = {
            "id": attempt.request,
            "provider": attempt.provider,
            "key": attempt.key,
            "model_sent": _clipped(attempt.model),
            "verdict": attempt.verdict.value,
            "repeat": attempt.repeat or None,
            "status": attempt.status or None,
            "upstream_id": _clipped(attempt.upstream_id),
            "reason": _clipped(attempt.reason),
            "said": _clipped(attempt.said) or None,
            "duration_ms": _ms(attempt.duration),
        }
        self._log.warn("attempt failed", **{FIELDS: fields})

    def request_ended(self, request: RequestEnded) -> None:
        """Log a request, whatever its end; quiet ones only at debug."""
        attempts, usage = request.attempts, request.usage
        cost = self._cost(request)
        last = attempts[request.answered] if attempts else None
        session, path, model, why = request.session, request.path, request.model, request.why
        sent = last.model if last and last.model != model else ""
        upstream_id = last.upstream_id if last else ""
        told = f"{session}{path}{model}{sent}{upstream_id}{why}"
        if len(told) > _LONGEST or not told.isprintable():  # one look at all that came from outside
            session, path, model, why = _clipped(session), _clipped(path), _clipped(model), _clipped(why)
            sent, upstream_id = _clipped(sent), _clipped(upstream_id)
        wall = self._wall()
        line = RequestLine(
            stamped(wall),
            "debug" if request.quiet else "info",
            "request",
            request.id,
            request.client,
            session,
            request.method,
            path,
            last.provider if last else "",
            last.key if last else "",
            model,
            sent,
            upstream_id,
            request.stream,
            len(attempts),
            [f"{a.provider}/{a.key}" for a in attempts] if len(attempts) > 1 else None,
            request.status,
            request.sent,
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            None if cost is None else round(cost, 6),
            _ms(request.first_byte),
            _ms(request.duration),
            why,
        )
        if self._output is not None:
            self._output.tell(LogLevel.debug if request.quiet else LogLevel.info, wall, line)
            return
        emit = self._log.debug if request.quiet else self._log.info
        emit("request", **{FIELDS: fields_of(line)})


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _clipped(text: str) -> str:
    """Return text from outside without what would break a line, and not endless."""
    if len(text) <= _LONGEST and text.isprintable():  # nearly always
        return text
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:_LONGEST])
    return safe if len(text) <= _LONGEST else safe + "…"

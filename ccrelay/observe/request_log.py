"""The observer that writes a line for every request, and for every attempt that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.logger import Logger, LogLevel

from ccrelay.observe.log import FIELDS
from ccrelay.policy.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.observe.log import Output
    from ccrelay.relay.events import AttemptEnded, RequestEnded

_LONGEST = 256


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
        fields: dict[str, Any] = {
            "id": request.id,
            "client": request.client,
            "session": session,
            "method": request.method,
            "path": path,
            "provider": last.provider if last else None,
            "key": last.key if last else None,
            "model": model,
            "model_sent": sent,
            "upstream_id": upstream_id,
            "stream": request.stream or None,
            "attempts": len(attempts) or None,
            "tried": [f"{a.provider}/{a.key}" for a in attempts] if len(attempts) > 1 else None,
            "status": request.status,
            "bytes": request.sent,
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "cache_read_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
            "cost_usd": None if cost is None else round(cost, 6),
            "ttfb_ms": _ms(request.first_byte),
            "duration_ms": _ms(request.duration),
            "ended": why,
        }
        if self._output is not None:
            level = LogLevel.debug if request.quiet else LogLevel.info
            self._output.tell(self._wall(), level, "request", fields)
            return
        emit = self._log.debug if request.quiet else self._log.info
        emit("request", **{FIELDS: fields})


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _clipped(text: str) -> str:
    """Return text from outside without what would break a line, and not endless."""
    if len(text) <= _LONGEST and text.isprintable():  # nearly always
        return text
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:_LONGEST])
    return safe if len(text) <= _LONGEST else safe + "…"

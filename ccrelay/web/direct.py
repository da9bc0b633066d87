"""Klein's routes whose paths are fixed, found and run without its map."""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ccrelay.web.answering import exchange_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from klein import Klein

    from ccrelay.web.request import Accounted

log = Logger()


class Direct:
    """
    The fixed paths of a Klein application.

    Klein binds Werkzeug's map to each request, matches, and hangs four
    Deferreds together: a sixth of what a small request costs.  A path without
    variables is found in a dictionary as well, and its method is called with
    the same request, awaited, cancelled when the client leaves, and answered
    by the same words for errors.  All other paths are Klein's.

    @ivar paths: those that are answered so, with some methods.
    """

    def __init__(self, app: Klein, owner: object, failed: Callable[[Any, Failure], bytes | None]) -> None:
        """
        @param owner: whose methods the routes are.
        @param failed: returns the answer for what a method raised.
        """
        self._failed = failed
        self.paths: set[bytes] = set()
        self._routes: dict[tuple[bytes, bytes], Callable[[Any], Any]] = {}
        for rule in app.url_map.iter_rules():
            method = getattr(owner, str(rule.endpoint), None)
            if not rule.arguments and method is not None:
                self.paths.add(rule.rule.encode("ascii"))
                for verb in rule.methods or ():
                    self._routes[verb.encode("ascii"), rule.rule.encode("ascii")] = method

    def answers(self, request: Accounted) -> bool:
        """Answer a request, if its path is one of these; return whether it is."""
        method = self._routes.get((request.method, request.path))
        if method is None:
            return False
        exchange = exchange_of(request)
        exchange.hold()  # until _done lets go
        try:
            result = method(request)
        except Exception:  # noqa: BLE001  every error has its answer, as Klein sees to
            self._lost(Failure(), request)
            return True
        if isinstance(result, CoroutineType):
            work = Deferred.fromCoroutine(result)
            if not work.called:
                request.leaving = work.cancel
                exchange.under_way(work)
            work.addCallbacks(self._done, self._lost, callbackArgs=(request,), errbackArgs=(request,))
        else:
            self._done(result, request)
        return True

    def _done(self, result: bytes | None, request: Accounted) -> None:
        if not request.finished and not request.gone:
            if result:
                request.write(result)
            request.finish()
        exchange_of(request).let_go()

    def _lost(self, failure: Failure, request: Accounted) -> None:
        interrupted = exchange_of(request).interrupted
        cancelled = failure.check(CancelledError) is not None
        if cancelled and interrupted is not None:
            failure = Failure(interrupted)
        result = None
        if not request.finished and not request.gone:
            result = self._failed(request, failure)
        elif not cancelled:
            log.failure("fault in ccrelay after the answer to {id}", failure, id=exchange_of(request).id)
        self._done(result, request)

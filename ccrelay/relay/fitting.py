"""A client's request as one provider takes it: made to fit, and mended where that says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ccrelay.policy.verdict import Verdict
from ccrelay.providers.betas import NOTHING_LEARNED
from ccrelay.providers.learned import rejection
from ccrelay.wire import headers as fields
from ccrelay.wire.thinking import (
    any_foreign,
    refuses_signature,
    repaired,
    thinking_off,
    wants_thinking,
    without_foreign,
)

if TYPE_CHECKING:
    from ccrelay.credentials.interfaces import ICredential
    from ccrelay.policy.route import Route
    from ccrelay.policy.verdict import Complaint
    from ccrelay.providers.betas import Betas, Fitted, Lesson
    from ccrelay.relay.upstreams import Upstream
    from ccrelay.wire.http import Pairs, UpstreamRequest
    from ccrelay.wire.request import MessagesRequest

_UNAUTHORIZED = 401
THINKING = "thinking"
"""What is called dropped where thinking was taken out of a request."""


class Fitting:
    """
    What one attempt sends.

    A refusal may say how the same request would do: with a new credential,
    without thinking that somebody else signed, without asking for thinking
    where what had to go would be missed, without a flag or a field.  Each of
    these is tried once, at once, and at the same provider.

    @ivar dropped: names of flags and paths of fields that went, for the log and for counting.
    @ivar mended: what was mended: C{credential}, C{thinking}, C{thinking_off}, C{betas}.
    """

    def __init__(self, request: MessagesRequest, headers: Pairs, route: Route, upstream: Upstream) -> None:
        """@param request: the client's; C{headers}: likewise."""
        self._request = request
        self._headers = headers
        self._route = route
        self._upstream = upstream
        self._last: Fitted | None = None
        self.dropped: tuple[str, ...] = ()
        self.mended: tuple[str, ...] = ()

    def composed(self, query: bytes, now: float, *, counting: bool) -> UpstreamRequest:
        """
        Return the request that is to be authorized and sent.

        @param query: the client's.
        @param counting: whether only tokens are to be counted.
        @raise ClientError: if this kind of provider cannot take such a request.
        """
        upstream, provider = self._upstream, self._upstream.provider
        fitted = self._fitted(now, counting=counting)
        self._last = fitted
        self.dropped = fitted.dropped
        compose = provider.count if counting else provider.compose
        return compose(fitted.request, fitted.headers, query).adding(*upstream.headers)

    def mends(
        self,
        complaint: Complaint,
        sent: UpstreamRequest,
        credential: ICredential,
        now: float,
        *,
        counting: bool,
    ) -> bool:
        """
        Return whether the request is worth composing and sending once more, after a refusal.

        @param sent: the request as it was authorized by C{credential}.
        """
        if complaint.verdict is Verdict.KEY and complaint.status == _UNAUTHORIZED:
            return self._once("credential", again=credential.refused(sent))
        if complaint.verdict is not Verdict.CLIENT or self._last is None:
            return False
        if refuses_signature(complaint.status, complaint.message):
            trimmed = repaired(self._request.body)
            if trimmed.removed and self._once(THINKING, again=True):
                self._request = replace(self._request, body=trimmed.body)
                return True
            return False
        if wants_thinking(complaint.status, complaint.message):
            if THINKING in self.dropped and self._once("thinking_off", again=True):
                self._request = replace(self._request, body=thinking_off(self._request.body))
                return True
            return False
        return self._relearned(complaint, now, counting=counting)

    def _relearned(self, complaint: Complaint, now: float, *, counting: bool) -> bool:
        """Learn from a refusal unless the request would be the same; another may have taught it meanwhile."""
        upstream, before = self._upstream, self._last
        said = rejection(complaint.status, complaint.message) if upstream.learns else None
        if said is None or before is None:
            return False
        fresh = self._fitted(now, said.lesson, counting=counting)
        if (fresh.request.body, fresh.headers) == (before.request.body, before.headers):
            return False
        upstream.lessons.betas.learn(upstream.name, self._route.model, said, now, counting=counting)
        return self._once("betas", again=True)

    def _once(self, what: str, *, again: bool) -> bool:
        if not again or what in self.mended:
            return False
        self.mended = (*self.mended, what)
        return True

    def _fitted(self, now: float, taught: Lesson = NOTHING_LEARNED, *, counting: bool) -> Fitted:
        """
        Return the request with the model's name there, and without what this provider would refuse.

        @param taught: beside what is known.
        """
        upstream, model = self._upstream, self._route.model
        request, removed = self._request, 0
        glance, provenance = request.glance, upstream.lessons.provenance
        if glance is None or any_foreign(glance.thoughts, upstream.family, provenance):
            trimmed = without_foreign(request.body, upstream.family, provenance)
            removed = trimmed.removed
            if removed:
                request = replace(request, body=trimmed.body)
        lesson = upstream.lessons.betas.lesson(upstream.name, model, now, counting=counting)
        betas: Betas = upstream.provider.betas
        fitted = betas.fitted(
            request.with_model(model), self._headers, lesson.joined(taught),
            counting=counting, asked=request.model,
        )  # fmt: skip
        if removed or any(what.startswith(THINKING) for what in self.mended):
            return replace(fitted, dropped=(*fitted.dropped, THINKING))
        return fitted


def headers_for(headers: Pairs, *, pooled: bool) -> Pairs:
    """
    Return a client's header fields for a provider.

    @param pooled: whether one of the provider's keys goes in the place of the client's own login;
        the flag that belongs to that would be refused then.
    """
    return fields.without_beta(headers, fields.OAUTH_BETA) if pooled else headers

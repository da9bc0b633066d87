"""How one attempt ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ccrelay.errors import CredentialFailed, FirstByteTimeout, NoneFree, Stalled, Unreachable
from ccrelay.policy.rate_limits import retry_after
from ccrelay.policy.verdict import Verdict
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from ccrelay.errors import RelayError
    from ccrelay.policy.moment import Moment
    from ccrelay.policy.route import Route
    from ccrelay.policy.verdict import Complaint

_SHOULD_RETRY: Final = {b"true": True, b"false": False}
_LIMITED: Final = 429
_CLIENT_ERRORS: Final = range(400, 500)
_WORTH_A_REPEAT: Final = frozenset({408, 409, 429})


class Outcome(msgspec.Struct, frozen=True):
    """
    How one attempt ended.

    @ivar at: when.
    @ivar begun: whether content of this attempt reached the client, after
        which nobody else may be asked.
    @ivar complaint: the provider's refusal, if it gave one.
    @ivar error: what went wrong where it gave none.
    """

    route: Route
    verdict: Verdict
    at: Moment
    begun: bool = False
    complaint: Complaint | None = None
    error: RelayError | None = None

    @property
    def reason(self) -> str:
        """Why it ended, in a few words, for the log and for the list of attempts."""
        if self.complaint is not None:
            return f"{self.complaint.status} {self.complaint.kind}"
        return self.error.message if self.error is not None else self.verdict.value

    @property
    def public(self) -> str:
        """Why it ended, without what only the operator may know."""
        return self.error.public if self.error is not None else self.reason

    @property
    def status(self) -> int:
        """The status of the refusal, in Anthropic's terms; 0 where there is none."""
        return self.complaint.status if self.complaint is not None else 0

    @property
    def final(self) -> bool:
        """Whether it ends the series: it is an answer, or the client has part of one."""
        if self.begun or self.verdict is Verdict.OK:
            return True
        return self.verdict is Verdict.CLIENT and not self.should_retry

    @property
    def should_retry(self) -> bool | None:
        """What the provider says of a repeat in C{x-should-retry}; None where it says nothing."""
        if self.complaint is None:
            return None
        said = first(self.complaint.headers, b"x-should-retry") or b""
        return _SHOULD_RETRY.get(said.strip().lower())

    @property
    def retry_after(self) -> float | None:
        """Seconds that the provider asks to wait, from when it said so; None where it does not."""
        return None if self.complaint is None else retry_after(self.complaint.headers, self.at.wall)

    @property
    def provider_failed(self) -> bool:
        """Whether that is a failure of the provider's which its breaker counts."""
        if isinstance(self.error, NoneFree):
            return False
        return self.verdict is Verdict.BROKEN and self.status not in _CLIENT_ERRORS

    @property
    def never_arrived(self) -> bool:
        """Whether the provider has not got the request."""
        return self.verdict is Verdict.UNFIT or isinstance(self.error, (Unreachable, CredentialFailed))

    def worth_a_repeat(self, longest_wait: float, *, invited: bool = True) -> bool:
        """
        Return whether the same provider and key may do better if asked once more.

        @param longest_wait: seconds; a provider that asks for more has refused.
        @param invited: whether it is enough that the provider asks for it, in C{x-should-retry}.
        """
        if self.should_retry is False or (self.retry_after or 0.0) > longest_wait:
            return False
        if self.verdict is Verdict.BUSY or (self.should_retry and invited):
            return True
        if self.complaint is None:
            # Who took too long is not asked again: nobody waits that long twice.
            patient = not isinstance(self.error, (FirstByteTimeout, Stalled, CredentialFailed))
            lasting = isinstance(self.error, Unreachable) and self.error.lasting
            return self.verdict is Verdict.BROKEN and patient and not lasting
        if self.complaint.barred_for:
            return False
        return self.status in _WORTH_A_REPEAT or not self.status < 500  # noqa: PLR2004  5xx

    @property
    def limited(self) -> bool:
        """Whether the key was over a limit of the provider's."""
        return self.verdict is Verdict.KEY and self.status == _LIMITED

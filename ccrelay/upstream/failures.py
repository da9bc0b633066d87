"""What a transport's exceptions mean, as errors of our tree in words for an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.web._newclient import ParseError, RequestNotSent, RequestTransmissionFailed
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from ccrelay.errors import Broken, RelayError, Unreachable

if TYPE_CHECKING:
    from ccrelay.errors import UpstreamError


def ended_by_us(problem: Exception) -> bool:
    """Return whether a request failed because it was cancelled; Twisted tells that in several ways."""
    causes = [problem, *(reason.value for reason in getattr(problem, "reasons", ()))]
    ours = (CancelledError, error.ConnectionAborted, error.ConnectingCancelledError)
    return any(isinstance(cause, ours) for cause in causes)


def broken_body(problem: Exception) -> RelayError | None:
    """Return why a body that was passed on as it came broke off, if that is why a request failed."""
    reasons = [reason.value for reason in getattr(problem, "reasons", ())]
    return next((reason for reason in reasons if isinstance(reason, RelayError)), None)


def upstream_error(problem: Exception) -> UpstreamError:
    """Return the L{UpstreamError} that a failed connection or request means."""
    reasons = [reason.value for reason in getattr(problem, "reasons", ())]
    for cause in (problem, *reasons):
        if isinstance(cause, VerificationError):
            return Unreachable("TLS: the certificate is not for this host name", lasting=True)
        if isinstance(cause, SSL.Error):
            return Unreachable(f"TLS: {_words(cause)}", lasting=True)
    if isinstance(problem, error.DNSLookupError):
        return Unreachable("the host name cannot be resolved")
    if isinstance(problem, (error.TimeoutError, error.TCPTimedOutError)):
        words = str(problem.args[0]) if problem.args else ""
        return Unreachable(words if "within" in words else "connecting timed out")
    if isinstance(problem, error.ConnectionRefusedError):
        return Unreachable("connection refused")
    if isinstance(problem, error.ConnectError):
        words = str(problem.args[0]) if problem.args else ""
        return Unreachable(f"cannot connect: {words or type(problem).__name__}")
    if any(isinstance(cause, ParseError) for cause in (problem, *reasons)):
        return Broken("what came back is not HTTP")
    if isinstance(problem, (ResponseNeverReceived, RequestNotSent, RequestTransmissionFailed)):
        return Broken("the connection was closed before an answer began")
    if isinstance(problem, ResponseFailed):
        return Broken("the connection was lost in the head of the answer")
    if isinstance(problem, (error.ConnectionLost, error.ConnectionDone)):
        return Unreachable("the connection was closed while it was being set up")
    return Broken(f"{type(problem).__name__} while the request was sent")


def _words(problem: SSL.Error) -> str:
    """Return OpenSSL's reason, such as C{certificate verify failed}."""
    try:
        return str(problem.args[0][0][2]) or "the handshake failed"
    except (IndexError, TypeError):
        return "the handshake failed"

"""The rules of what an operator reads when a connection fails."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import (
    ParseError,
    RequestGenerationFailed,
    RequestNotSent,
    RequestTransmissionFailed,
)
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from ccrelay.errors import Broken, TooSlow, Unreachable
from ccrelay.upstream.failures import broken_body, ended_by_us, upstream_error

HANDSHAKE = SSL.Error([("SSL routines", "", "certificate verify failed")])


def wrapped(problem: Exception, how: type[Exception] = ResponseNeverReceived) -> Exception:
    """Return what Twisted makes of a problem while a request is under way."""
    return how([Failure(problem)])


class WordsTests(SynchronousTestCase):
    """Each failure in words, and in its place in our tree."""

    def test_no_connection(self) -> None:
        """Where no connection could be had the provider is unreachable, and the words tell why."""
        for problem, words in (
            (error.DNSLookupError("no such host"), "the host name cannot be resolved"),
            (error.ConnectionRefusedError(), "connection refused"),
            (error.TimeoutError(string="no connection within 10 s"), "no connection within 10 s"),
            (error.TimeoutError(), "connecting timed out"),
            (error.TCPTimedOutError(), "connecting timed out"),
            (error.NoRouteError(113, "No route to host"), "cannot connect: No route to host"),
            (error.UserError(), "cannot connect: UserError"),
            (error.ConnectionDone(), "the connection was closed while it was being set up"),
            (error.ConnectionLost(), "the connection was closed while it was being set up"),
        ):
            told = upstream_error(problem)
            self.assertIsInstance(told, Unreachable)
            self.assertTrue(told.message.startswith(words), told.message)

    def test_tls(self) -> None:
        """A handshake that failed is told with OpenSSL's reason, wherever it showed."""
        for problem in (HANDSHAKE, wrapped(HANDSHAKE), wrapped(HANDSHAKE, ResponseFailed)):
            told = upstream_error(problem)
            self.assertIsInstance(told, Unreachable)
            self.assertEqual(told.message, "TLS: certificate verify failed")

    def test_tls_without_a_reason(self) -> None:
        """A handshake that failed without a word is told as that."""
        for problem in (SSL.Error(), SSL.Error([]), SSL.Error([("", "", "")]), SSL.SysCallError(-1, "EOF")):
            self.assertEqual(upstream_error(problem).message, "TLS: the handshake failed")

    def test_the_wrong_host(self) -> None:
        """A certificate for another host is told in its own words."""
        for problem in (VerificationError([]), wrapped(VerificationError([]))):
            told = upstream_error(problem)
            self.assertIsInstance(told, Unreachable)
            self.assertEqual(told.message, "TLS: the certificate is not for this host name")

    def test_a_broken_answer(self) -> None:
        """Where there was a connection but no answer to use, the words tell how far it came."""
        lost = error.ConnectionLost()
        for problem, words in (
            (wrapped(ParseError("bad", b"x")), "what came back is not HTTP"),
            (wrapped(ParseError("bad", b"x"), ResponseFailed), "what came back is not HTTP"),
            (wrapped(lost), "the connection was closed before an answer began"),
            (wrapped(lost, RequestTransmissionFailed), "the connection was closed before an answer began"),
            (RequestNotSent("no"), "the connection was closed before an answer began"),
            (wrapped(lost, ResponseFailed), "the connection was lost in the head of the answer"),
            (ValueError("secret words"), "ValueError while the request was sent"),
        ):
            told = upstream_error(problem)
            self.assertIsInstance(told, Broken)
            self.assertEqual(told.message, words)


class BrokenBodyTests(SynchronousTestCase):
    """A body that was passed on as it came."""

    def test_why_it_broke_off(self) -> None:
        """If the client's own body ended a request, what is told is why, not what a transport made of it."""
        why = TooSlow("the body came too slowly")
        self.assertIs(broken_body(wrapped(why, RequestTransmissionFailed)), why)
        self.assertIs(broken_body(wrapped(why, RequestGenerationFailed)), why)

    def test_other_failures(self) -> None:
        """What the provider or the network did is not the body's doing."""
        for problem in (wrapped(error.ConnectionLost()), error.ConnectionRefusedError(), ValueError()):
            self.assertIsNone(broken_body(problem))


class EndedByUsTests(SynchronousTestCase):
    """Whose doing it was."""

    def test_ours(self) -> None:
        """An aborted connection is one that we have given up."""
        for problem in (
            error.ConnectionAborted(),
            wrapped(error.ConnectionAborted()),
            wrapped(error.ConnectionAborted(), ResponseFailed),
            error.ConnectingCancelledError(None),
        ):
            self.assertTrue(ended_by_us(problem))

    def test_theirs(self) -> None:
        """A connection that was closed, lost or never made is not our doing."""
        for problem in (
            error.ConnectionLost(),
            error.ConnectionDone(),
            wrapped(error.ConnectionLost()),
            error.ConnectionRefusedError(),
            ValueError(),
        ):
            self.assertFalse(ended_by_us(problem))

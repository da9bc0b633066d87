"""
The exceptions of the relay, sorted by whose fault it is and what to do next.

::

    RelayError
    ├── ClientError          the client's: answered at once, never retried
    │   ├── Malformed        400 invalid_request_error
    │   ├── Unauthorized     401 authentication_error, never worth a retry
    │   ├── Forbidden        403 permission_error
    │   ├── NotFound         404 not_found_error
    │   ├── MethodNotAllowed 405 invalid_request_error, with Allow
    │   ├── TooSlow          408 timeout_error
    │   ├── Conflict         409 invalid_request_error
    │   ├── TooLarge         413 request_too_large
    │   ├── WrongType        415 invalid_request_error
    │   └── TooMany          429 rate_limit_error, with Retry-After
    ├── UpstreamError        a provider's: the next candidate may do better
    │   ├── Unreachable      502 no connection: refused, name unknown, TLS
    │   │   └── NoneFree     502 ccrelay itself holds as many connections there as it may
    │   ├── FirstByteTimeout 504 connected, but no answer began in time
    │   ├── Stalled          504 the answer began and then stopped coming
    │   ├── Broken           502 the answer ended early, or was not one
    │   ├── CredentialFailed 502 what authorizes a request there could not be had
    │   └── AllFailed        502 every candidate was tried; names each with its reason
    ├── RelayUnavailable     ours, for now: 503 with Retry-After
    │   ├── KeysExhausted    429 no key is left that could pay, until a known time
    │   ├── NothingOpen      no provider could take the request
    │   ├── Full             server.max_concurrent requests are already in flight
    │   └── Draining         shutting down
    └── ConfigError          what the operator wrote; at start or reload only
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class RelayError(Exception):
    """
    Anything the relay itself has to say.

    @ivar status: the HTTP status it is answered with.
    @ivar kind: Anthropic's C{error.type} (https://docs.anthropic.com/en/api/errors).
    @ivar message: what happened and what to do next, for the client's user.
    @ivar public: the same without what only the operator may know; mostly it is C{message}.
    @ivar retry_after: seconds after which a repeat is worthwhile, or None.
    @ivar headers: further response headers it is answered with.
    """

    status = 500
    kind = "api_error"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.public = message
        self.retry_after = retry_after
        self.headers = headers


class ClientError(RelayError):
    """The request cannot be served as it is, by anybody."""

    status = 400
    kind = "invalid_request_error"


class Malformed(ClientError):
    """Not HTTP, not JSON, or not a Messages request."""


class Unauthorized(ClientError):
    """No credential, or one that the relay does not know."""

    status = 401
    kind = "authentication_error"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=((b"x-should-retry", b"false"),))


class Forbidden(ClientError):
    """A known client that may not do this, or a web page that must not."""

    status = 403
    kind = "permission_error"


class NotFound(ClientError):
    """No such path, model or resource here."""

    status = 404
    kind = "not_found_error"


class MethodNotAllowed(ClientError):
    """The path exists, the method does not."""

    status = 405

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        """@param allowed: the methods that the path knows."""
        super().__init__(message, headers=((b"allow", ", ".join(allowed).encode("ascii")),))


class TooSlow(ClientError):
    """The request did not arrive in reasonable time."""

    status = 408
    kind = "timeout_error"


class Conflict(ClientError):
    """What an operator wants does not agree with what there is."""

    status = 409


class TooLarge(ClientError):
    """The body is over C{server.max_body_bytes}."""

    status = 413
    kind = "request_too_large"


class WrongType(ClientError):
    """The body's media type or encoding is not one that the path takes."""

    status = 415


class TooMany(ClientError):
    """The client is over its own C{rpm_limit}."""

    status = 429
    kind = "rate_limit_error"


class UpstreamError(RelayError):
    """A provider did not answer as it should; another may."""

    status = 502


class Unreachable(UpstreamError):
    """
    No connection: refused, unknown name, TLS failure, or none free in time.

    @ivar lasting: whether asking again at once would end likewise: a
        certificate does not get better by the second.
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class NoneFree(Unreachable):
    """C{max_connections} are in use and none came free in time; that is no failure of the provider's."""

    def __init__(self, message: str) -> None:
        super().__init__(message, lasting=True)


class FirstByteTimeout(UpstreamError):
    """No answer began within C{first_byte_timeout_ms} (or C{server.timeout_ms})."""

    status = 504
    kind = "timeout_error"


class Stalled(UpstreamError):
    """An answer began and then nothing came for C{idle_timeout_ms}."""

    status = 504
    kind = "timeout_error"


class Broken(UpstreamError):
    """An answer that ended early, or that is not what was asked for."""


class CredentialFailed(UpstreamError):
    """
    The credential of a provider could not be had: none is there, it was refused, or asking took too long.

    Its message names the credential, what failed and what to do; it never holds a secret.
    What an SDK says of accounts, projects, tenants and files is in it, and not in C{public}.
    """

    def __init__(self, message: str, public: str) -> None:
        """@param public: which credential, and what to do."""
        super().__init__(message)
        self.public = public


class AllFailed(UpstreamError):
    """Every candidate failed without an answer worth passing on."""


class RelayUnavailable(RelayError):
    """The relay cannot serve this now; C{retry_after} says when to ask again."""

    status = 503
    kind = "api_error"


class KeysExhausted(RelayUnavailable):
    """Every key that could serve the request is used up; C{retry_after} is the truth, however long."""

    status = 429
    kind = "rate_limit_error"


class NothingOpen(RelayUnavailable):
    """No provider is there to take the request."""


class Full(RelayUnavailable):
    """C{server.max_concurrent} requests are in flight."""


class Draining(RelayUnavailable):
    """The relay is shutting down."""


class ConfigError(RelayError):
    """
    The configuration cannot be used.

    @ivar problems: one line for each problem: C{file:line: path: what is wrong, what to do}.
    @ivar files: which it names, so that it may become usable when one of them changes.
    """

    def __init__(self, problems: tuple[str, ...], files: tuple[Path, ...] = ()) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.files = files

"""Whom a provider's TLS connection must prove to be, and what we show in return."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL, crypto
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from ccrelay.errors import ConfigError

if TYPE_CHECKING:
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

_PEM_END = b"-----END CERTIFICATE-----"


@implementer(IPolicyForHTTPS)
class TrustPolicy:
    """
    Verifies certificate and host name always, against the system's authorities or one file of them.

    The context of each host is made once: making one parses all authorities.
    """

    def __init__(self, ca_file: str | None = None, client_certificate: str | None = None) -> None:
        """
        @param ca_file: PEM file of the authorities to trust instead of the system's.
        @param client_certificate: PEM file with our certificate and its key.
        @raise ConfigError: if a file cannot be read or is not PEM.
        """
        self._trust: Any = platformTrust() if ca_file is None else _authorities(ca_file)
        self._own = None if client_certificate is None else _own_certificate(client_certificate)
        self._creators: dict[bytes, IOpenSSLClientConnectionCreator] = {}

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:  # noqa: ARG002
        """Return what makes TLS connections that must prove to be C{hostname}."""
        creator = self._creators.get(hostname)
        if creator is None:
            creator = optionsForClientTLS(hostname.decode("ascii"), self._trust, self._own)
            self._creators[hostname] = creator
        return creator


def _authorities(path: str) -> Any:  # noqa: ANN401  a private interface of Twisted's
    try:
        blocks = Path(path).read_bytes().split(_PEM_END)[:-1]
        certificates = [Certificate.loadPEM(block + _PEM_END) for block in blocks]
    except (OSError, SSL.Error, crypto.Error, ValueError) as error:
        raise ConfigError((f"ca_file: {path}: {error}; it must be a PEM file of certificates.",)) from None
    if not certificates:
        raise ConfigError((f"ca_file: {path}: no certificate in it; it must be a PEM file.",))
    return trustRootFromCertificates(certificates)


def _own_certificate(path: str) -> PrivateCertificate:
    try:
        own: PrivateCertificate = PrivateCertificate.loadPEM(Path(path).read_bytes())
    except (OSError, SSL.Error, crypto.Error, ValueError) as error:
        message = f"client_certificate: {path}: {error}; it must be a PEM file with certificate and key."
        raise ConfigError((message,)) from None
    return own

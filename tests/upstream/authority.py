"""An authority that nobody else knows, and the certificates it gives out, valid for an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    trustRootFromCertificates,
)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """
    One that signs certificates.

    @ivar pem: its own certificate.
    """

    def __init__(self, name: str = "ccrelay test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self._certificate = self._signed(self._name, self._key.public_key(), ()).sign(
            self._key, hashes.SHA256()
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def certified(self, *names: str) -> bytes:
        """Return the PEM of a certificate for host names or addresses, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(_named(names[0]), key.public_key(), names).sign(self._key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def server(self, *names: str, asking: Authority | None = None) -> CertificateOptions:
        """
        Return what a server for these names listens with.

        @param asking: whose certificates it asks its clients for.
        """
        own = PrivateCertificate.loadPEM(self.certified(*names))
        if asking is None:
            return own.options()
        return CertificateOptions(
            privateKey=own.privateKey.original,
            certificate=own.original,
            trustRoot=trustRootFromCertificates([Certificate.loadPEM(asking.pem)]),
        )

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, names: tuple[str, ...]
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        )
        if not names:
            return made
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        return made.add_extension(alternatives, critical=False).add_extension(
            x509.ExtendedKeyUsage(usages), critical=False
        )


def written(folder: Path, *parts: bytes) -> str:
    """Return the path of a file with these parts."""
    path = folder / "some.pem"
    path.write_bytes(b"".join(parts))
    return str(path)

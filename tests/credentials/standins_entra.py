"""What stands in for Entra ID: an authority on https, and an App Service's managed identity."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.credentials.standins import Answer, Asked, said

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
SECRET = "test~secret-of-entra-0123456789"
TOKEN = "eyJ0eXAi.test-token-of-entra"
FEDERATED = "eyJ0eXAi.test-token-of-a-pod"
SCOPE = "https://ai.azure.com/.default"


def certificates(folder: Path) -> tuple[Path, Path]:
    """Return a certificate with its key for 127.0.0.1, and that of the authority that signed it, as files."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("test authority", "127.0.0.1")]
    made = []
    for is_ca, key, name in zip((True, False), keys, names, strict=True):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False
            )
            .add_extension(_usage(signs=is_ca), critical=True)
        )
        if not is_ca:
            address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(address, critical=False)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(made[1] + private)
    (folder / "ca.pem").write_bytes(made[0])
    return folder / "server.pem", folder / "ca.pem"


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def authority(lasts: int = 3600) -> Callable[[Asked], Answer]:
    """Return how an authority answers, to a client's secret or a pod's token."""

    def answer(asked: Asked) -> Answer:
        here = f"https://{asked.headers['host']}/{TENANT}"
        if asked.path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            return said(
                {
                    "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{here}/oauth2/v2.0/token",
                    "issuer": f"{here}/v2.0",
                }
            )
        if asked.path != f"/{TENANT}/oauth2/v2.0/token":
            return refusal("AADSTS90002: Tenant not found.")
        form = asked.form
        if form.get("client_assertion", FEDERATED) != FEDERATED:
            return refusal("AADSTS70021: No matching federated identity record found.")
        if form.get("client_secret", SECRET) != SECRET or not form.keys() & {
            "client_secret",
            "client_assertion",
        }:
            return refusal("AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1\r\nTimestamp: now")
        if (form.get("client_id"), form.get("scope", "").split()[:1]) != (CLIENT, [SCOPE]):
            return refusal("AADSTS500011: The resource principal was not found.")
        return said({"token_type": "Bearer", "expires_in": lasts, "access_token": TOKEN})

    return answer


def refusal(description: str) -> Answer:
    """Return how the authority says no."""
    return said({"error": "invalid_client", "error_description": description, "error_codes": [1]}, 401)


def app_service(asked: Asked) -> Answer:
    """Answer as the endpoint of managed identities in an App Service does."""
    if asked.headers.get("x-identity-header") != "test-identity-header":
        return said({"statusCode": 401, "message": "no"}, 401)
    if asked.query.get("resource") != "https://ai.azure.com":
        return said({"statusCode": 400, "message": "another resource"}, 400)
    expires = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
    return said(
        {
            "access_token": TOKEN,
            "expires_on": str(expires),
            "resource": asked.query["resource"],
            "token_type": "Bearer",
            "client_id": asked.query.get("client_id", CLIENT),
        }
    )

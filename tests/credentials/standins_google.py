"""What stands in for Google: its token endpoint, its exchange for workload identity, a machine's metadata."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.credentials.standins import Answer, Asked, said

TOKEN = "ya29.test-google-token-0123456789"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
EMAIL = "relay@test-project.iam.gserviceaccount.com"
SUBJECT_TOKEN = "test-token-of-a-pod"
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"


class Account:
    """
    A service account.

    @ivar pem: its private key.
    """

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def info(self, token_uri: str) -> dict[str, str]:
        """Return its key file."""
        return {
            "type": "service_account",
            "project_id": "test-project",
            "private_key_id": "test-key-1",
            "private_key": self.pem,
            "client_email": EMAIL,
            "token_uri": token_uri,
        }

    def tokens(self, lasts: float = 3600.0) -> Callable[[Asked], Answer]:
        """Return how the token endpoint answers, to assertions that this account signed."""

        def answer(asked: Asked) -> Answer:
            if asked.form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
                return _refusal("unsupported_grant_type", "not one of ours")
            try:
                claims = self._claims(asked.form["assertion"])
            except InvalidSignature:
                return _refusal("invalid_grant", "Invalid JWT Signature.")
            now = datetime.now(UTC).timestamp()
            if not claims["iat"] - 300 <= now <= claims["exp"] <= claims["iat"] + 3600:
                return _refusal("invalid_grant", "Invalid JWT: Check your iat and exp values.")
            if (claims["iss"], claims["scope"]) != (EMAIL, SCOPE) or not claims["aud"].endswith(asked.path):
                return _refusal("invalid_scope", "another account, scope or audience")
            return said({"access_token": TOKEN, "expires_in": lasts, "token_type": "Bearer"})

        return answer

    def _claims(self, assertion: str) -> dict[str, Any]:
        head, claims, signature = assertion.split(".")
        signed = f"{head}.{claims}".encode()
        self._key.public_key().verify(_decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        return dict(json.loads(_decoded(claims)))


@cache
def an_account() -> Account:
    """Return the same account for all tests: a key takes a while to make."""
    return Account()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _refusal(error: str, description: str) -> Answer:
    return said({"error": error, "error_description": description}, 400)


def exchange(asked: Asked) -> Answer:
    """Exchange a pod's token as Google's token service for workload identity does."""
    form = asked.form
    known = form.get("subject_token") == SUBJECT_TOKEN or "GetCallerIdentity" in form.get("subject_token", "")
    if not known or form.get("audience") != AUDIENCE or form.get("scope") != SCOPE:
        return _refusal("invalid_grant", "The token is not from the pool.")
    return said(
        {
            "access_token": TOKEN,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": 3600,
        }
    )


def external_account(token_url: str, token_file: str) -> dict[str, Any]:
    """Return the file of a workload identity."""
    return {
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": token_url,
        "credential_source": {"file": token_file},
    }


def metadata(asked: Asked) -> Answer:
    """Answer as the metadata server of a machine with a service account does."""
    flavor = {"Metadata-Flavor": "Google"}
    if asked.headers.get("metadata-flavor") != "Google":
        return Answer(b"", 403)
    account = "/computeMetadata/v1/instance/service-accounts/default"
    if asked.path in {f"{account}/token", f"{account.removesuffix('default')}{EMAIL}/token"}:
        token = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        return Answer(json.dumps(token).encode(), headers=flavor)
    if asked.path == f"{account}/":
        about = {"email": EMAIL, "scopes": [SCOPE], "aliases": ["default"]}
        return Answer(json.dumps(about).encode(), headers=flavor)
    if asked.path == "/computeMetadata/v1/project/project-id":
        return Answer(b"test-project", kind="text/plain", headers=flavor)
    return Answer(b"", 200 if asked.path == "/" else 404, headers=flavor)

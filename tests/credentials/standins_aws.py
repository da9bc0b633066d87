"""What stands in for AWS: its token service, its metadata, a container's endpoint, its sign-in portal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.credentials.sigv4_verifier import Refused, verify_sigv4
from tests.credentials.standins import Answer, Asked, said

KEY_ID = "ASIATESTCCRELAY00000"
SECRET = "test-secret-of-a-session-0123456789abcdef"
TOKEN = "test-session-token-0123456789=="
OWN_KEY_ID = "AKIATESTCCRELAY00000"
OWN_SECRET = "test-secret-of-a-user-0123456789abcdef"
ROLE = "arn:aws:iam::123456789012:role/relay-test"
WEB_TOKEN = "eyJ.test-web-identity-token"


def at(seconds: float) -> str:
    """Return a time from now as AWS writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def sts(lasts: float = 3600.0) -> Callable[[Asked], Answer]:
    """Return how the token service answers, to whoever shows the right token or signature."""

    def answer(asked: Asked) -> Answer:
        action = asked.form.get("Action")
        if action == "AssumeRoleWithWebIdentity":
            if asked.form.get("WebIdentityToken") != WEB_TOKEN:
                return refusal("InvalidIdentityToken", "the token is not one of ours")
        elif action == "AssumeRole":
            headers = [(name.encode(), value.encode()) for name, value in asked.headers.items()]
            now = datetime.now(UTC).timestamp()
            url = f"http://{asked.headers['host']}{asked.target}"
            try:
                verify_sigv4(asked.method, url, headers, asked.body, OWN_SECRET, now, service="sts")
            except Refused as problem:
                return refusal("SignatureDoesNotMatch", str(problem), 403)
        else:
            return refusal("InvalidAction", f"{action} is not known here")
        if asked.form.get("RoleArn") != ROLE:
            return refusal("AccessDenied", f"not allowed to assume {asked.form.get('RoleArn')}", 403)
        return Answer(
            f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
            <Credentials><AccessKeyId>{KEY_ID}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>
            <SessionToken>{TOKEN}</SessionToken><Expiration>{at(lasts)}</Expiration></Credentials>
            <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/relay-test/x</Arn>
            <AssumedRoleId>AROATEST:x</AssumedRoleId></AssumedRoleUser>
            </{action}Result></{action}Response>""".encode(),
            kind="text/xml",
        )

    return answer


def refusal(code: str, message: str, status: int = 400) -> Answer:
    """Return how the token service says no."""
    return Answer(
        f"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
        <Code>{code}</Code><Message>{message}</Message></Error><RequestId>0</RequestId></ErrorResponse>""".encode(),
        status,
        "text/xml",
    )


def _keys(lasts: float, token: str = "Token") -> dict[str, str]:
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": KEY_ID,
        "SecretAccessKey": SECRET,
        token: TOKEN,
        "Expiration": at(lasts),
        "LastUpdated": at(0),
    }


def imds(lasts: float = 3600.0) -> Callable[[Asked], Answer]:
    """Return how a machine's metadata answers, in its second version: nothing without a token."""
    roles = "/latest/meta-data/iam/security-credentials"

    def answer(asked: Asked) -> Answer:
        if (asked.method, asked.path) == ("PUT", "/latest/api/token"):
            return Answer(
                b"test-imds-token", kind="text/plain", headers={"x-aws-ec2-metadata-token-ttl-seconds": "60"}
            )
        if asked.headers.get("x-aws-ec2-metadata-token") != "test-imds-token":
            return Answer(b"", 401)
        if asked.path.rstrip("/") == roles:
            return Answer(b"relay-test", kind="text/plain")
        return said(_keys(lasts)) if asked.path == f"{roles}/relay-test" else Answer(b"", 404)

    return answer


def container(lasts: float = 3600.0) -> Callable[[Asked], Answer]:
    """Return how a container's endpoint answers, to whoever shows the token."""

    def answer(asked: Asked) -> Answer:
        if asked.headers.get("authorization") != "test-container-token":
            return said({"code": "AccessDenied", "message": "no token"}, 403)
        return said(_keys(lasts))

    return answer


def sso(lasts: float = 3600.0) -> Callable[[Asked], Answer]:
    """Return how the sign-in portal answers, to whoever has signed in."""

    def answer(asked: Asked) -> Answer:
        if asked.headers.get("x-amz-sso_bearer_token") != "test-sso-token":
            return Answer(
                b'{"message": "Session token not found or invalid"}',
                401,
                headers={"x-amzn-errortype": "UnauthorizedException"},
            )
        keys = {
            "accessKeyId": KEY_ID,
            "secretAccessKey": SECRET,
            "sessionToken": TOKEN,
            "expiration": int((datetime.now(UTC).timestamp() + lasts) * 1000),
        }
        right = (asked.query.get("role_name"), asked.query.get("account_id")) == (
            "relay-test",
            "123456789012",
        )
        return said({"roleCredentials": keys}) if right else said({"message": "no such role"}, 404)

    return answer

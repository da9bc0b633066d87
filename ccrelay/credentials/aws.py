"""
AWS's keys, from wherever boto3 finds them.

That is: what is configured, the environment, a profile (keys, assumed role, web identity, SSO, login,
C{credential_process}), a container, the machine's metadata.
U{https://boto3.amazonaws.com/v1/documentation/api/latest/guide/credentials.html}
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ccrelay.credentials.cache import CredentialCache, Fetched
from ccrelay.credentials.sigv4 import AwsKeys, SigV4
from ccrelay.credentials.wording import Unavailable, remedy_for, words
from ccrelay.wire.secret import Secret

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ccrelay.credentials.threads import InThread

_EARLY: Final = 600.0  # seconds; botocore itself insists on new keys from here on
_CONNECT_S: Final = 3  # with one repeat, a fetch fails by itself before those who wait are told that it hangs
_READ_S: Final = 8

_NETWORK: Final = "look at the network, the proxy (HTTPS_PROXY) and the region"
_SET_UP: Final = "set aws_access_key_id and aws_secret_access_key, or aws_profile, or give the machine a role"
_SIGN_IN: Final = "sign in with `aws sso login` or `aws login`, with the profile if there is one"
_PROFILE: Final = "correct it there (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE)"
_REMEDIES: Final = {
    "ProfileNotFound": "correct aws_profile, or make the profile with `aws configure --profile`",
    "PartialCredentialsError": "set both halves of the key",
    "SSOError": _SIGN_IN,
    "LoginError": _SIGN_IN,
    "TokenRetrievalError": _SIGN_IN,
    "UnauthorizedException": _SIGN_IN,
    "ClientError": "correct the role and its trust policy, or the key that asks for it",
    "SSLError": "look at AWS_CA_BUNDLE and the proxy",
    "ConnectionError": _NETWORK,
    "HTTPClientError": _NETWORK,
    "ResponseParserError": "see what answers at that address: it is not AWS",
    "CredentialRetrievalError": "run credential_process by hand, or look at the container's endpoint",
    "JSONDecodeError": "make credential_process print JSON, as AWS documents it",
    "RuntimeError": "set the clock of this machine right (NTP), or renew what gives the keys out",
    "MetadataRetrievalError": "look at what serves this machine's or container's credentials",
    "InvalidConfigError": _PROFILE,
    "ConfigParseError": _PROFILE,
    "ConfigNotFound": _PROFILE,
    "UnknownCredentialError": _PROFILE,
    "FileNotFoundError": "make the file, or correct its path",
    "PermissionError": "let the user of the relay read it",
}


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """
    Where keys are looked for.

    @ivar region: the one that is signed for.
    @ivar profile: a profile of C{~/.aws}; None for AWS_PROFILE, or the default one.
    @ivar access_key_id: keys that are written down; nothing is looked for then.
    """

    region: str
    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None


def aws_credential(name: str, settings: AwsSettings, in_thread: InThread, clock: IReactorTime) -> SigV4:
    """
    Return what signs requests to Bedrock.

    @param name: of the provider, for messages.
    """
    cache = CredentialCache(
        f"the AWS credentials of {name}", partial(fetch_keys, settings), in_thread, clock, early=_EARLY
    )
    return SigV4(cache, settings.region, in_thread)


def fetch_keys(settings: AwsSettings) -> Fetched[AwsKeys]:
    """
    Return AWS's keys as they are now.

    Everything is read and asked for anew, so that what an operator changes counts from the next fetch on.
    It blocks: on files, the network, a process.

    @raise Unavailable: if there are none.
    """
    if bool(settings.access_key_id) != bool(settings.secret_access_key):
        there, missing = "aws_access_key_id", "aws_secret_access_key"
        if not settings.access_key_id:
            there, missing = missing, there
        what = f"{there} is set and {missing} is not"
        raise Unavailable(what, "set both, or neither")
    written = settings.secret_access_key
    try:
        # Whoever asks for keys will sign with them, in the reactor's thread: nothing is loaded there.
        import botocore.auth  # noqa: F401, PLC0415

        if settings.access_key_id and written is not None:
            return Fetched(AwsKeys(settings.access_key_id, written, settings.session_token))
        found = _session(settings).get_credentials()
        frozen = found.get_frozen_credentials() if found is not None else None
    except Exception as problem:  # noqa: BLE001  in a thread, where nobody is cancelled; the SDK has no one root
        raise Unavailable(words(problem), remedy_for(problem, _REMEDIES, _PROFILE)) from None
    if frozen is None or not frozen.access_key:
        what = "none were found in the environment, ~/.aws, a container or this machine's metadata"
        raise Unavailable(what, _SET_UP)
    expires = getattr(found, "_expiry_time", None)  # botocore tells it in no other way
    token = Secret(frozen.token) if frozen.token else None
    keys = AwsKeys(frozen.access_key, Secret(frozen.secret_key), token)
    return Fetched(keys, expires.timestamp() if expires is not None else None)


def _session(settings: AwsSettings) -> Any:  # noqa: ANN401  boto3 has no types
    import boto3  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    core = botocore.session.Session()
    core.set_default_client_config(
        Config(connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": 2})
    )
    return boto3.Session(region_name=settings.region, botocore_session=core, profile_name=settings.profile)

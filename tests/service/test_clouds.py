"""What a reload keeps of the credentials of the clouds: those that are fetched as before, and no others."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.model import Settings
from ccrelay.config.provider import ProviderSettings
from ccrelay.service.clouds import credential_of, fetched_as_before

KINDS: Final[dict[str, dict[str, Any]]] = {
    "bedrock": {"type": "bedrock", "aws_region": "us-east-1"},
    "azure": {"type": "azure", "azure_resource_name": "r", "azure_auth": "entra"},
    "vertex": {"type": "vertex", "gcp_project_id": "p", "gcp_region": "global"},
}
KEY: Final = ({"key": "sk-test-12345678"},)
OTHER: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("bedrock", {"name": "other"}),
    ("bedrock", {"aws_region": "eu-west-1"}),
    ("bedrock", {"aws_profile": "work"}),
    ("bedrock", {"aws_access_key_id": "AKIATEST"}),
    ("bedrock", {"aws_secret_access_key": "sk-test-1"}),
    ("bedrock", {"aws_session_token": "sk-test-2"}),
    ("bedrock", {"aws_bearer_token": "sk-test-3"}),
    ("bedrock", {"keys": KEY}),
    ("azure", {"azure_auth": "key"}),
    ("azure", {"azure_tenant_id": "t"}),
    ("azure", {"azure_client_id": "c"}),
    ("azure", {"azure_client_secret": "sk-test-4"}),
    ("azure", {"azure_scope": "https://cognitiveservices.azure.com/.default"}),
    ("vertex", {"gcp_credentials_file": "/etc/ccrelay/key.json"}),
)
SAME: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    *((kind, {"weight": 3}) for kind in KINDS),
    ("azure", {"azure_resource_name": "other"}),
    ("vertex", {"gcp_region": "us-east5"}),
    ("bedrock", {"model_mapping": {"claude-*": "us.anthropic.claude"}}),
)


def provider(kind: str, **fields: Any) -> ProviderSettings:
    """Return the settings of a provider."""
    (made,) = Settings.model_validate({"providers": [{"name": "a"} | KINDS[kind] | fields]}).providers
    return made


def never(_function: object) -> NoReturn:
    """Fail: nothing is to be fetched."""
    raise AssertionError


class FetchedAsBeforeTests(SynchronousTestCase):
    """Which edits make a credential another one."""

    def test_another(self) -> None:
        """Whatever a credential is made of, an edit of it counts at once, both ways."""
        for kind, edit in OTHER:
            self.assertFalse(fetched_as_before(provider(kind), provider(kind, **edit)), edit)
            self.assertFalse(fetched_as_before(provider(kind, **edit), provider(kind)), edit)

    def test_the_same(self) -> None:
        """Whatever else is edited, what was fetched goes on."""
        for kind, edit in SAME:
            self.assertTrue(fetched_as_before(provider(kind), provider(kind, **edit)), edit)

    def test_keys_that_change(self) -> None:
        """One key for another makes no difference to what is not fetched."""
        other = ({"key": "sk-test-87654321"},)
        self.assertTrue(fetched_as_before(provider("bedrock", keys=KEY), provider("bedrock", keys=other)))


class CredentialTests(SynchronousTestCase):
    """Who gets a credential that is fetched."""

    def test_nothing_to_fetch(self) -> None:
        """A provider with keys or a token of its own has none, and one of another kind neither."""
        for settings in (
            provider("bedrock", keys=KEY),
            provider("bedrock", aws_bearer_token="sk-test-3"),
            provider("azure", azure_auth="key", keys=KEY),
            *Settings.model_validate({"providers": [{"name": "z", "type": "zai", "keys": KEY}]}).providers,
        ):
            self.assertIsNone(credential_of(settings, never, None))

    def test_nothing_fetched_yet(self) -> None:
        """A credential is made without asking anybody."""
        for kind in KINDS:
            self.assertIsNotNone(credential_of(provider(kind), never, None))

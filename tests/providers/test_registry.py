"""The rules of how a provider is made from its configuration."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.providers.registry import (
    ANTHROPIC,
    DEEPSEEK,
    KINDS,
    MINIMAX,
    OLLAMA,
    SIMULATOR,
    ZAI,
    provider_of,
)
from ccrelay.wire.request import MessagesRequest
from tests.providers.contract import made


class RegistryTests(SynchronousTestCase):
    """What the operator leaves out, and what he says."""

    def test_each_kind_has_its_own_address(self) -> None:
        """Without a C{base_url} each kind is asked where its documentation says."""
        for kind, address in (
            ("anthropic", ANTHROPIC),
            ("zai", ZAI),
            ("minimax", MINIMAX),
            ("deepseek", DEEPSEEK),
            ("ollama", OLLAMA),
            ("simulator", SIMULATOR),
        ):
            for nothing in (None, ""):
                self.assertEqual(provider_of(kind, nothing, None, has_key=True).base_url, address)

    def test_a_clouds_address_is_made_from_its_place(self) -> None:
        """A cloud is asked in the region, or at the resource, that the operator names."""
        for kind, place, address in (
            ("bedrock", {"region": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
            ("azure", {"resource": "r"}, "https://r.services.ai.azure.com/anthropic"),
            ("vertex", {"region": "global"}, "https://aiplatform.googleapis.com/v1"),
            ("vertex", {"region": "us"}, "https://aiplatform.us.rep.googleapis.com/v1"),
            ("vertex", {"region": "eu"}, "https://aiplatform.eu.rep.googleapis.com/v1"),
            ("vertex", {"region": "us-east5"}, "https://us-east5-aiplatform.googleapis.com/v1"),
        ):
            provider = provider_of(kind, None, None, has_key=False, project="p", **place)
            self.assertEqual(provider.base_url, address)

    def test_what_has_no_address_of_its_own(self) -> None:
        """Where there is nothing to make an address from, nothing is guessed."""
        for kind, place in (
            ("anthropic_compatible", {}), ("bedrock", {}), ("bedrock", {"region": ""}), ("azure", {}),
            ("vertex", {"region": "eu"}), ("vertex", {"project": "p"}),
        ):  # fmt: skip
            self.assertRaises(ValueError, provider_of, kind, None, None, has_key=True, **place)

    def test_a_fetched_credential(self) -> None:
        """Clouds without a key are authorized by what is fetched or signed; Azure may be told so."""
        for kind in ("bedrock", "vertex"):
            provider = provider_of(kind, None, None, has_key=False, region="eu-west-1", project="p")
            self.assertEqual(provider.scheme, "none")
        entra = provider_of("azure", None, "bearer", has_key=False, resource="r")
        self.assertEqual(entra.scheme, "bearer")

    def test_the_operators_betas(self) -> None:
        """What the operator says of a flag holds for every kind, before the built-in table."""
        fields = ((b"anthropic-beta", b"new-2027-01-01,context-1m-2025-08-07"),)
        request = MessagesRequest(b'{"model":"m","messages":[]}', "m", stream=False, session="")
        own = {"new-2027-01-01": "newer-2027-02-02", "context-1m-2025-08-07": "drop"}
        for kind in KINDS:
            provider = provider_of(kind, "http://x", None, has_key=True, region="eu", project="p", betas=own)
            fitted = provider.betas.fitted(request, fields)
            self.assertEqual(fitted.headers, ((b"anthropic-beta", b"newer-2027-02-02"),), kind)

    def test_the_operators_version(self) -> None:
        """The version in the bodies of a cloud is the operator's choice."""
        for kind in ("bedrock", "vertex"):
            provider = provider_of(
                kind, None, None, has_key=True, region="eu", project="p", anthropic_version="2026-10-21"
            )
            request = MessagesRequest(b"{}", "m", stream=False, session="")
            composed = provider.compose(request, (), b"")
            self.assertEqual(composed.body, b'{"anthropic_version":"2026-10-21"}')

    def test_the_address_the_operator_wrote(self) -> None:
        """A C{base_url} is taken as it is but for slashes at its end."""
        for kind in KINDS:
            for written in ("https://proxy.test/a", "https://proxy.test/a/", "https://proxy.test/a//"):
                provider = made(kind, written)
                self.assertEqual((provider.kind, provider.base_url), (kind, "https://proxy.test/a"))

    def test_how_keys_are_shown(self) -> None:
        """Each kind gets its key the way its documentation says."""
        schemes = {kind: made(kind, "http://x").scheme for kind in KINDS}
        self.assertEqual(
            schemes,
            {
                "anthropic": "x-api-key",
                "zai": "bearer",
                "minimax": "bearer",
                "deepseek": "x-api-key",
                "ollama": "bearer",
                "bedrock": "bearer",
                "azure": "x-api-key",
                "vertex": "bearer",
                "anthropic_compatible": "x-api-key",
                "simulator": "none",
            },
        )

    def test_a_local_ollama_wants_none(self) -> None:
        """An Ollama without a configured key is asked without one."""
        self.assertEqual(provider_of("ollama", None, None, has_key=False).scheme, "none")

    def test_a_compatible_server_as_the_operator_says(self) -> None:
        """How a key is shown to a compatible server is the operator's choice, and no other kind's."""
        for scheme in ("x-api-key", "bearer", "none"):
            made = provider_of("anthropic_compatible", "http://x", scheme, has_key=True)
            self.assertEqual(made.scheme, scheme)
        self.assertEqual(provider_of("anthropic", None, "bearer", has_key=True).scheme, "x-api-key")

    def test_what_each_can_do(self) -> None:
        """Tokens, files and logins go only where they can."""
        able = {kind: made(kind, "http://x").capabilities for kind in KINDS}
        self.assertEqual({k for k in KINDS if not able[k].counts_tokens}, {"ollama", "minimax", "deepseek"})
        self.assertEqual({k for k in KINDS if able[k].resources}, {"anthropic", "anthropic_compatible"})
        self.assertEqual({k for k in KINDS if able[k].passthrough}, {"anthropic"})

    def test_a_kind_that_is_not(self) -> None:
        """What is no kind of provider is not made into one."""
        self.assertRaises(KeyError, provider_of, "openai", "http://x", None, has_key=True)

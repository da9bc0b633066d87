"""The rules of how a provider is made from its configuration."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.providers.registry import ANTHROPIC, KINDS, MINIMAX, OLLAMA, SIMULATOR, ZAI, provider_of


class RegistryTests(SynchronousTestCase):
    """What the operator leaves out, and what he says."""

    def test_each_kind_has_its_own_address(self) -> None:
        """Without a C{base_url} each kind is asked where its documentation says."""
        for kind, address in (
            ("anthropic", ANTHROPIC),
            ("zai", ZAI),
            ("minimax", MINIMAX),
            ("ollama", OLLAMA),
            ("simulator", SIMULATOR),
        ):
            for nothing in (None, ""):
                self.assertEqual(provider_of(kind, nothing, None, has_key=True).base_url, address)

    def test_what_has_no_address_of_its_own(self) -> None:
        """A compatible server must be told apart by its address; there is none to fall back on."""
        self.assertRaises(ValueError, provider_of, "anthropic_compatible", None, None, has_key=True)

    def test_the_address_the_operator_wrote(self) -> None:
        """A C{base_url} is taken as it is but for slashes at its end."""
        for kind in KINDS:
            for written in ("https://proxy.test/a", "https://proxy.test/a/", "https://proxy.test/a//"):
                provider = provider_of(kind, written, None, has_key=True)
                self.assertEqual((provider.kind, provider.base_url), (kind, "https://proxy.test/a"))

    def test_how_keys_are_shown(self) -> None:
        """Each kind gets its key the way its documentation says."""
        schemes = {kind: provider_of(kind, "http://x", None, has_key=True).scheme for kind in KINDS}
        self.assertEqual(
            schemes,
            {
                "anthropic": "x-api-key",
                "zai": "bearer",
                "minimax": "bearer",
                "ollama": "bearer",
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
        able = {kind: provider_of(kind, "http://x", None, has_key=True).capabilities for kind in KINDS}
        self.assertEqual({k for k in KINDS if not able[k].counts_tokens}, {"ollama", "minimax"})
        self.assertEqual({k for k in KINDS if able[k].resources}, {"anthropic", "anthropic_compatible"})
        self.assertEqual({k for k in KINDS if able[k].passthrough}, {"anthropic"})

    def test_a_kind_that_is_not(self) -> None:
        """What is no kind of provider is not made into one."""
        self.assertRaises(KeyError, provider_of, "openai", "http://x", None, has_key=True)

"""The rules that every kind of provider keeps: one statement for each kind there is."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.providers.registry import KINDS
from tests.providers.contract import ProviderContract


class AnthropicTests(ProviderContract, SynchronousTestCase):
    """Anthropic's own API."""

    kind = "anthropic"


class ZaiTests(ProviderContract, SynchronousTestCase):
    """Z.AI."""

    kind = "zai"


class MinimaxTests(ProviderContract, SynchronousTestCase):
    """MiniMax."""

    kind = "minimax"


class OllamaTests(ProviderContract, SynchronousTestCase):
    """Ollama."""

    kind = "ollama"


class CompatibleTests(ProviderContract, SynchronousTestCase):
    """Any other server that speaks the Messages API."""

    kind = "anthropic_compatible"


class SimulatorTests(ProviderContract, SynchronousTestCase):
    """The simulator."""

    kind = "simulator"


class KindsTests(SynchronousTestCase):
    """Whether all are there."""

    def test_every_kind_keeps_the_contract(self) -> None:
        """There is no kind of provider that the contract is not run over."""
        self.assertEqual({suite.kind for suite in ProviderContract.__subclasses__()}, set(KINDS))

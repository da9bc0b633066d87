"""The rules that every kind of provider keeps: one statement for each kind there is."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.providers.registry import KINDS
from tests.providers.cloud_contract import CloudContract
from tests.providers.contract import ProviderContract
from tests.providers.format_contract import FormatContract


class AnthropicTests(FormatContract, SynchronousTestCase):
    """Anthropic's own API."""

    kind = "anthropic"


class ZaiTests(FormatContract, SynchronousTestCase):
    """Z.AI."""

    kind = "zai"


class MinimaxTests(FormatContract, SynchronousTestCase):
    """MiniMax."""

    kind = "minimax"


class DeepseekTests(FormatContract, SynchronousTestCase):
    """DeepSeek."""

    kind = "deepseek"


class OllamaTests(FormatContract, SynchronousTestCase):
    """Ollama."""

    kind = "ollama"


class CompatibleTests(FormatContract, SynchronousTestCase):
    """Any other server that speaks the Messages API."""

    kind = "anthropic_compatible"


class SimulatorTests(FormatContract, SynchronousTestCase):
    """The simulator."""

    kind = "simulator"


class AzureTests(FormatContract, SynchronousTestCase):
    """Azure AI Foundry."""

    kind = "azure"
    lists = stores = False


class BedrockTests(CloudContract, SynchronousTestCase):
    """AWS Bedrock."""

    kind = "bedrock"
    version = "bedrock-2023-05-31"
    keeps = ()


class VertexTests(CloudContract, SynchronousTestCase):
    """Google Vertex AI."""

    kind = "vertex"
    version = "vertex-2023-10-16"
    keeps = ("stream",)


class KindsTests(SynchronousTestCase):
    """Whether all are there."""

    def test_every_kind_keeps_the_contract(self) -> None:
        """There is no kind of provider that the contract is not run over."""
        suites = (suite for kinds in ProviderContract.__subclasses__() for suite in kinds.__subclasses__())
        self.assertEqual({suite.kind for suite in suites}, set(KINDS))

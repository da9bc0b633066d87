"""The rules of a relay without a configuration file."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.implied import from_environment, ollama_url
from ccrelay.errors import ConfigError
from ccrelay.wire.secret import Secret
from tests.config.reading import settings

ANTHROPIC = {"ANTHROPIC_API_KEY": "sk-test-anthropic-1"}
ZAI = {"ZAI_API_KEY": "sk-test-zai-00001"}


class ImpliedTests(SynchronousTestCase):
    """Providers made of the environment."""

    def kinds(self, environ: dict[str, str], *, answers: bool = False) -> list[str]:
        """Return the kinds of the providers that are made."""
        return [provider.type for provider in from_environment(environ, answers).settings.providers]

    def test_keys(self) -> None:
        """Each key makes its provider, named for its kind; the notes say which made what."""
        loaded = from_environment({**ANTHROPIC, **ZAI}, ollama_answers=False)
        first, second = loaded.settings.providers
        self.assertEqual((first.name, first.type), ("anthropic", "anthropic"))
        self.assertEqual(first.keys[0].key, Secret(ANTHROPIC["ANTHROPIC_API_KEY"]))
        self.assertEqual((second.name, second.type), ("zai", "zai"))
        self.assertEqual(loaded.source, "environment (ANTHROPIC_API_KEY, ZAI_API_KEY)")
        self.assertEqual(loaded.notes[0], "ANTHROPIC_API_KEY is set: provider anthropic")
        self.assertEqual(loaded.notes[1], "ZAI_API_KEY is set: provider zai")
        self.assertNotIn("sk-test", "".join(loaded.notes))

    def test_ollama(self) -> None:
        """OLLAMA_HOST makes a provider beside others; one that merely answers only if nothing is named."""
        loaded = from_environment({"OLLAMA_HOST": "box:1"}, ollama_answers=False)
        self.assertEqual(loaded.settings.providers[0].base_url, "http://box:1")
        self.assertEqual(self.kinds({"OLLAMA_HOST": "box", **ZAI}), ["zai", "ollama"])
        self.assertEqual(self.kinds({}, answers=True), ["ollama"])
        self.assertEqual(self.kinds(ANTHROPIC, answers=True), ["anthropic"])

    def test_simulator(self) -> None:
        """With nothing at all there is the simulator, and a note that says what to do; empty is nothing."""
        loaded = from_environment({"ANTHROPIC_API_KEY": "", "OLLAMA_HOST": ""}, ollama_answers=False)
        (provider,) = loaded.settings.providers
        self.assertEqual((provider.name, provider.type), ("simulator", "simulator"))
        self.assertEqual(loaded.source, "no configuration file")
        self.assertIn("~/.config/ccrelay/config.yaml", loaded.notes[-1])

    def test_advice(self) -> None:
        """What the last note says to put into the file makes the same providers."""
        for environ in (ANTHROPIC, {**ANTHROPIC, **ZAI}, {"OLLAMA_HOST": "[::1]:5", **ZAI}):
            loaded = from_environment(environ, ollama_answers=False)
            advice = loaded.notes[-1].partition("config.yaml: ")[2]
            self.assertEqual(settings(advice, environ), loaded.settings)

    def test_clouds(self) -> None:
        """What is plainly meant for Claude on a cloud makes a provider there, in the region that is named."""
        for environ, made in (
            ({"AWS_BEARER_TOKEN_BEDROCK": "test-token"}, ("bedrock", "us-east-1")),
            ({"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1"}, ("bedrock", "eu-west-1")),
            ({"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_DEFAULT_REGION": "r"}, ("bedrock", "r")),
            ({"ANTHROPIC_FOUNDRY_RESOURCE": "res", "ANTHROPIC_FOUNDRY_API_KEY": "test"}, ("azure", "key")),
            ({"ANTHROPIC_FOUNDRY_RESOURCE": "res"}, ("azure", "entra")),
            ({"ANTHROPIC_VERTEX_PROJECT_ID": "p"}, ("vertex", "global")),
            ({"ANTHROPIC_VERTEX_PROJECT_ID": "p", "CLOUD_ML_REGION": "us-east5"}, ("vertex", "us-east5")),
            ({"GOOGLE_APPLICATION_CREDENTIALS": "x", "GOOGLE_CLOUD_PROJECT": "p"}, ("vertex", "global")),
        ):
            loaded = from_environment(environ, ollama_answers=True)
            (one,) = loaded.settings.providers
            told = {"bedrock": one.aws_region, "azure": one.azure_auth, "vertex": one.gcp_region}
            self.assertEqual((one.type, told[one.type]), made)
            self.assertIn(f"is set: provider {one.type}", loaded.notes[0])
            advice = loaded.notes[-1].partition("config.yaml: ")[2]
            self.assertEqual(settings(advice, environ), loaded.settings)

    def test_not_meant(self) -> None:
        """What is there for other programs makes no provider."""
        for environ in (
            {"CLAUDE_CODE_USE_BEDROCK": "0", "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "x"},
            {"GOOGLE_CLOUD_PROJECT": "x"},
            {"AZURE_TENANT_ID": "x"},
        ):
            loaded = from_environment(environ, ollama_answers=False)
            self.assertEqual([provider.type for provider in loaded.settings.providers], ["simulator"])

    def test_broken(self) -> None:
        """A variable that cannot be used is told by its name, without what it holds."""
        environ = {"ZAI_API_KEY": "sk-test two"}
        error = self.assertRaises(ConfigError, from_environment, environ, ollama_answers=False)
        (problem,) = error.problems
        self.assertIn("environment (ZAI_API_KEY): providers[0].keys[0].key: found ${ZAI_API_KEY}; ", problem)

    def test_ollama_url(self) -> None:
        """OLLAMA_HOST is read as Ollama's own client reads it."""
        for host, url in (
            ("box", "http://box:11434"), ("box:1", "http://box:1"), (":1", "http://127.0.0.1:1"),
            ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104
            ("0.0.0.0:1", "http://127.0.0.1:1"),
            ("[::]:1", "http://[::1]:1"), ("::1", "http://[::1]:11434"), ("[::1]", "http://[::1]:11434"),
            ("10.0.0.0", "http://10.0.0.0:11434"), ("http://box", "http://box"),
            ("https://box:1/", "https://box:1"),
            ("https://box/a/", "https://box/a"), ("http://0.0.0.0:1", "http://127.0.0.1:1"),
            ("box/a", "http://box:11434/a"), (' "box:" ', "http://box:11434"),
        ):  # fmt: skip
            self.assertEqual(ollama_url(host), url)

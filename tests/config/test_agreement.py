"""The rules of what has to agree with each other."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.config.reading import SIMULATOR, loaded, problems

KEY = "sk-test-0123456789ab"


class ReferenceTests(SynchronousTestCase):
    """Names mean something, and one thing."""

    def test_providers(self) -> None:
        """Wherever a provider is named there is one; if not, all are named, and the nearest."""
        text = (
            "server:\n  auth:\n    clients:\n    - name: ci\n      key: sk-test-1\n"
            "      providers: [simulator, simulater]\n"
            "routing:\n  default_provider: b\n  account_provider: simulator\n"
            "  model_mapping:\n    claude: simulator\n    glm: xyz\n"
        )
        self.assertEqual(
            problems(text + SIMULATOR),
            [
                (
                    "relay.yaml:6: server.auth.clients[0].providers[1]: found 'simulater', and no "
                    "such provider; "
                    "allowed: simulator; did you mean 'simulator'?"
                ),
                "relay.yaml:8: routing.default_provider: found 'b', and no such provider; allowed: simulator",
                (
                    "relay.yaml:12: routing.model_mapping.glm: found 'xyz', and no such provider; "
                    "allowed: simulator"
                ),
            ],
        )

    def test_metrics_for_all(self) -> None:
        """Metrics that other machines may read are noted with what stands there."""
        (note,) = loaded(f"metrics: {{listen: ':9100'}}\n{SIMULATOR}").notes
        self.assertIn("metrics.listen: other machines reach :9100, and may read there which providers", note)
        self.assertEqual(loaded(f"metrics: {{listen: ':9100', enabled: false}}\n{SIMULATOR}").notes, ())

    def test_metrics_path(self) -> None:
        """Metrics are not where the operators' listener has something else."""
        for path in ("/", "/status", "/status/events", "/health", "/ready", "/page/x", "/admin/reload"):
            (problem,) = problems(f"metrics: {{path: {path}}}\n{SIMULATOR}")
            self.assertIn(f"metrics.path: found {path}, where there is something else", problem)
        self.assertEqual(problems(f"metrics: {{path: /metrics/ccrelay}}\n{SIMULATOR}"), [])

    def test_circles(self) -> None:
        """Models may be mapped in a circle, since mappings are not followed; the operator is told."""
        text = "providers: [{name: a, type: simulator, model_mapping: {x: x, w: x, y: z, z: y}}]"
        self.assertEqual(problems(text), [])
        (note,) = loaded(text).notes
        self.assertIn("providers[0].model_mapping: y -> z -> y is a circle", note)

    def test_without_effect(self) -> None:
        """A strategy that lacks what it goes by, and what a strategy does not go by, are noted."""
        simulators = "providers: [{name: a, type: simulator}, {name: b, type: simulator, enabled: false}]"
        for routing, words in (
            ("strategy: model_based", "model_based needs model_mapping or default_provider"),
            ("default_provider: a", "do nothing under the strategy failover"),
            ("model_mapping: {c: a}", "do nothing under the strategy failover"),
            ("strategy: model_based, model_mapping: {c: b}", "the provider b is named for models"),
        ):
            (note,) = loaded(f"routing: {{{routing}}}\n{simulators}").notes
            self.assertIn(words, note)
        local = "{name: a, type: anthropic_compatible, base_url: 'http://h', auth: none}"
        (note,) = loaded(f"routing: {{strategy: cost_based}}\nproviders: [{local}]").notes
        self.assertIn("cost_based needs a price", note)
        self.assertEqual(loaded(f"routing: {{strategy: cost_based}}\n{simulators}").notes, ())
        right = f"routing: {{strategy: model_based, default_provider: a}}\n{simulators}"
        self.assertEqual(loaded(right).notes, ())

    def test_twice(self) -> None:
        """Names of providers, of clients and of a provider's keys are given once, and clients' keys too."""
        text = (
            f"server:\n  auth:\n    api_key: {KEY}\n    clients:\n    - {{name: a, key: sk-test-1}}\n"
            f"    - {{name: a, key: {KEY}}}\n    - {{name: b, key: sk-test-1}}\n"
            "providers:\n- name: a\n  type: zai\n  keys:\n  - {name: k, key: sk-test-2}\n"
            "  - {name: k, key: sk-test-3}\n- {name: a, type: simulator}\n"
        )
        self.assertEqual(
            [problem.partition(": found")[0] for problem in problems(text)],
            [
                "relay.yaml:6: server.auth.clients[1].name", "relay.yaml:6: server.auth.clients[1].key",
                "relay.yaml:7: server.auth.clients[2].key", "relay.yaml:13: providers[0].keys[1].name",
                "relay.yaml:14: providers[1].name",
            ],
        )  # fmt: skip

    def test_files(self) -> None:
        """Certificates are files that can be read, by their whole path, unless the provider is disabled."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        good = folder / "ca.pem"
        good.write_text("-----BEGIN CERTIFICATE-----\n")
        entry = "providers: [{name: a, type: simulator, ca_file: %s, client_certificate: %s%s}]"
        self.assertEqual(problems(entry % (good, good, "")), [])
        self.assertEqual(
            problems(entry % ("ca.pem", folder, "")),
            [
                (
                    "relay.yaml:1: providers[0].ca_file: found 'ca.pem'; allowed: a path that begins "
                    "with a slash"
                ),
                (
                    f"relay.yaml:1: providers[0].client_certificate: found {str(folder)!r}, which is "
                    "no file that can"
                    " be read; allowed: a PEM file"
                ),
            ],
        )
        self.assertEqual(problems(entry % ("ca.pem", folder, ", enabled: false")), [])


class ProviderTests(SynchronousTestCase):
    """What each kind of provider needs."""

    def problems(self, entry: str) -> list[str]:
        """Return what is wrong with a provider."""
        return [one.removeprefix("relay.yaml:1: ") for one in problems(f"providers: [{{name: a, {entry}}}]")]

    def test_none(self) -> None:
        """A file without providers is refused with what to do."""
        for text in ("", "server: {drain_ms: 5}", "providers:", "providers: []"):
            with self.subTest(text=text):
                (problem,) = problems(text)
                self.assertIn("providers: found nothing; add a provider, or run without a file", problem)

    def test_keys(self) -> None:
        """Kinds that need a key are refused without one, with the ways out."""
        for entry in ("type: anthropic", "type: zai", "type: minimax, keys: []", "type: deepseek"):
            with self.subTest(entry=entry):
                (problem,) = self.problems(entry)
                self.assertIn("providers[0].keys: found no key; type", problem)
        (problem,) = self.problems("type: anthropic_compatible, base_url: 'https://h'")
        self.assertIn(", or auth: none, or set enabled: false", problem)

    def test_keyless(self) -> None:
        """Others do without, or may have one; so do passthrough, `auth: none` and what is disabled."""
        for entry in (
            "type: ollama", "type: simulator", "type: ollama, keys: [{key: sk-test-1}]",
            "type: anthropic, passthrough: true", "type: zai, enabled: false",
            "type: anthropic_compatible, base_url: 'http://h', auth: none",
        ):  # fmt: skip
            self.assertEqual(self.problems(entry), [])

    def test_key_without_key(self) -> None:
        """An entry of keys has a key or a key_file."""
        self.assertEqual(
            self.problems("type: zai, keys: [{name: k}]"),
            ["providers[0].keys[0].key: found neither key nor key_file; add one of them"],
        )

    def test_base_url(self) -> None:
        """A compatible provider has no address of its own."""
        (problem,) = self.problems("type: anthropic_compatible, auth: none")
        self.assertIn("providers[0].base_url: found nothing; type anthropic_compatible needs it", problem)

    def test_misplaced(self) -> None:
        """`auth` and `passthrough` belong to one kind each: a subscription's token must not go elsewhere."""
        (problem,) = self.problems("type: zai, auth: bearer, keys: [{key: sk-test-1}]")
        self.assertIn("auth: found it for type zai; allowed: for type anthropic_compatible", problem)
        (problem,) = self.problems("type: ollama, passthrough: true")
        self.assertIn("passthrough: found it for type ollama; allowed: for type anthropic", problem)

    def test_none_enabled(self) -> None:
        """A configuration whose providers are all disabled is noted."""
        notes = loaded("providers: [{name: a, type: zai, enabled: false}]").notes
        self.assertEqual(notes, ("no provider is enabled, so no request can be served",))


class ReachTests(SynchronousTestCase):
    """Nobody serves other machines by mistake."""

    def problems(self, server: str) -> list[str]:
        """Return what is wrong with a server."""
        return problems(f"server:\n  {server}\n{SIMULATOR}")

    def test_no_credential(self) -> None:
        """An address that others reach is refused without a credential, saying how to mend it."""
        self.assertEqual(
            self.problems("listen: 0.0.0.0:8787"),
            [
                (
                    "relay.yaml:2: server.listen: found '0.0.0.0:8787', which other machines reach, "
                    "and no credential "
                    "that clients must show; set server.auth.api_key, or listen on 127.0.0.1, or set "
                    "server.auth.allow_anonymous: true"
                )
            ],
        )
        self.assertEqual(len(self.problems("listen: ['127.0.0.1:1', ':2', 'tcp:3', '[::]:4']")), 3)

    def test_credentials(self) -> None:
        """Any key that a client must know is one."""
        clients = "clients: [{name: a, key: sk-test-1}]"
        for auth in ("api_key: sk-test-1", "bearer_secret: sk-test-1", clients):
            self.assertEqual(self.problems(f"listen: ':1'\n  auth: {{{auth}}}"), [])

    def test_no_credentials(self) -> None:
        """A subscription's token, or any bearer, is none."""
        for auth in ("allow_subscription: true", "allow_bearer: true"):
            self.assertEqual(len(self.problems(f"listen: ':1'\n  auth: {{{auth}}}")), 1)

    def test_any_bearer(self) -> None:
        """Any bearer is taken on loopback only, also beside a key."""
        auth = "auth: {api_key: sk-test-1, allow_bearer: true%s}"
        self.assertEqual(self.problems(f"listen: '127.0.0.1:1'\n  {auth % ''}"), [])
        (problem,) = self.problems(f"listen: ':1'\n  {auth % ''}")
        self.assertIn("server.auth.allow_bearer: found true, which takes any bearer", problem)
        self.assertEqual(self.problems(f"listen: ':1'\n  {auth % ', bearer_secret: sk-test-2'}"), [])

    def test_knowingly(self) -> None:
        """Whoever allows it knowingly gets a note."""
        result = loaded(f"server: {{listen: ':1', auth: {{allow_anonymous: true}}}}\n{SIMULATOR}")
        (note,) = result.notes
        self.assertIn("whoever reaches the relay from another machine may use its providers", note)

    def test_twice(self) -> None:
        """An address is listened on once."""
        (problem,) = self.problems("listen: ['127.0.0.1:1', '127.0.0.1:1']")
        self.assertIn("server.listen[1]: found '127.0.0.1:1' once more", problem)

"""The rules of other spellings: cc-relay's keys, older names, and what has no effect."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.secret import Secret
from tests.config.reading import SIMULATOR, loaded, problems, settings

CC_RELAY = """
server:
  listen: "127.0.0.1:8787"
  api_key: "${PROXY_API_KEY}"
  timeout_ms: 600000
  max_concurrent: 10
  enable_http2: true
  auth:
    bearer_secret: "${BEARER}"
    allow_subscription: true
routing:
  strategy: simple-shuffle
  failover_timeout: 5000
  debug: true
  model_mapping: {claude-opus: anthropic-pool, glm: zai}
  default_provider: anthropic-pool
providers:
  - name: anthropic-pool
    type: anthropic
    enabled: true
    base_url: "https://api.anthropic.com"
    models: [claude-sonnet-4-5]
    pooling: {enabled: true, strategy: least_loaded}
    keys:
      - {key: "${KEY_1}", rpm_limit: 50, tpm_limit: 40000, priority: 2, weight: 3}
      - {key: "${KEY_2}", rpm_limit: 50, itpm_limit: 30000, otpm_limit: 10000, priority: 1, weight: 1}
  - name: zai
    type: zai
    model_mapping: {claude-sonnet-4-5: GLM-4.7}
    keys: [{key: "${KEY_2}"}]
  - name: ollama
    type: ollama
    enabled: true
    base_url: "http://localhost:11434"
  - {name: bedrock, type: bedrock, enabled: false, aws_region: us-east-1, keys: [{key: "${NOT_SET}"}]}
  - {name: vertex, type: vertex, enabled: false, gcp_project_id: p, gcp_region: us-east5}
  - {name: azure, type: azure, enabled: false, azure_resource_name: r, azure_api_version: "2024-06-01",
     azure_deployment_id: d, keys: [{key: "${NOT_SET}"}]}
logging:
  level: info
  format: json
  output: stdout
  pretty: true
  debug_options: {log_request_body: true, max_body_log_size: 1000}
health:
  health_check: {enabled: true, interval_ms: 10000}
  circuit_breaker: {failure_threshold: 5, open_duration_ms: 30000, half_open_probes: 3}
cache: {mode: single}
grpc: {listen: "127.0.0.1:9090"}
metrics: {enabled: true, prometheus_listen: "0.0.0.0:9101", prometheus_endpoint: /m}
"""

CC_RELAY_TOML = """
[server]
listen = "127.0.0.1:8787"
api_key = "${PROXY_API_KEY}"
[routing]
strategy = "round-robin"
failover_timeout_ms = 5000
[[providers]]
name = "anthropic-pool"
type = "anthropic"
[[providers.keys]]
key = "${KEY_1}"
priority = 2
[logging]
level = "info"
format = "console"
[cache]
mode = "single"
"""

ENVIRON = {
    "PROXY_API_KEY": "sk-test-proxy-key-1",
    "BEARER": "sk-test-bearer-key",
    "KEY_1": "sk-test-provider-1",
    "KEY_2": "sk-test-provider-2",
}


class SpellingTests(SynchronousTestCase):
    """The same things under other names."""

    def test_cc_relay(self) -> None:
        """A whole file of cc-relay's loads as it is, and its keys mean what they mean there."""
        result = loaded(CC_RELAY, ENVIRON)
        made = result.settings
        self.assertEqual(made.server.auth.api_key, Secret("sk-test-proxy-key-1"))
        self.assertEqual((made.routing.strategy, made.routing.failover_timeout), ("shuffle", 5000))
        self.assertEqual([p.enabled for p in made.providers], [True, True, True, False, False, False])
        self.assertEqual((made.providers[0].priority, made.providers[0].weight), (2, 3))
        self.assertEqual((made.logging.format, made.logging.output), ("text", "stdout"))
        self.assertEqual((made.metrics.listen, made.metrics.path), ("0.0.0.0:9101", "/m"))

    def test_without_effect(self) -> None:
        """Each key that is accepted without effect gives a note with its line and the reason."""
        notes = loaded(CC_RELAY, ENVIRON).notes
        where = [note.split(": ")[1] for note in notes if "without effect" in note]
        self.assertEqual(
            where,
            [
                "server.enable_http2", "cache", "grpc", "logging.debug_options",
                "providers[5].azure_api_version", "providers[5].azure_deployment_id",
                "providers[0].pooling.enabled",
            ],
        )  # fmt: skip
        self.assertIn("relay.yaml:7: server.enable_http2: accepted, and without effect: ", notes[0])

    def test_toml(self) -> None:
        """cc-relay's TOML loads too."""
        result = loaded(CC_RELAY_TOML, ENVIRON, "relay.toml")
        self.assertEqual(result.settings.routing.strategy, "round_robin")
        self.assertEqual(result.settings.routing.failover_timeout, 5000)
        self.assertEqual(result.settings.providers[0].priority, 2)
        self.assertEqual(result.settings.logging.format, "text")
        (note,) = result.notes
        self.assertEqual(note, "relay.toml: cache: accepted, and without effect: nothing is cached")

    def test_older_names(self) -> None:
        """An older name means what the newer one means."""
        made = settings(SIMULATOR + "logging: {file: /var/log/ccrelay.log, format: pretty}\n")
        self.assertEqual((made.logging.output, made.logging.format), ("/var/log/ccrelay.log", "text"))

    def test_both(self) -> None:
        """A key under both of its names is a problem, in which no secret is shown."""
        text = "server:\n  api_key: sk-test-1234567890\n  auth: {api_key: sk-test-abcdefghij}\n" + SIMULATOR
        self.assertEqual(
            problems(text),
            [
                (
                    "relay.yaml:2: server.api_key: found beside server.auth.api_key, which means the same; "
                    "keep one of them"
                )
            ],
        )

    def test_told_as_written(self) -> None:
        """What is wrong under an older name is told under it."""
        text = "server:\n  api_key: a b\nmetrics: {prometheus_listen: 5}\n" + SIMULATOR
        self.assertEqual(
            [problem.partition(": found")[0] for problem in problems(text)],
            ["relay.yaml:2: server.api_key", "relay.yaml:3: metrics.prometheus_listen"],
        )

    def test_strategies(self) -> None:
        """Strategies may be written with hyphens, and by cc-relay's names."""
        for name, meant in (
            ("round-robin", "round_robin"), ("least_busy", "least_loaded"), ("least-busy", "least_loaded"),
            ("simple-shuffle", "shuffle"), ("weighted-failover", "weighted_failover"),
        ):  # fmt: skip
            made = settings(f"routing: {{strategy: {name}}}\n{SIMULATOR}")
            self.assertEqual(made.routing.strategy, meant)

    def test_pretty(self) -> None:
        """`pretty: true` is format text, also beside json; anything but a flag is a problem."""
        text = "logging: {format: json, pretty: %s}\n" + SIMULATOR
        self.assertEqual(
            loaded(text % "true").notes,
            ("relay.yaml:1: logging.pretty: found beside format: json; it wins, and the format is text",),
        )
        self.assertEqual(settings(text % "false").logging.format, "json")
        self.assertEqual(
            problems(text % "maybe"),
            ["relay.yaml:1: logging.pretty: found something else; allowed: true or false"],
        )

    def test_prices(self) -> None:
        """A price is for all models, or for each by its name; a wrong one is told as it was written."""
        text = "providers: [{name: a, type: simulator, price: %s}]"
        one = settings(text % "{input: 3, output: 15.5}").providers[0].price
        self.assertEqual((one["*"].input, one["*"].output), (3.0, 15.5))
        self.assertAlmostEqual(one["*"].cache_read, 0.3)
        self.assertEqual((one["*"].cache_write, one["*"].cache_write_1h), (3.75, 6.0))
        self.assertEqual(settings(text % "{m: {input: 1}}").providers[0].price["m"].input, 1.0)
        self.assertEqual(
            problems(text % "{input: much}"),
            ["relay.yaml:1: providers[0].price.input: found 'much'; allowed: a number of 0 or more"],
        )

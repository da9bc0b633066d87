"""The rules of what is known and does nothing yet."""

from twisted.trial.unittest import SynchronousTestCase

from tests.config.reading import loaded


class NotInEffectTests(SynchronousTestCase):
    """What the operator wrote and this version cannot do is said."""

    def keys(self, text: str) -> tuple[str, ...]:
        """Return the paths that are not in effect."""
        return loaded(text).not_in_effect

    def test_in_effect(self) -> None:
        """What works is not listed, nor what was not written."""
        text = """
server: {listen: 127.0.0.1:1, workers: 1, drain_ms: 5, ping_interval_ms: 0, allowed_hosts: [h]}
routing: {strategy: failover, failover_timeout: 1, max_attempts: 2, debug: true, account_provider: a}
logging: {level: debug, format: json, output: stderr}
health:
metrics: {}
admin: {token: null}
providers:
- {name: a, type: zai, priority: 3, models: [m], model_mapping: {a: b}, headers: {x: y}, max_connections: 5,
   count_tokens: 404, keys: [{key: sk-test-1, name: k, priority: 2}], base_url: "https://h",
   idle_timeout_ms: 9, price: {}, betas: {}, proxy: null}
- {name: s, type: simulator, scenario: slow, pace_ms: 1, error_rate: 0.5}
"""
        self.assertEqual(self.keys(text), ())

    def test_not_in_effect(self) -> None:
        """What does not work yet is listed by its path, a whole section by its name."""
        text = """
server: {workers: 2}
routing:
  {strategy: round_robin, max_wait_ms: 1, retry_budget: 0.1, model_mapping: {c: a}, default_provider: a,
   affinity: {enabled: false}}
health: {circuit_breaker: {window_ms: 5, minimum_requests: 3}}
metrics: {listen: 127.0.0.1:1}
admin: {token: sk-test-1}
state: {interval_ms: 5}
providers:
- name: a
  type: zai
  keys:
  - {key: sk-test-1}
  - {key: sk-test-2, rpm_limit: 1, itpm_limit: 1, otpm_limit: 1, tpm_limit: 1, weight: 2}
  pooling: {strategy: random}
  weight: 5
  price: {input: 1}
  proxy: http://h:1
  betas: {b: drop}
  count_cache_reads: true
  health_path: /x
  aws_region: r
  scenario: slow
"""
        provider = "providers[0]."
        self.assertEqual(
            set(self.keys(text)),
            {
                "server.workers", "state",
                f"{provider}aws_region", f"{provider}scenario",
            },
        )  # fmt: skip
        self.assertEqual(len(self.keys(text)), len(set(self.keys(text))))

    def test_disabled(self) -> None:
        """Nothing is said of a disabled provider."""
        text = (
            "providers: [{name: a, type: bedrock, enabled: false, gcp_region: r, scenario: slow},"
            " {name: b, type: simulator, aws_region: r}]"
        )
        self.assertEqual(self.keys(text), ("providers[1].aws_region",))

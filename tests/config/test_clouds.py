"""The rules of what the cloud providers need."""

from twisted.trial.unittest import SynchronousTestCase

from tests.config.reading import problems

ENTRA = "type: azure, azure_resource_name: r, azure_auth: entra"
WRITTEN = "aws_access_key_id: AKIATEST, aws_secret_access_key: test"


class CloudTests(SynchronousTestCase):
    """A provider of a cloud that cannot work is refused, with what it lacks."""

    def problems(self, provider: str) -> list[str]:
        """Return what is wrong with a provider, without the file and the line."""
        found = problems(f"providers: [{{name: a, {provider}}}]")
        return [problem.removeprefix("relay.yaml:1: providers[0].") for problem in found]

    def test_right(self) -> None:
        """What is enough: a region, a resource with a key or Entra ID, a project and a region."""
        for provider in (
            "type: bedrock, aws_region: us-east-1",
            "type: bedrock, aws_region: us-gov-west-1, aws_profile: work",
            "type: bedrock, aws_region: eu-west-1, aws_access_key_id: AKIATEST, aws_secret_access_key: test",
            "type: bedrock, aws_region: us-east-1, aws_bearer_token: bedrock-api-key-test",
            "type: bedrock, base_url: 'https://h', aws_bearer_token: bedrock-api-key-test",
            "type: bedrock, aws_region: us-east-1, keys: [{key: test-1}, {key: test-2}]",
            "type: azure, azure_resource_name: my-res, keys: [{key: test-1}]",
            "type: azure, base_url: 'https://h/anthropic', azure_auth: entra",
            "type: vertex, gcp_project_id: my-project, gcp_region: global",
            "type: vertex, gcp_project_id: 'example.com:my-project', gcp_region: us-east5",
        ):
            self.assertEqual(self.problems(provider), [], provider)

    def test_lacking(self) -> None:
        """What is missing is told by its key."""
        for provider, lacking in (
            ("type: bedrock", ["aws_region"]),
            ("type: bedrock, base_url: 'https://h'", ["aws_region"]),
            ("type: bedrock, aws_region: r, aws_access_key_id: AKIATEST", ["aws_secret_access_key"]),
            ("type: bedrock, aws_region: r, aws_secret_access_key: test", ["aws_access_key_id"]),
            ("type: bedrock, aws_region: r, aws_session_token: test", ["aws_session_token"]),
            ("type: azure", ["azure_resource_name", "keys"]),
            ("type: azure, azure_auth: entra", ["azure_resource_name"]),
            ("type: vertex", ["gcp_project_id", "gcp_region"]),
        ):
            found = self.problems(provider)
            self.assertEqual([problem.partition(":")[0] for problem in found], lacking, found)
            self.assertTrue(all(": found " in problem for problem in found))
            self.assertEqual(self.problems(f"{provider}, enabled: false"), [])

    def test_contradicting(self) -> None:
        """Two credentials of one provider are one too many."""
        for provider, key in (
            ("type: bedrock, aws_region: r, aws_bearer_token: test-1, aws_profile: p", "aws_profile"),
            ("type: bedrock, aws_region: r, keys: [{key: test-1}], aws_profile: p", "aws_profile"),
            ("type: azure, azure_resource_name: r, azure_auth: entra, keys: [{key: test-1}]", "keys"),
            ("type: vertex, gcp_project_id: p, gcp_region: r, keys: [{key: test-1}]", "keys"),
            (f"type: bedrock, aws_region: r, {WRITTEN}, aws_profile: p", "aws_profile"),
            ("type: azure, azure_resource_name: r, keys: [{key: test-1}], azure_scope: s", "azure_scope"),
            (f"{ENTRA}, azure_client_id: c, azure_client_secret: test-1", "azure_tenant_id"),
            ("type: azure, azure_resource_name: r, keys: [{name: n}]", "keys[0].key"),
            ("type: bedrock, aws_region: r, keys: [{}]", "keys[0].key"),
        ):
            (problem,) = self.problems(provider)
            self.assertTrue(problem.startswith(f"{key}: found "), problem)

    def test_parts_of_addresses(self) -> None:
        """What becomes a part of an address can be nothing else: no other host, no other path."""
        for provider, key in (
            ("type: bedrock, aws_region: 'evil.example/'", "aws_region"),
            ("type: azure, azure_resource_name: 'https://x', keys: [{key: test-1}]", "azure_resource_name"),
            ("type: vertex, gcp_project_id: p, gcp_region: 'a.b'", "gcp_region"),
            ("type: vertex, gcp_project_id: 'p/../q', gcp_region: global", "gcp_project_id"),
        ):
            (problem,) = self.problems(provider)
            self.assertTrue(problem.startswith(f"{key}: found "), problem)

    def test_credentials_file(self) -> None:
        """A file of Google's that is not there is told before the first request."""
        (problem,) = self.problems(
            "type: vertex, gcp_project_id: p, gcp_region: global, gcp_credentials_file: /nowhere.json"
        )
        self.assertIn("gcp_credentials_file: found '/nowhere.json', which is no file that can", problem)

    def test_proxy(self) -> None:
        """A proxy is an http address; the message shows no password."""
        for proxy in ("socks5://h:1", "http://u:secret-test@h:port", "http://h/path", "http://"):
            (problem,) = self.problems(f"type: zai, keys: [{{key: test-1}}], proxy: '{proxy}'")
            self.assertTrue(problem.startswith("proxy: found something else; allowed: an address"), problem)
            self.assertNotIn("secret", problem)

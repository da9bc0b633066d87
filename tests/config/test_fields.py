"""The rules of each kind of value."""

import json

from pydantic import TypeAdapter, ValidationError
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config import fields
from ccrelay.errors import ConfigError
from ccrelay.wire.secret import Secret
from tests.config.reading import SIMULATOR, loaded, problems, settings

KEY = "sk-test-0123456789ab"


class FieldTests(SynchronousTestCase):
    """What each kind of value allows."""

    def judge(self, kind: object, right: dict[object, object], wrong: list[object]) -> None:
        """Hold what values become, and that others are refused."""
        adapter = TypeAdapter(kind)
        for given, meant in right.items():
            self.assertEqual(adapter.validate_python(given), meant)
        for given in wrong:
            with self.subTest(given=given):
                self.assertRaises(ValidationError, adapter.validate_python, given)

    def test_sizes(self) -> None:
        """Sizes are bytes, or have a unit of thousands or of 1024."""
        self.judge(
            fields.Size,
            {5: 5, "5": 5, "32MiB": 33_554_432, "32MB": 32_000_000, "64KiB": 65_536, "1 GiB": 2**30, "9B": 9},
            [0, "0MiB", "-1", "1.5MiB", "MiB", "32mib", True, 1.5, None],
        )

    def test_numbers(self) -> None:
        """Numbers are numbers, or texts of digits as a variable gives them; true is none."""
        self.judge(fields.Count, {0: 0, "5": 5}, [-1, True, "x", 1.5, None, ""])
        self.judge(fields.Positive, {1: 1}, [0, "0"])
        self.judge(fields.Milliseconds, {604_800_000: 604_800_000}, [0, 604_800_001])
        self.judge(fields.MillisecondsOrNever, {0: 0}, [-1])
        self.judge(fields.Share, {0: 0.0, "0.5": 0.5, 1: 1.0}, [1.1, -0.1, False, "nan"])
        self.judge(fields.Number, {3: 3.0, "2.5": 2.5}, [-1, True])

    def test_flags(self) -> None:
        """Flags are true or false, also as a variable says it."""
        self.judge(fields.Flag, {True: True, "false": False, "no": False, "on": True}, ["maybe", 2, ""])

    def test_workers(self) -> None:
        """Workers are a number from 1, or auto."""
        self.judge(fields.Workers, {1: 1, 8: 8, "4": 4, "auto": "auto"}, [0, "0", True, "all", None, 1.5])

    def test_names(self) -> None:
        """Names are of letters, digits, dot, hyphen and underscore."""
        self.judge(fields.Name, {"a.B-1_": "a.B-1_"}, ["", "a b", "ä", "a/b", "a\n", 5, None])

    def test_urls(self) -> None:
        """A base URL is http or https, with a host, and carries no credential, query or fragment."""
        right = ("https://api.anthropic.com", "http://[::1]:8080/a/b/", "http://h:1")
        self.judge(
            fields.Url,
            {url: url for url in right},
            ["", "h", "ftp://h", "https://", "https://u:p@h", "https://h?a", "https://h#a", "https://h:x",
             "https://h/a b", "https://[", "https://h\n"],
        )  # fmt: skip

    def test_origins(self) -> None:
        """An origin has no path."""
        self.judge(
            fields.Origin,
            {"https://a.example:1": "https://a.example:1", "app://x": "app://x"},
            ["https://a.example/", "a.example", "*", "https://"],
        )

    def test_patterns(self) -> None:
        """A pattern of models has its star at the end."""
        self.judge(fields.ModelPattern, {"a": "a", "a-*": "a-*", "*": "*"}, ["", "*a", "a*b*"])

    def test_headers(self) -> None:
        """What cannot stand in a header is refused."""
        self.judge(fields.HeaderName, {"x-team": "x-team"}, ["", "a b", "a:", "ä", "a\r\n"])
        self.judge(fields.HeaderValue, {"": "", "blue, ä": "blue, ä"}, ["a\nb", "a\r", "\0", "\x7f"])

    def test_listen(self) -> None:
        """The relay listens on one address or on several; a number alone is told what to write."""
        text = "server: {listen: %s}\n" + SIMULATOR
        self.assertEqual(settings(text % "127.0.0.1:1").server.listen, ("127.0.0.1:1",))
        several = settings(text % "['127.0.0.1:1', '[::1]:1']").server.listen
        self.assertEqual(several, ("127.0.0.1:1", "[::1]:1"))
        self.assertEqual(
            problems(text % "8787"),
            ["relay.yaml:1: server.listen: found 8787; allowed: a text such as 127.0.0.1:8787, or a list"],
        )
        self.assertIn("server.listen: found a list", problems(text % "[]")[0])


class SecretTests(SynchronousTestCase):
    """Secrets stay secret."""

    def test_shown_nowhere(self) -> None:
        """No repr, dump or JSON of the settings shows a secret, nor what may hold one."""
        made = settings(
            f"server:\n  auth:\n    api_key: {KEY}\n    bearer_secret: {KEY}x\n"
            f"    clients: [{{name: a, key: {KEY}y}}]\n"
            f"admin: {{token: {KEY}}}\nstate: {{url: 'redis://:{KEY}@h'}}\n"
            f"providers: [{{name: a, type: zai, keys: [{{key: {KEY}}}], headers: {{x: {KEY}}},"
            f" proxy: 'http://u:{KEY}@h'}}, {{name: b, type: bedrock, enabled: false,"
            f" aws_secret_access_key: {KEY}, aws_session_token: {KEY}, aws_bearer_token: {KEY}}},"
            f" {{name: c, type: azure, enabled: false, azure_client_secret: {KEY}}}]"
        )
        self.assertEqual(made.server.auth.api_key, Secret(KEY))
        self.assertNotIn(KEY, repr(made))
        self.assertNotIn(KEY, str(made))
        auth = json.loads(made.server.auth.model_dump_json())
        self.assertEqual(auth["clients"][0]["key"], "…9aby")
        self.assertNotIn(KEY, repr(made.admin.model_dump()))

    def test_shown_in_no_problem(self) -> None:
        """No problem shows a secret, wherever it was put."""
        for text in (
            f"server: {{auth: {{api_key: '{KEY} x'}}}}",
            f"server: {{auth: {{api_key: [{KEY}]}}}}",
            f"server: {{auth: {KEY}}}",
            f"server: {{timeout_ms: {KEY}, api_kee: {KEY}}}",
            f"providers: {KEY}",
            f"providers: [{KEY}]",
            f"providers: [{{name: {KEY} x, type: {KEY}, keys: {KEY}}}]",
            f"providers: [{{name: a, type: zai, keys: [{KEY}]}}]",
            f"providers: [{{name: a, type: zai, base_url: 'https://u:{KEY}@h', proxy: [{KEY}]}}]",
            f"providers: [{{name: a, type: zai, keys: [{{key: '{KEY}${{NOT_SET}}'}}]}}]",
            f"providers: [{{name: a, type: zai, keys: [{{key: '${{NONE:-{KEY} x}}', weight: '{KEY}'}}]}}]",
            f"routing: {{strategy: {KEY}, default_provider: {KEY}, debug: {KEY}}}\n{SIMULATOR}",
            f"logging: {{level: {KEY}}}\nmetrics: {{listen: {KEY}, path: {KEY}}}\nstate: {{url: [{KEY}]}}",
            f"server: {{listen: {KEY}}}",
            f"providers: [{{name: a, type: zai, keys: [{{{KEY}: x}}], headers: {{{KEY}: 5}}}}]",
            f"server: {{{KEY}: 1, {KEY}: 2}}",
            f"server: {{listen: [{KEY}], max_body_bytes: {KEY}, workers: {KEY}}}",
        ):
            with self.subTest(text=text):
                found = problems(text)
                self.assertTrue(found)
                self.assertNotIn(KEY, "\n".join(found))

    def test_not_in_tracebacks(self) -> None:
        """What pydantic says, and would show, is no part of the error."""
        error = self.assertRaises(ConfigError, loaded, f"server: {{auth: {{api_key: '{KEY} x'}}}}")
        self.assertIsNone(error.__cause__)
        self.assertIsNone(error.__context__)

    def test_a_secret_is_a_text(self) -> None:
        """A key of digits alone has to be quoted."""
        text = "server: {auth: {api_key: %s}}\n" + SIMULATOR
        self.assertIn("allowed: a text; put it in quotes", problems(text % "123456789012")[0])
        self.assertEqual(settings(text % "'123456789012'").server.auth.api_key, Secret("123456789012"))

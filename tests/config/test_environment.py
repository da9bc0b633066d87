"""The rules of variables and of secrets in files."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.environment import enabled, expanded, variables
from ccrelay.wire.secret import Secret
from tests.config.reading import SIMULATOR, loaded, problems, settings, unhurried

KEY = "sk-test-0123456789ab"


def value(text: str, environ: dict[str, str] | None = None) -> object:
    """Return what a text becomes."""
    tree, wrong = expanded({"a": text}, environ or {})
    return [problem.text for problem in wrong] or tree["a"]


class VariableTests(SynchronousTestCase):
    """`${NAME}` and its kin."""

    def test_expanded(self) -> None:
        """Variables, defaults and literals are expanded wherever in a text they stand."""
        environ = {"A": "x", "EMPTY": ""}
        for text, meant in (
            ("${A}", "x"), ("<${A}${A}>", "<xx>"), ("${NO:-y}", "y"), ("${A:-y}", "x"), ("${EMPTY:-y}", "y"),
            ("${EMPTY}", ""), ("${NO:-}", ""), ("${NO:-http://h:1/}", "http://h:1/"), ("$${A}", "${A}"),
            ("$A", "$A"), ("$$", "$$"), ("a$", "a$"),
        ):  # fmt: skip
            self.assertEqual(value(text, environ), meant)

    def test_not_twice(self) -> None:
        """What a variable holds is not expanded again."""
        self.assertEqual(value("${A}", {"A": "${B}", "B": "x"}), "${B}")

    def test_unset(self) -> None:
        """Each variable that is not set is told, with what to do."""
        self.assertEqual(
            value("${A}${B}"),
            [
                "found ${A}, which is not set; set it, or write ${A:-default}",
                "found ${B}, which is not set; set it, or write ${B:-default}",
            ],
        )

    def test_malformed(self) -> None:
        """What begins like a variable and is none is told."""
        for text in ("${", "${1A}", "${A", "${A-b}", "${A:-${B}}", "${}"):
            with self.subTest(text=text):
                self.assertIn("found ${ and no name after it", str(value(text, {"A": "x", "B": "y"})))

    @unhurried
    @given(st.text())
    def test_others_stay(self, text: str) -> None:
        """A text without `${` stays as it is."""
        plain = text.replace("${", "")
        while "${" in plain:
            plain = plain.replace("${", "")
        self.assertEqual(value(plain), plain)

    def test_place(self) -> None:
        """The problem names variable, key path, file and line."""
        self.assertEqual(
            problems("server:\n  auth:\n    api_key: ${RELAY_KEY}\n" + SIMULATOR),
            [
                (
                    "relay.yaml:3: server.auth.api_key: found ${RELAY_KEY}, which is not set; "
                    "set it, or write ${RELAY_KEY:-default}"
                )
            ],
        )

    def test_comments_and_keys(self) -> None:
        """Comments and keys are never expanded."""
        made = settings("# ${NOT_SET}\nproviders: [{name: a, type: simulator, betas: {'${B}': drop}}]")
        self.assertEqual(made.providers[0].betas, {"${B}": "drop"})

    def test_numbers(self) -> None:
        """Numbers and flags may come from variables; one that does not fit is told by the variable's name."""
        text = 'server: {max_concurrent: "${MANY}"}\nrouting: {debug: "${DEBUG:-true}"}\n' + SIMULATOR
        made = settings(text, {"MANY": "7"})
        self.assertEqual((made.server.max_concurrent, made.routing.debug), (7, True))
        self.assertEqual(
            problems(text, {"MANY": "sk-test-secret"}),
            ["relay.yaml:1: server.max_concurrent: found ${MANY}; allowed: a whole number of 0 or more"],
        )

    def test_disabled(self) -> None:
        """A disabled provider needs no variables, also if a variable disables it."""
        text = (
            "providers:\n- {name: a, type: simulator}\n"
            "- name: b\n  type: anthropic\n  enabled: ${ON:-false}\n"
            "  base_url: ${URL}\n  models: ['${M}']\n  keys: [{key: '${K}'}]\n"
        )
        made = settings(text).providers[1]
        self.assertEqual((made.base_url, made.keys[0].key), (None, None))
        self.assertEqual(len(problems(text, {"ON": "true"})), 3)

    def test_enabled(self) -> None:
        """A provider is enabled unless it says otherwise."""
        self.assertTrue(enabled({}))
        self.assertTrue(enabled({"enabled": "yes"}))
        self.assertFalse(enabled({"enabled": False}))
        self.assertFalse(enabled({"enabled": "No"}))

    def test_empty_secret(self) -> None:
        """A secret that is empty is a problem, wherever it comes from."""
        text = "providers:\n- {name: a, type: anthropic, keys: [{key: '%s'}]}"
        self.assertIn("keys[0].key: found ${K}; allowed: ", problems(text % "${K}", {"K": ""})[0])
        self.assertIn("keys[0].key: found an empty text; allowed: ", problems(text % "")[0])

    def test_names(self) -> None:
        """The names of a text's variables are known, and nothing of their defaults."""
        self.assertEqual(variables("${A:-secret} $${B} ${C}"), ("A", "C"))


class KeyFileTests(SynchronousTestCase):
    """`key_file`."""

    def setUp(self) -> None:
        """Make a directory with a key in it."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.file = self.directory / "anthropic.key"
        self.file.write_text(f"  {KEY}\n")

    def text(self, name: object, more: str = "") -> str:
        """Return a configuration with a key_file."""
        return f"providers:\n- {{name: a, type: anthropic, {more} keys: [{{key_file: '{name}'}}]}}"

    def problem(self, name: object, environ: dict[str, str] | None = None) -> str:
        """Return what is wrong with a key_file, without the path of the key."""
        (problem,) = problems(self.text(name), environ)
        return problem.removeprefix("relay.yaml:2: providers[0].keys[0].key_file: ")

    def test_absolute(self) -> None:
        """A whole path is read, without the blanks around the key."""
        key = settings(self.text(self.file)).providers[0].keys[0]
        self.assertEqual((key.key, key.key_file), (Secret(KEY), str(self.file)))

    def test_credential(self) -> None:
        """Any other is the name of a systemd credential."""
        made = settings(self.text("anthropic.key"), {"CREDENTIALS_DIRECTORY": str(self.directory)})
        self.assertEqual(made.providers[0].keys[0].key, Secret(KEY))
        self.assertIn("which is no whole path", self.problem("anthropic.key"))

    def test_unreadable(self) -> None:
        """A file that is not there, not a text, or empty, is a problem; what is in it is not shown."""
        self.assertIn("which cannot be read: No such file", self.problem(self.directory / "none"))
        self.assertIn("which cannot be read: Is a directory", self.problem(self.directory))
        self.file.write_bytes(b"\xff\xfe")
        self.assertIn("which is not a text", self.problem(self.file))
        self.file.write_text(" \n")
        self.assertIn("which is empty; put the key into it", self.problem(self.file))
        self.file.write_text("sk-test two-lines\nhere")
        self.assertEqual(
            self.problem(self.file),
            "found a text; allowed: a text without spaces or other characters that a header cannot hold, "
            "and not empty",
        )

    def test_both(self) -> None:
        """A key and a key_file exclude each other."""
        text = f"providers:\n- {{name: a, type: zai, keys: [{{key: {KEY}, key_file: {self.file}}}]}}"
        self.assertEqual(
            problems(text),
            ["relay.yaml:2: providers[0].keys[0].key_file: found beside key; keep one of them"],
        )

    def test_disabled(self) -> None:
        """A disabled provider's file is not looked for."""
        made = settings(self.text("/none", "enabled: false,") + "\n- {name: b, type: simulator}")
        self.assertIsNone(made.providers[0].keys[0].key)


class VariableFileTests(SynchronousTestCase):
    """`${NAME}`, where `NAME_FILE` names a file."""

    def setUp(self) -> None:
        self.file = Path(self.mktemp()).absolute()
        self.file.write_text(f"{KEY}\n")
        self.environ = {"OWN_FILE": str(self.file)}

    def test_read(self) -> None:
        """The file's text is the value, without the blanks around it, unless the variable itself is set."""
        self.assertEqual(value("<${OWN}>", self.environ), f"<{KEY}>")
        self.assertEqual(value("${OWN:-other}", self.environ), KEY)
        self.assertEqual(value("${OWN}", {**self.environ, "OWN": "set"}), "set")
        self.assertEqual(value("${OWN_FILE}", self.environ), str(self.file))

    def test_unreadable(self) -> None:
        """A file that cannot be used is a problem, which names the variable and what is wrong."""
        self.file.unlink()
        self.assertEqual(
            value("${OWN:-other}", self.environ),
            [
                (
                    "found ${OWN}, and the file that OWN_FILE names cannot be read: "
                    "No such file or directory; name a file that holds the key alone"
                ),
            ],
        )

    def test_watched(self) -> None:
        """A reload is due when the file changes."""
        text = "providers: [{name: a, type: zai, keys: [{key: '${OWN}'}]}]"
        self.assertIn(self.file, loaded(text, self.environ).files)
        self.assertEqual(settings(text, self.environ).providers[0].keys[0].key, Secret(KEY))

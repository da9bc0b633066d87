"""The rules of reading YAML and TOML."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.parse import parsed
from ccrelay.errors import ConfigError
from tests.config.reading import unhurried


class ParseTests(SynchronousTestCase):
    """What is in a file, and where."""

    def tree(self, text: str) -> object:
        """Return the values of a text in YAML."""
        return parsed(text, "relay.yaml").tree

    def refused(self, text: str, file: str = "relay.yaml") -> tuple[str, ...]:
        """Return why a text cannot be read."""
        return self.assertRaises(ConfigError, parsed, text, file).problems

    def test_lines(self) -> None:
        """Every value is known by the line of its key, or of its place in a list."""
        written = parsed("a:\n  b: 1\n\n  c:\n    - x\n    - d: 2\n", "relay.yaml")
        self.assertEqual(written.tree, {"a": {"b": 1, "c": ["x", {"d": 2}]}})
        self.assertEqual(
            {path: written.lines[path] for path in (("a", "b"), ("a", "c", 0), ("a", "c", 1, "d"))},
            {("a", "b"): 2, ("a", "c", 0): 5, ("a", "c", 1, "d"): 6},
        )

    def test_scalars(self) -> None:
        """Scalars are read by YAML 1.2: `no`, times, dates and leading zeros are texts."""
        text = "[no, on, 1:30, 2026-01-01, 010, true, 5, -1.5, 1e3, null, ~, 0]"
        self.assertEqual(
            self.tree(f"a: {text}"),
            {"a": ["no", "on", "1:30", "2026-01-01", "010", True, 5, -1.5, 1000.0, None, None, 0]},
        )

    def test_empty(self) -> None:
        """An empty file, and one of comments alone, says nothing."""
        self.assertEqual(self.tree(""), {})
        self.assertEqual(self.tree("# providers:\n"), {})

    def test_anchors(self) -> None:
        """Anchors and merges work, twice as well, and what stands beside a merge wins."""
        text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x], c: *x}\nw: *x\n"
        self.assertEqual(
            self.tree(text),
            {
                "x": {"a": 1, "b": 2},
                "y": {"a": 1, "b": 3},
                "z": {"a": 1, "b": 2, "c": {"a": 1, "b": 2}},
                "w": {"a": 1, "b": 2},
            },
        )

    def test_duplicates(self) -> None:
        """A key that is written twice is a problem with both lines; all such keys are told."""
        self.assertEqual(
            self.refused("a:\n  b: 1\n  c: 1\n  b: 2\na: 3\n"),
            (
                "relay.yaml:5: a: found already in line 1; keep one of them",
                "relay.yaml:4: a.b: found already in line 2; keep one of them",
            ),
        )

    def test_not_yaml(self) -> None:
        """What is not YAML is told with its line."""
        (problem,) = self.refused("a: 1\nb: [2\nc: 3\n")
        self.assertRegex(problem, r"^relay\.yaml:3: this is not YAML: ")

    def test_unsafe(self) -> None:
        """No tag makes anything but a plain value."""
        tags = ("!!python/object/apply:os.getpid []", "!secret x", "!!binary aGk=", "!!set {a}", "!!omap []")
        for tag in tags:
            with self.subTest(tag=tag):
                (problem,) = self.refused(f"a: {tag}\n")
                self.assertRegex(problem, r"^relay\.yaml:1: this is not YAML: the tag \S+ is unknown here$")
        self.assertEqual(self.refused("a: !!int x\n"), ("relay.yaml:1: this is not YAML: this is no int",))

    def test_circles(self) -> None:
        """An alias of what it stands in is refused, as a value and as a merge."""
        for text in ("a: &a [*a]", "a: &a {b: *a}", "a: &a {b: {<<: *a}}", "a: &a {<<: *a}"):
            with self.subTest(text=text):
                (problem,) = self.refused(text)
                self.assertIn("an alias repeats what it stands in", problem)

    def test_multiplying_aliases(self) -> None:
        """Aliases that multiply are refused before they fill the memory."""
        levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12))
        (problem,) = self.refused(f"l0: &l0 x\n{levels}\n")
        self.assertIn("there are too many values", problem)

    def test_deep(self) -> None:
        """What is nested without end is refused, not a crash."""
        self.assertEqual(self.refused("[" * 5000), ("relay.yaml: this is nested too deeply",))

    def test_no_mapping(self) -> None:
        """A file that is no mapping is refused."""
        self.assertEqual(
            self.refused("- a\n"), ("relay.yaml:1: found no mapping; allowed: sections such as providers:",)
        )

    def test_keys_are_texts(self) -> None:
        """A key is what was written, also where it looks like a number; it cannot be a list."""
        self.assertEqual(self.tree("404: a\ntrue: b\n"), {"404": "a", "true": "b"})
        (problem,) = self.refused("? [a]\n: b\n")
        self.assertIn("a key must be a text", problem)

    def test_toml(self) -> None:
        """A file whose name ends in .toml is TOML; it tells no lines but where it is broken."""
        written = parsed('[server]\nlisten = "127.0.0.1:1"\n', "relay.toml")
        self.assertEqual((written.tree, written.lines), ({"server": {"listen": "127.0.0.1:1"}}, {}))
        (problem,) = self.refused("[server\n", "relay.toml")
        self.assertRegex(problem, r"^relay\.toml: this is not TOML: .*line 1")

    @unhurried
    @given(st.text(alphabet="ab:-[]{}&*<!#\"'|>? \n0", max_size=40))
    def test_anything(self, text: str) -> None:
        """Whatever a file holds, it is read or refused in words."""
        try:
            self.assertIsInstance(self.tree(text), dict)
        except ConfigError as error:
            self.assertTrue(error.problems)

"""The rules of where a problem is said to be."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.parse import parsed
from ccrelay.config.written import Problem, Written, dotted, leaves, under


class WrittenTests(SynchronousTestCase):
    """File, line and path."""

    def setUp(self) -> None:
        """Write a file."""
        self.written = parsed("server:\n  listen: x\nproviders:\n- name: a\n", "relay.yaml")

    def test_line(self) -> None:
        """A problem names file, line and path."""
        problem = Problem(("providers", 0, "name"), "found x")
        self.assertEqual(self.written.told(problem), "relay.yaml:4: providers[0].name: found x")

    def test_missing(self) -> None:
        """What is not written is told with the line of what it belongs into."""
        problem = Problem(("providers", 0, "type"), "found nothing")
        self.assertEqual(self.written.told(problem), "relay.yaml:4: providers[0].type: found nothing")

    def test_one_for_a_list(self) -> None:
        """The one item of what may be a list is told as it was written."""
        problem = Problem(("server", "listen", 0), "found x")
        self.assertEqual(self.written.told(problem), "relay.yaml:2: server.listen: found x")

    def test_no_lines(self) -> None:
        """Where lines are not known, the path is told."""
        self.assertEqual(Written("a.toml", {}).told(Problem(("x",), "found y")), "a.toml: x: found y")

    def test_former(self) -> None:
        """What stands elsewhere than in the file is told as it stands in the file."""
        written = Written(
            "a", {"server": {"auth": {}}}, {("server", "api_key"): 7},
            {("server", "auth", "api_key"): ("server", "api_key")},
        )  # fmt: skip
        self.assertEqual(written.told(Problem(("server", "auth", "api_key"), "x")), "a:7: server.api_key: x")

    def test_paths(self) -> None:
        """Paths have dots, and brackets for places in lists; what leads on from one is under it."""
        self.assertEqual(dotted(("a", 0, "b")), "a[0].b")
        self.assertTrue(under(("a", 0, "b"), {("a", 0)}))
        self.assertFalse(under(("a", 0), {("a", 0, "b"), ("a", 1)}))

    def test_leaves(self) -> None:
        """Every value that holds no other is found, empty ones too."""
        tree = {"a": [1, {"b": None}], "c": {}}
        self.assertEqual(list(leaves(tree)), [(("a", 0), 1), (("a", 1, "b"), None), (("c",), {})])

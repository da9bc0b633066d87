"""The rules of what is said of a value that is not allowed."""

import copy
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.parse import parsed
from ccrelay.config.read import Loaded, settled
from ccrelay.config.written import KeyPath, Written, child
from ccrelay.errors import ConfigError
from tests.config.reading import SIMULATOR, problems, unhurried
from tests.config.test_spellings import CC_RELAY, ENVIRON

REFERENCE = parsed((Path(__file__).parents[2] / "etc/ccrelay.yaml").read_text("utf-8"), "etc")
FULL = (REFERENCE, parsed(CC_RELAY, "cc-relay"))

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["${", "${NOT_SET}"]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["name", "key", "<<"]), inner)
    ),
    max_leaves=5,
)


def paths(tree: object, path: KeyPath = ()) -> list[KeyPath]:
    """Return the paths of all values in a tree."""
    steps = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    return [path, *(one for step in steps for one in paths(child(tree, step), (*path, step)))]


class ValidationTests(SynchronousTestCase):
    """Each problem in a line: where, what was found, what is allowed, what was meant."""

    def test_unknown(self) -> None:
        """An unknown key is told the nearest one, where it belongs, or all there are."""
        text = "server:\n  lisen: x\nmax_concurrent: 1\nadmin: {frob: 1}\n"
        self.assertEqual(
            problems(text + SIMULATOR),
            [
                "relay.yaml:2: server.lisen: found an unknown key; did you mean 'listen'?",
                (
                    "relay.yaml:3: max_concurrent: found a key that belongs elsewhere; did you mean"
                    " 'server.max_concurrent'?"
                ),
                "relay.yaml:4: admin.frob: found an unknown key; allowed: token or socket; remove it",
            ],
        )

    def test_choice(self) -> None:
        """A wrong choice is told all of them, and the nearest."""
        self.assertEqual(
            problems("logging:\n  level: warning\n" + SIMULATOR),
            [
                (
                    "relay.yaml:2: logging.level: found 'warning'; allowed: debug, info, warn or error; "
                    "did you mean 'warn'?"
                )
            ],
        )

    def test_missing(self) -> None:
        """What is compulsory and missing is told."""
        self.assertEqual(
            problems("providers:\n- type: simulator\n"),
            ["relay.yaml:2: providers[0].name: found nothing; allowed: a text such as anthropic-1; add it"],
        )

    def test_shapes(self) -> None:
        """Lists, mappings and values in each other's place are told."""
        self.assertEqual(
            problems("server: []\nlogging: 5\nproviders: {a: {type: zai}}\nhealth: {health_check: x}"),
            [
                (
                    "relay.yaml:1: server: found a list; allowed: a mapping with listen, auth, "
                    "allowed_hosts, "
                    "allowed_origins, timeout_ms, ping_interval_ms, max_concurrent, max_body_bytes, "
                    "drain_ms, http or workers"
                ),
                (
                    "relay.yaml:2: logging: found a number, or true or false; allowed: a mapping "
                    "with level, format "
                    "or output"
                ),
                "relay.yaml:3: providers: found a mapping; allowed: a list",
                (
                    "relay.yaml:4: health.health_check: found a text; allowed: a mapping with "
                    "enabled, interval_ms, "
                    "timeout_ms or unhealthy_after"
                ),
            ],
        )

    def test_items(self) -> None:
        """Wrong items of a list do not move the others."""
        text = (
            "providers:\n- x\n- 5\n- name: a\n  type: simulator\n  models:\n  - 5\n  - m\n  - {b: 1}\n"
            "- name: a\n  type: zai\n"
        )
        self.assertEqual(
            [problem.partition(": found")[0] for problem in problems(text)],
            [
                "relay.yaml:2: providers[0]", "relay.yaml:3: providers[1]",
                "relay.yaml:7: providers[2].models[0]", "relay.yaml:9: providers[2].models[2]",
                "relay.yaml:10: providers[3].name", "relay.yaml:10: providers[3].keys",
            ],
        )  # fmt: skip

    def test_keys_of_mappings(self) -> None:
        """A wrong key of a mapping is told as a key."""
        text = (
            "providers:\n- name: a\n  type: simulator\n  headers:\n    a b: c\n"
            "  model_mapping:\n    '': x\n    y:\n"
        )
        self.assertEqual(
            problems(text),
            [
                (
                    "relay.yaml:5: providers[0].headers.a b: found this as a key; allowed: the name "
                    "of a header"
                    " (RFC 9110, section 5.1)"
                ),
                "relay.yaml:7: providers[0].model_mapping.: found this as a key; allowed: a text, not empty",
                "relay.yaml:8: providers[0].model_mapping.y: found nothing; allowed: a text, not empty",
            ],
        )

    def test_all_at_once(self) -> None:
        """Problems of values, variables, references and secrets are told together, in order."""
        text = (
            "server:\n  drain_ms: -1\n  auth: {api_key: '${NOT_SET}'}\nrouting:\n  default_provider: b\n"
            "providers:\n- name: a\n  type: zai\n  colour: red\n- name: a\n  type: simulator\n"
        )
        self.assertEqual(
            [problem.split(" ")[0] + problem.split(" ")[1] for problem in problems(text)],
            [
                "relay.yaml:2:server.drain_ms:", "relay.yaml:3:server.auth.api_key:",
                "relay.yaml:5:routing.default_provider:", "relay.yaml:7:providers[0].keys:",
                "relay.yaml:9:providers[0].colour:", "relay.yaml:10:providers[1].name:",
            ],
        )  # fmt: skip

    def test_told_once(self) -> None:
        """What depends on a wrong value is not told as well."""
        text = "providers: [{name: a b, type: zay, keys: 5}, {name: a b, type: zay}]"
        self.assertEqual(len(problems(text)), 5)

    @unhurried
    @given(st.data())
    def test_anything(self, data: st.DataObject) -> None:
        """Whatever stands in the place of a value, there are settings, or problems in one line each."""
        written = data.draw(st.sampled_from(FULL))
        tree = copy.deepcopy(written.tree)
        for path in data.draw(st.lists(st.sampled_from(paths(tree)[1:]), min_size=1, max_size=3)):
            here = Written("", tree).at(path[:-1])
            if child(here, path[-1]) is not None:
                here[path[-1]] = data.draw(ANYTHING)
        try:
            self.assertIsInstance(settled(Written(written.file, tree, written.lines), ENVIRON), Loaded)
        except ConfigError as error:
            self.assertTrue(error.problems)
            for problem in error.problems:
                self.assertTrue(problem.startswith(f"{written.file}:"), problem)
                self.assertEqual(len(problem.splitlines()), 1, problem)

    def test_toml(self) -> None:
        """A problem of TOML names file and key path."""
        self.assertEqual(
            problems('[server]\nlisten = 5\n[[providers]]\nname = "a"\ntype = "simulator"\n', file="a.toml"),
            ["a.toml: server.listen: found 5; allowed: a text such as 127.0.0.1:8787, or a list"],
        )

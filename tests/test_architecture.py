"""The house as a whole: who may import whom, how long a file may be, and that everything says what it is."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
PURE = {"providers", "policy", "wire", "errors"}
IMPURE = {"twisted.internet", "twisted.web", "treq", "klein", "time", "random", "threading", "socket"}
LONGEST = 300


def ladder() -> dict[str, int]:
    """Return the rooms of the ladder drawn in ccrelay/__init__.py, each with its rung; 0 is the top."""
    drawn = ast.get_docstring(ast.parse((ROOT / "ccrelay/__init__.py").read_text()))
    ladder = drawn.partition("The ladder")[2]
    rungs = re.findall(r"^    ([a-z0-9]+)(?:  ([a-z]+))?  +\S", ladder, re.MULTILINE)
    return {room: rung for rung, rooms in enumerate(rungs) for room in rooms if room}


def modules(folder: str) -> dict[str, Path]:
    """Return the modules under a folder by their dotted names."""
    paths = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): ROOT / path for path in paths}


def imported(path: Path) -> set[str]:
    """Return all dotted names that a module imports, wherever in it; of `from a import b` both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whence = "." * node.level + (node.module or "")
            names |= {whence} | {f"{whence}.{alias.name}" for alias in node.names}
    return names


def room(module: str) -> str:
    """Return the room of one of our modules: `wire` of `ccrelay.wire.sse`."""
    return module.split(".")[1] if "." in module else ""


class LadderTests(SynchronousTestCase):
    """Imports go down."""

    def setUp(self) -> None:
        """Read every module of ccrelay once."""
        self.rungs = ladder()
        self.imports = {name: imported(path) for name, path in modules("ccrelay").items()}

    def arrows(self) -> list[tuple[str, str]]:
        """Return each import of a room by a module of another."""
        found = [
            (name, other)
            for name, others in self.imports.items()
            for other in others
            if other.startswith("ccrelay.") and room(other) in self.rungs and room(other) != room(name)
        ]
        self.assertTrue(found)
        return sorted(found)

    def test_every_room_has_a_rung(self) -> None:
        """Everything in ccrelay is on the ladder, which goes from the command line to the errors."""
        rooms = {room(name) for name in self.imports} - {"", "_version"}
        self.assertEqual(rooms - set(self.rungs), set())
        self.assertEqual((self.rungs["cli"], self.rungs["tap"]), (0, 0))
        self.assertEqual(max(self.rungs, key=self.rungs.__getitem__), "errors")

    def test_no_import_looks_up(self) -> None:
        """A room imports only from rooms below it; imports for the type checker count."""
        looks_up = [
            (name, other)
            for name, other in self.arrows()
            if self.rungs.get(room(name), len(self.rungs)) > self.rungs[room(other)]
        ]
        self.assertEqual(looks_up, [])

    def test_configuration_stops_at_the_composition_root(self) -> None:
        """Only the service and the command lines look at what the operator wrote."""
        lookers = {room(name) for name, other in self.arrows() if room(other) == "config"}
        self.assertEqual(lookers - {"service", "cli", "tap"}, set())

    def test_the_simulator_stands_alone(self) -> None:
        """The simulator knows the bytes of the protocol, and nothing of the relay that is tested with it."""
        known = {room(other) for name, other in self.arrows() if room(name) == "simulator"}
        self.assertEqual(known - {"wire", "errors"}, set())

    def test_no_circles(self) -> None:
        """No module imports itself by way of others."""
        graph = {name: others & self.imports.keys() for name, others in self.imports.items()}
        self.assertEqual(set(TopologicalSorter(graph).static_order()), set(graph))

    def test_imports_are_absolute(self) -> None:
        """An import says in full what it means."""
        relative = {name for name, others in self.imports.items() if any(other[0] == "." for other in others)}
        self.assertEqual(relative, set())

    def test_what_decides_is_pure(self) -> None:
        """Below the line there is no reactor, clock, thread, socket or randomness but what is passed in."""
        impure = [
            (name, other)
            for name, others in self.imports.items()
            for other in others
            if room(name) in PURE and any(f"{other}.".startswith(f"{banned}.") for banned in IMPURE)
        ]
        self.assertEqual(impure, [])


class ReadingTests(SynchronousTestCase):
    """Whoever opens a file learns what it is."""

    def test_every_module_says_what_it_is(self) -> None:
        """Every module opens with a docstring, those of the tests too."""
        found = modules("ccrelay") | modules("tests") | modules("twisted")
        silent = [name for name, path in found.items() if not ast.get_docstring(ast.parse(path.read_text()))]
        self.assertEqual(silent, [])

    def test_every_test_states_its_rule(self) -> None:
        """Every test has a docstring: the rule that it holds."""
        tests = [
            (name, node)
            for name, path in modules("tests").items()
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
        ]
        self.assertEqual([(name, node.name) for name, node in tests if not ast.get_docstring(node)], [])

    def test_every_test_is_found(self) -> None:
        """Trial looks only into packages, so every folder of tests is one."""
        folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
        self.assertEqual([folder.name for folder in folders if not (folder / "__init__.py").exists()], [])

    def test_no_file_is_long(self) -> None:
        """No file of ccrelay is over 300 lines: beyond that it is two."""
        long = {
            name: lines
            for name, path in modules("ccrelay").items()
            if (lines := len(path.read_text().splitlines())) > LONGEST
        }
        self.assertEqual(long, {})

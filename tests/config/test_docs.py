"""The rule of the documentation: every configuration in it can be used as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.config.reading import loaded, problems

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_QUOTED = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ELSEWHERE = re.compile(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["'](?:https?:)?//[^>]*>""")
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"\$\{(\w+)[}:]")


def configurations() -> Iterator[tuple[str, str]]:
    """Yield each configuration of the documentation with its page."""
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text("utf-8")):
            if re.search(r"^providers:", block, re.MULTILINE):
                yield page.name, block


class DocumentationTests(SynchronousTestCase):
    """What stands in README.md and docs/."""

    def test_every_configuration(self) -> None:
        """Each is right, given the variables that it names, and nothing in it is without effect."""
        key_file = Path(self.mktemp()).absolute()
        key_file.write_text("{}")
        credentials = Path(self.mktemp()).absolute()  # what systemd hands over
        credentials.mkdir()
        (credentials / "key_anthropic").write_text("test-key-0")
        pages = []
        for page, text in configurations():
            named = _VARIABLE.findall(text)
            environ = {name: str(key_file) if name.endswith("_FILE") else f"test-{name}-0" for name in named}
            environ["CREDENTIALS_DIRECTORY"] = str(credentials)
            self.assertEqual(problems(text, environ), [], f"{page}:\n{text}")
            self.assertEqual(loaded(text, environ).not_in_effect, (), page)
            pages.append(page)
        named = ("clouds", "installing", "migration", "prices", "providers", "start")
        self.assertEqual(set(pages), {"README.md", *(f"{name}.md" for name in named)})

    def test_generated(self) -> None:
        """What follows from the program says what the program does: C{python docs/make_reference.py}."""
        place = spec_from_file_location("make_reference", ROOT / "docs/make_reference.py")
        assert place is not None
        assert place.loader is not None
        made = module_from_spec(place)
        place.loader.exec_module(made)
        for name, text in (("reference.md", made.reference()), ("commands.md", made.commands())):
            self.assertEqual((ROOT / "docs" / name).read_text("utf-8"), text, name)

    def test_quoted_code(self) -> None:
        """Code of ours that is shown is what stands in the file that it names."""
        shown = 0
        for page in PAGES:
            for path, code in _QUOTED.findall(page.read_text("utf-8")):
                self.assertIn(code, (ROOT / path).read_text("utf-8"), f"{page.name}: {path}")
                shown += 1
        self.assertGreater(shown, 1)

    def test_found(self) -> None:
        """Every page is in the table of contents."""
        contents = set(re.findall(r"^[a-z-]+$", (ROOT / "docs/index.md").read_text("utf-8"), re.MULTILINE))
        self.assertEqual({page.stem for page in PAGES} - contents, {"README", "index"})

    def test_site(self) -> None:
        """The site can be made, without a warning, and nothing of it is loaded from elsewhere."""
        if find_spec("sphinx") is None or find_spec("myst_parser") is None or find_spec("furo") is None:
            msg = "Sphinx, myst-parser and furo are not here: make docs installs them"
            raise SkipTest(msg)
        folder = Path(self.mktemp()).absolute()
        command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
        done = subprocess.run(
            [*command, str(ROOT / "docs"), str(folder)], capture_output=True, text=True, check=False
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for page in folder.glob("*.html"):
            self.assertEqual(_ELSEWHERE.findall(page.read_text("utf-8")), [], page.name)
        for style in folder.rglob("*.css"):
            wanted = re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//.*", style.read_text("utf-8"))
            self.assertEqual(wanted, [], style.name)

    def test_links(self) -> None:
        """Each link leads to a page that is there, and to a heading of it."""
        for page in PAGES:
            text = page.read_text("utf-8")
            for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
                target = (page.parent / path) if path else page
                self.assertTrue(target.exists(), f"{page.name}: {path}")
                if anchor:
                    headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
                    slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
                    self.assertIn(anchor, slugs, f"{page.name}: {path}#{anchor}")

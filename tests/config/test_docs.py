"""The rule of the documentation: every configuration in it can be used as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.config.reading import loaded, problems

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
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
        self.assertEqual(set(pages), {"README.md", "clouds.md", "installing.md", "prices.md"})

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

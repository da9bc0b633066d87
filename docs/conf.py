"""How the documentation becomes a site: C{make docs}."""

import re
from pathlib import Path

HERE = Path(__file__).parent

project = "ccrelay"
author = "the ccrelay authors"
copyright = "2026, the ccrelay authors"  # noqa: A001  Sphinx's
release = re.findall(r'__version__ = "(.*)"', (HERE.parent / "ccrelay/_version.py").read_text())[0]

extensions = ["myst_parser"]
exclude_patterns = ["README.md"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.header"]  # generated pages begin deeper than at their top

html_theme = "furo"
html_title = f"ccrelay {release}"
html_show_sphinx = False
html_copy_source = False
# Furo brings its own style and scripts; nothing is loaded from elsewhere.
html_theme_options = {
    "light_css_variables": {"font-stack": "system-ui, sans-serif", "font-stack--monospace": "monospace"},
}

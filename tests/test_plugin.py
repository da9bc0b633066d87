"""The rules of how C{twistd} comes to know ccrelay."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.python.usage import Options
from twisted.trial.unittest import SynchronousTestCase

from twisted.plugins.ccrelay_plugin import ccrelay

ROOT = Path(__file__).parents[1]


class PluginTests(SynchronousTestCase):
    """`twistd ccrelay`, in a clone."""

    def python(self, *arguments: str) -> str:
        """Run Python in the clone, and return what it printed."""
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, *arguments], env=environ, check=True, capture_output=True, text=True
        ).stdout

    def test_twistd_lists_it(self) -> None:
        """`twistd --help` names ccrelay with what it is for."""
        listed = self.python("-c", "from twisted.scripts.twistd import run; run()", "--help")
        self.assertRegex(listed, r"(?m)^ +ccrelay +A relay for the Anthropic Messages API\.$")

    def test_it_costs_others_nothing(self) -> None:
        """Whoever runs another plugin of twistd loads nothing of ours."""
        code = "import sys; import twisted.plugins.ccrelay_plugin; print('ccrelay' in sys.modules)"
        self.assertEqual(self.python("-c", code), "False\n")

    def test_it_leads_to_the_service(self) -> None:
        """What the plugin names has the options, and makes the service."""
        self.assertTrue(issubclass(ccrelay.options, Options))
        self.assertTrue(callable(ccrelay.makeService))

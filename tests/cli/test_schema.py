"""The rules of C{ccrelay schema}."""

import io
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import schema
from ccrelay.config.schema import json_schema


class SchemaTests(SynchronousTestCase):
    """The schema for editors."""

    def test_json(self) -> None:
        """The schema is printed as JSON, and nothing else."""
        out, err = io.StringIO(), io.StringIO()
        self.assertEqual(schema.run([], out, err, {}, Path("/none")), 0)
        self.assertEqual(json.loads(out.getvalue()), json_schema())
        self.assertEqual(err.getvalue(), "")

"""The tritonclient example of README.md, as it stands there, with the output that
stands there."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import unittest

from fixture import ServerTest

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"
# The block of code that imports tritonclient, and the indented lines after it.
EXAMPLE = re.compile(r"```python\n((?:(?!```).)*?import tritonclient.*?)```\n\n((?:    [^\n]*\n)+)", re.DOTALL)


class ReadmeTest(ServerTest):
    def test_example_prints_what_the_readme_shows(self) -> None:
        found = EXAMPLE.search(README.read_text())
        self.assertIsNotNone(found, "README.md has no example with its output")
        code, shown = found.groups()
        self.assertIn("127.0.0.1:8001", code)
        run = subprocess.run([sys.executable, "-c", code.replace("127.0.0.1:8001", self.address)],
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stdout, re.sub(r"^    ", "", shown, flags=re.MULTILINE))


if __name__ == "__main__":
    unittest.main()

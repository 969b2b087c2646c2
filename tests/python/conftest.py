"""The fixtures of every test here; tests/interop/python has them, too."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

pytest_plugins = ["server_fixtures"]

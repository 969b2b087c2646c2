"""Which files are the project's own, for the checks in this folder."""

import hashlib
import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = (".h", ".cc")


def files(*suffixes, root=ROOT):
    """Paths relative to root: tracked ones and new ones that git would take."""
    try:
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root, check=True, capture_output=True, text=True,
        ).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        # An unpacked archive: no git, and nothing built inside but build/.
        listed = [
            os.path.relpath(os.path.join(folder, name), root)
            for folder, subfolders, names in os.walk(root)
            for name in names
            if not os.path.relpath(folder, root).startswith("build")
        ]
    return sorted(
        path for path in set(listed)
        if path and path.endswith(suffixes or ("",)) and (root / path).is_file()
    )


def report(name, problems, checked):
    """Prints the outcome and gives the exit code."""
    for problem in problems:
        print(problem)
    print(f"{name}: {checked} checked, {len(problems)} problems")
    return 1 if problems else 0


def require(tool):
    """Ends the check as skipped (exit code 77) where the tool is missing."""
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), str(ROOT / "build/tools/bin")):
        if os.access(os.path.join(folder, tool), os.X_OK):
            return os.path.join(folder, tool)
    print(f"skipped: {tool} is not installed (deploy/local/install test image promtool)")
    sys.exit(77)


def free_address():
    """host:port on loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


class Stamps:
    """Remembers, by content, what was found good: <folder>/<sha256>."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def key(self, *parts):
        """A digest of texts, and of files' contents where a Path is given."""
        digest = hashlib.sha256()
        for part in parts:
            content = part.read_bytes() if isinstance(part, pathlib.Path) else str(part).encode()
            digest.update(len(content).to_bytes(8, "little") + content)
        return digest.hexdigest()

    def has(self, key):
        return (self.folder / key).exists()

    def add(self, key):
        (self.folder / key).touch()

#!/usr/bin/env python3
"""Every header compiles by itself, and twice in one file.

  headers_alone.py BUILD_FOLDER [--compiler g++]

A header that was fine is not compiled again while neither it nor anything of
ours that it includes has changed.
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

import repository

FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-pthread"]
# Written for one .cc and included nowhere else, by Highway's rules.
EXCEPTIONS = ("-inl.h",)


def include_folders(build):
    """Ours, and what protoc wrote."""
    generated = {str(path.parents[2]) for path in build.glob("**/attn/v1/*.pb.h")}
    return [f"-I{repository.ROOT}", *(f"-I{folder}" for folder in sorted(generated))]


def own_dependencies(depfile):
    """The files a compilation read, system headers apart."""
    names = depfile.read_text().replace("\\\n", " ").split(":", 1)[1].split()
    return [pathlib.Path(name) for name in names if name.startswith("/") and os.path.isfile(name)]


class Checker:
    def __init__(self, build, compiler):
        self.command = [compiler, *FLAGS, *include_folders(build)]
        version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True)
        self.identity = " ".join(self.command) + version.stdout
        self.stamps = repository.Stamps(build / "tools/headers_alone")

    def dependencies_file(self, header):
        return self.stamps.folder / (header.replace("/", "_") + ".d")

    def key(self, header):
        """Of the header and all of ours that it read the last time."""
        depfile = self.dependencies_file(header)
        if not depfile.exists():
            return None
        return self.stamps.key(self.identity, header, *own_dependencies(depfile))

    def __call__(self, header):
        """The compiler's words, empty if there is nothing to say."""
        key = self.key(header)
        if key and self.stamps.has(key):
            return ""
        with tempfile.NamedTemporaryFile("w", suffix=".cc") as source:
            source.write(f'#include "{header}"\n#include "{header}"\n')
            source.flush()
            run = subprocess.run(
                [*self.command, "-MMD", "-MF", self.dependencies_file(header), source.name],
                capture_output=True, text=True)
        if run.returncode:
            return f"{header} does not compile alone:\n{run.stderr}"
        # The temporary source's name differs each time: leave it out.
        depfile = self.dependencies_file(header)
        depfile.write_text(depfile.read_text().replace(source.name, ""))
        self.stamps.add(self.key(header))
        return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--compiler", default="g++")
    arguments = parser.parse_args()
    check = Checker(arguments.build.resolve(), arguments.compiler)
    headers = [path for path in repository.files(".h") if not path.endswith(EXCEPTIONS)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [words for words in pool.map(check, headers) if words]
    return repository.report("headers alone", problems, len(headers))


if __name__ == "__main__":
    sys.exit(main())

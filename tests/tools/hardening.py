#!/usr/bin/env python3
"""The deployed binary has the protections its preset asks the compiler for.

  hardening.py BINARY
"""

import os
import subprocess
import sys

import repository


def readelf(*arguments):
    run = subprocess.run([repository.require("readelf"), "--wide", *arguments],
                         check=True, capture_output=True, text=True)
    return run.stdout


def problems_of(binary):
    header, segments = readelf("--file-header", binary), readelf("--program-headers", binary)
    dynamic, symbols = readelf("--dynamic", binary), readelf("--dyn-syms", binary)
    stack = [line for line in segments.splitlines() if "GNU_STACK" in line]
    facts = {
        "position independent (PIE)": "DYN" in header and "FLAGS_1" in dynamic and "PIE" in dynamic,
        "read-only relocations (RELRO)": "GNU_RELRO" in segments,
        "bound at start (BIND_NOW)": "BIND_NOW" in dynamic or "Flags: NOW" in dynamic,
        "stack not executable (NX)": len(stack) == 1 and "RWE" not in stack[0],
        "stack protector": "__stack_chk_fail" in symbols,
        "no run path": "RPATH" not in dynamic and "RUNPATH" not in dynamic,
    }
    return [f"{binary}: does not hold: {fact}" for fact, holds in facts.items() if not holds], len(facts)


def main():
    binary = sys.argv[1]
    if not os.path.exists(binary):
        print(f"skipped: {binary} is not built")
        return 77
    return repository.report("hardening", *problems_of(binary))


if __name__ == "__main__":
    sys.exit(main())

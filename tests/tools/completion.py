#!/usr/bin/env python3
"""Completion offers what --help lists, for every command, and nothing else.

  completion.py ATTNCTL

Bash is asked as it asks itself; zsh's script is parsed where there is a zsh.
"""

import re
import shutil
import subprocess
import sys

import repository

PROBE = """source <("$1" completion bash)
COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2))
_attnctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


def completed(attnctl, *words):
    """What bash offers for the last of these words."""
    return set(run("bash", "-c", PROBE, "bash", attnctl, *words).split())


def listed(attnctl, path):
    """(flags, flags with a value, sub-commands, arguments) of a command's --help."""
    text = run(attnctl, *path, "--help")
    subcommands = re.findall(r"^  ([a-z]+)  ", text.partition("\nSubcommands:\n")[2], re.MULTILINE)
    flags, valued = set(), set()
    # "  -c,--concurrency UINT ...  Help", "  --lse  Help"
    for names, value in re.findall(r"^  (-[-a-z,]+)(?: (\S+))?", text, re.MULTILINE):
        flags.update(names.split(","))
        if value:
            valued.update(names.split(","))
    arguments = re.findall(r"^  [a-z]+ TEXT:\{([^}]*)\} REQUIRED", text, re.MULTILINE)
    return flags, valued, subcommands, {word for words in arguments for word in words.split(",")}


def problems_of(attnctl, path, outer):
    """Differences of this command and those below it; how many commands."""
    flags, valued, subcommands, arguments = listed(attnctl, path)
    words = ("attnctl", *path)
    expected = flags | outer | set(subcommands) | arguments
    offered = completed(attnctl, *words, "")
    problems, count = [], 1
    if offered != expected:
        problems.append(f"{' '.join(words)}: missing {sorted(expected - offered)}, invented {sorted(offered - expected)}")
    for subcommand in subcommands:
        below, number = problems_of(attnctl, (*path, subcommand), outer | valued)
        problems += below
        count += number
    return problems, count


def value_problems(attnctl):
    cases = {
        ("attnctl", "attend", "--causal", ""): {"none", "top-left", "bottom-right"},
        ("attnctl", "--address", "x:1", "session", "create", "--kv-dtype", "b"): {"bf16"},
        ("attnctl", "completion", "z"): {"zsh"},
        ("attnctl", "attend", "--scale", ""): set(),
        ("attnctl", "att"): {"attend"},
    }
    return [f"{' '.join(words)}: expected {sorted(expected)}, got {sorted(got)}"
            for words, expected in cases.items() if (got := completed(attnctl, *words)) != expected]


def zsh_problems(attnctl):
    zsh = shutil.which("zsh")
    if zsh is None:
        return []
    parsed = subprocess.run([zsh, "-n"], input=run(attnctl, "completion", "zsh"), capture_output=True, text=True)
    return [f"zsh: {parsed.stderr}"] if parsed.returncode or parsed.stderr else []


def main(attnctl):
    problems, count = problems_of(attnctl, (), set())
    return repository.report("completion", problems + value_problems(attnctl) + zsh_problems(attnctl), count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""A program of an image, run with what a container engine gives it and no more."""

from __future__ import annotations

import pathlib

# Its own mount and process namespaces, a read-only root, no new privileges, and of
# root's capabilities only what chroot needs to become the image's user; a user has none.
SCRIPT = """
mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount -o remount,bind,ro "$1" &&
root=$1 user=$2 && shift 2 &&
exec env -i "${@:2:$1}" "$(command -v setpriv)" --no-new-privs --inh-caps=-all \
  --bounding-set=-all,+sys_chroot,+setuid,+setgid \
  "$(command -v chroot)" --userspec="$user" "$root" "${@:2+$1}"
"""


def command(root: pathlib.Path, config: dict, environment: list[str], arguments: tuple[str, ...]) -> list[str]:
    """The command that runs the entry point of an image of this configuration."""
    variables = [*config["Env"], *environment]
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", SCRIPT, "container",
            str(root), config["User"], str(len(variables)), *variables, *config["Entrypoint"], *arguments]


def children(pid: int) -> list[int]:
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def problems_of(pid: int, user: str) -> list[str]:
    """What the program, the child of the command above, has that it should not."""
    child = children(pid)[0]
    lines = pathlib.Path(f"/proc/{child}/status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    expected = {"Uid": [user.split(":")[0]] * 4, "Gid": [user.split(":")[1]] * 4, "NoNewPrivs": ["1"],
                "CapEff": ["0" * 16], "CapPrm": ["0" * 16], "CapInh": ["0" * 16], "CapAmb": ["0" * 16]}
    problems = [f"{name} of the process is {status.get(name)}, not {value}"
                for name, value in expected.items() if status.get(name) != value]
    root = next(line.split() for line in pathlib.Path(f"/proc/{child}/mountinfo").read_text().splitlines()
                if line.split()[4] == "/")
    if "ro" not in root[5].split(","):
        problems.append(f"the root file system can be written: {' '.join(root)}")
    return problems

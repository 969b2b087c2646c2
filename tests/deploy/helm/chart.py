"""The chart attnserve: where it is, how it is rendered, and its goldens.

Files of other folders that the chart takes in whole (rules, alerts, the dashboard,
HAProxy's configuration) are links in it. In a golden only their names stand, so that
a change of theirs is no change of the chart.
"""

from __future__ import annotations

import hashlib
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CHART = ROOT / "deploy/helm/attnserve"
RENDERED = HERE / "rendered"
STAMP = RENDERED / "sha256"
# What `helm template` takes the cluster for; small.yaml is rendered for an old one.
KUBE_VERSIONS = {"small": "1.28.0"}
KUBE_VERSION = "1.35.0"
RELEASE, NAMESPACE = "attn", "inference"


def names() -> list[str]:
    """The values files, each with a golden of the same name."""
    return sorted(path.stem for path in (HERE / "values").glob("*.yaml"))


def chart_files() -> list[pathlib.Path]:
    return sorted(path for path in CHART.rglob("*") if path.is_file() and not path.is_symlink())


def digest() -> str:
    """Of the goldens and all that they are made of."""
    sums = hashlib.sha256()
    for path in (*chart_files(), *sorted((HERE / "values").glob("*.yaml")), *sorted(RENDERED.glob("*.yaml"))):
        sums.update(f"{path.relative_to(ROOT)}\n{path.read_text()}\n".encode())
    return sums.hexdigest()


def golden(name: str) -> pathlib.Path:
    return RENDERED / f"{name}.yaml"


def helm_template(helm: str, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    version = KUBE_VERSIONS.get(name, KUBE_VERSION)
    return subprocess.run(
        [helm, "template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", version,
         "--values", str(HERE / "values" / f"{name}.yaml"), *more],
        text=True, capture_output=True)


def render(helm: str, name: str) -> str:
    """The manifests of a values file. RuntimeError, with helm's words, where there are none."""
    done = helm_template(helm, name)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def without_linked_files(manifests: str) -> str:
    """With the name of a link in the place of what it holds."""
    lines: list[str] = []
    held: int | None = None  # The indent of the line whose block is left out.
    for line in manifests.splitlines():
        indent = len(line) - len(line.lstrip())
        if held is not None and (not line.strip() or indent > held or (indent == held and line.lstrip()[0] == "-")):
            continue
        held = None
        lines.append(line)
        for start, text in (("  groups:", "deploy/prometheus/{rules,alerts}.yaml"),
                            ("  attnserve.json: |-", "deploy/grafana/dashboard.json")):
            if line == start:
                held = indent
                lines.append(" " * (indent + 2) + f"# as {text}")
    return "\n".join(lines) + "\n"


def without_proxy_file(manifests: str, configuration: str) -> str:
    """The same for HAProxy's configuration, which the chart's servers follow."""
    head = configuration.split("    # SERVERS:")[0].rstrip("\n")
    held = "\n".join("    " + line if line else "    " for line in head.split("\n"))
    return manifests.replace(held, "    # as deploy/haproxy/haproxy.cfg")


def as_golden(manifests: str) -> str:
    configuration = (CHART / "files/haproxy.cfg").read_text()
    named = without_proxy_file(without_linked_files(manifests), configuration)
    return re.sub(r"checksum/config: [0-9a-f]{64}", "checksum/config: of-the-configuration", named)

"""The rules and alerts of deploy/prometheus, as Python sees them."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import sys

try:
    import yaml
except ModuleNotFoundError:
    print("skipped: python3-yaml is not installed (deploy/local/install test)")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROMETHEUS = ROOT / "deploy/prometheus"
RUNBOOK = ROOT / "deploy/runbook/README.md"
RULE_TESTS = sorted(pathlib.Path(__file__).parent.glob("*_test.yaml"))

sys.path.insert(0, str(ROOT / "tests/tools"))

# A name that may be a series: of ours, of gRPC, of the process, or a recorded one.
_SERIES = re.compile(r"\b(?:attn_|grpc_server_|process_|[a-z_]+:)[a-z0-9_:]+\b|\bup\b")
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^{}]*)\}")
_MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


@dataclasses.dataclass(frozen=True)
class Matcher:
    """One `label="value"` of a selector."""

    series: str
    label: str
    operator: str
    value: str


@dataclasses.dataclass(frozen=True)
class Rule:
    """A recording rule or an alert."""

    name: str
    expr: str
    is_alert: bool
    labels: dict[str, str]
    annotations: dict[str, str]


def load(name: str) -> list[Rule]:
    """The rules of deploy/prometheus/<name>."""
    groups = yaml.safe_load((PROMETHEUS / name).read_text())["groups"]
    return [
        Rule(rule.get("alert") or rule["record"], rule["expr"], "alert" in rule,
             rule.get("labels", {}), rule.get("annotations", {}))
        for group in groups for rule in group["rules"]
    ]


def series_of(expr: str) -> set[str]:
    """Names of the series that an expression reads."""
    without_strings = re.sub(r'"[^"]*"', '""', expr)
    without_groupings = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", without_strings)
    return set(_SERIES.findall(re.sub(r"\{[^{}]*\}", "", without_groupings)))


def matchers_of(expr: str) -> list[Matcher]:
    """The label matchers of an expression."""
    return [
        Matcher(series, *found)
        for series, inside in _SELECTOR.findall(expr)
        for found in _MATCHER.findall(inside)
    ]


def firing_in_tests() -> set[str]:
    """Alerts that some promtool test expects to fire, annotations included."""
    return {
        case["alertname"]
        for path in RULE_TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("alert_rule_test", [])
        if case["exp_alerts"]
    }

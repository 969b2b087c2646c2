#!/usr/bin/env python3
"""promtool accepts the Prometheus configuration, its rules and the rules' tests, and
each rule and alert has the form that deploy/prometheus promises.

  rules_test.py
"""

from __future__ import annotations

import re
import subprocess
import sys

import rule_files

import repository  # isort: skip  (of tests/tools, which rule_files finds)

RECORD_NAME = re.compile(r"^(job|instance)(_[a-z]+)*:[a-z_]+:([a-z0-9]+_)?(ratio|rate|mean|p\d+|avg)[a-z0-9_]*$")
SEVERITIES = {"critical", "warning"}


def promtool_problems(promtool: str) -> list[str]:
    """What promtool says of the configuration, and of the tests."""
    commands = [["check", "config", str(rule_files.PROMETHEUS / "prometheus.yaml")]]
    commands += [["test", "rules", str(path)] for path in rule_files.RULE_TESTS]
    problems = []
    for command in commands:
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        if done.returncode:
            problems.append(f"promtool {' '.join(command)}:\n{done.stdout}{done.stderr}")
    return problems


def record_problems(rules: list[rule_files.Rule]) -> list[str]:
    """Recorded names that are not level:metric:operations."""
    return [f"rules.yaml: {rule.name} is not level:metric:operations" for rule in rules
            if rule.is_alert or not RECORD_NAME.match(rule.name)]


def alert_problems(alert: rule_files.Rule, tested: set[str]) -> list[str]:
    """What an alert lacks."""
    problems = []
    if alert.labels.get("severity") not in SEVERITIES:
        problems.append(f"severity must be one of {sorted(SEVERITIES)}; got {alert.labels.get('severity')}")
    for annotation in ("summary", "description"):
        if not alert.annotations.get(annotation, "").strip():
            problems.append(f"has no {annotation}")
    url = f"deploy/runbook/README.md#{alert.name.lower()}"
    if alert.annotations.get("runbook_url") != url:
        problems.append(f"runbook_url must be {url}; got {alert.annotations.get('runbook_url')}")
    if alert.name not in tested:
        problems.append("no test of tests/deploy/watch expects it to fire")
    return [f"alerts.yaml: {alert.name}: {problem}" for problem in problems]


def main() -> int:
    """The exit code."""
    promtool = repository.require("promtool")
    rules, alerts = rule_files.load("rules.yaml"), rule_files.load("alerts.yaml")
    problems = record_problems(rules) + promtool_problems(promtool)
    tested = rule_files.firing_in_tests()
    for alert in alerts:
        problems += alert_problems(alert, tested)
    return repository.report("Prometheus rules and alerts", problems, len(rules) + len(alerts))


if __name__ == "__main__":
    sys.exit(main())

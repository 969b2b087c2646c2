#!/usr/bin/env python3
"""Every expression of rules, alerts and dashboard parses, and every series, label and
label value in it is one that a real server shows after a few calls.

  series_test.py ATTNSERVE ATTNCTL

Prints the series that nobody shows; they are no problem.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import rule_files
import served_series

import repository  # isort: skip  (of tests/tools, which rule_files finds)

DASHBOARD = rule_files.ROOT / "deploy/grafana"
# Prometheus adds the first three, by what it scrapes.
FOREIGN_LABELS = {"job", "instance", "namespace", "le"}
FOREIGN_SERIES = {"up"}


def dashboard_queries() -> dict[str, str]:
    """Title -> expression of each query of the dashboard, annotations and variables
    included, with its variables replaced."""
    dashboard = json.loads((DASHBOARD / "dashboard.json").read_text())
    queries = {f"annotation {found['name']}": found["expr"] for found in dashboard["annotations"]["list"]}
    for variable in dashboard["templating"]["list"]:
        asked = re.match(r"label_values\((.*), \w+\)$", variable.get("definition", ""))
        if asked:
            queries[f"variable {variable['name']}"] = asked.group(1)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            queries[f"panel {panel['title']}, {target['legendFormat']}"] = target["expr"]
    return {
        title: expr.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")
        for title, expr in queries.items()
    }


def parse_problems(promtool: str, queries: dict[str, str]) -> list[str]:
    """What promtool says of them as recording rules."""
    rules = [{"record": "query", "expr": expr, "labels": {"number": str(i)}}
             for i, expr in enumerate(queries.values())]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "queries.yaml"
        path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
        done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    return [done.stdout + done.stderr] if done.returncode else []


def value_problem(matcher: rule_files.Matcher, values: set[str]) -> str:
    """What is wrong with a matcher where the label has these values, or ""."""
    if matcher.operator not in ("=", "=~"):
        return ""
    wanted = matcher.value.split("|") if matcher.operator == "=~" else [re.escape(matcher.value)]
    missing = [pattern for pattern in wanted if not any(re.fullmatch(pattern, value) for value in values)]
    return f"no {matcher.series} has {matcher.label}={' or '.join(missing)}" if missing else ""


def expression_problems(expr: str, served: served_series.Series, recorded: set[str]) -> list[str]:
    """Series, labels and values of an expression that no server shows."""
    problems = [f"no series {name}" for name in sorted(rule_files.series_of(expr) - recorded - FOREIGN_SERIES)
                if name not in served]
    for matcher in rule_files.matchers_of(expr):
        if matcher.label in FOREIGN_LABELS - {"le"} or matcher.series not in served:
            continue
        labels = served[matcher.series]
        problems.append(value_problem(matcher, labels[matcher.label]) if matcher.label in labels
                        else f"{matcher.series} has no label {matcher.label}")
    known = FOREIGN_LABELS.union(*(labels for labels in served.values()))
    for grouping in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expr):
        problems += [f"no series has the label {label}" for label in re.findall(r"\w+", grouping) if label not in known]
    return [problem for problem in problems if problem]


def shown_nowhere(served: served_series.Series, expressions: list[str]) -> list[str]:
    """Series of a server that no expression reads, nor rule that one reads."""
    read = set().union(*(rule_files.series_of(expr) for expr in expressions))
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in read}
    return sorted(name for name in served if re.sub(r"_(bucket|sum|count)$", "", name) not in families)


def main() -> int:
    """The exit code."""
    promtool = repository.require("promtool")
    attnserve, attnctl = sys.argv[1:]
    if not os.path.exists(attnserve) or not os.path.exists(attnctl):
        print(f"skipped: {attnserve} or {attnctl} is not built")
        return 77
    with served_series.WatchedServer(attnserve) as server:
        address = served_series.http_address(server)
        served_series.call_a_few(attnctl, server)
        served = served_series.parse(served_series.scrape(address))
    rules = rule_files.load("rules.yaml") + rule_files.load("alerts.yaml")
    recorded = {rule.name for rule in rules if not rule.is_alert}
    queries = dashboard_queries()
    problems = parse_problems(promtool, queries)
    for title, expr in [(rule.name, rule.expr) for rule in rules] + list(queries.items()):
        problems += [f"{title}: {problem}" for problem in expression_problems(expr, served, recorded)]
    same = subprocess.run([sys.executable, str(DASHBOARD / "dashboard.py"), "--check"], check=False)
    if same.returncode:
        problems.append("deploy/grafana/dashboard.json: run deploy/grafana/dashboard.py")
    print("shown nowhere:", *shown_nowhere(served, [rule.expr for rule in rules] + list(queries.values())))
    return repository.report("series of rules and dashboard", problems, len(rules) + len(queries))


if __name__ == "__main__":
    sys.exit(main())

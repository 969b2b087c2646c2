#!/usr/bin/env python3
"""Writes dashboard.json, which Grafana imports; Python's standard library alone.

  deploy/grafana/dashboard.py           # writes dashboard.json beside this file
  deploy/grafana/dashboard.py --check   # 1 if dashboard.json is not what this writes

Panels are the rows of ROWS below: a title, a unit of Grafana's, and queries with their
legends. `job:` and `instance:` series are recorded by ../prometheus/rules.yaml.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from typing import Any

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT, COLUMNS = 8, 8, 24

# What every query is narrowed to.
JOB = 'job=~"$job"'
HERE = 'job=~"$job",instance=~"$instance"'


@dataclasses.dataclass(frozen=True)
class Panel:
    """A time series. `queries`: legend -> expression. `limit`: draw a red line there."""

    title: str
    unit: str
    queries: dict[str, str]
    description: str = ""
    limit: float | None = None
    is_stacked: bool = False
    is_heatmap: bool = False


def quantile(fraction: float, histogram: str, by: str = "") -> str:
    """Of a histogram's rate, over the instances shown."""
    labels = f"{by}, le" if by else "le"
    return (f"histogram_quantile({fraction}, sum by ({labels}) "
            f"(rate({histogram}_bucket{{{HERE}}}[$__rate_interval])))")


def mean(histogram: str) -> str:
    """The mean of what a histogram observed."""
    rate = f"sum(rate({histogram}_%s{{{HERE}}}[$__rate_interval]))"
    return f"{rate % 'sum'} / {rate % 'count'}"


def rate_by(counter: str, label: str) -> str:
    """A counter's rate for each value of a label."""
    return f"sum by ({label}) (rate({counter}{{{HERE}}}[$__rate_interval]))"


def sum_by(name: str, label: str) -> str:
    """A gauge's sum for each value of a label."""
    return f"sum by ({label}) ({name}{{{HERE}}})"


def gauge(name: str) -> str:
    """A gauge, one line an instance."""
    return f"{name}{{{HERE}}}"


RED = [
    Panel("Calls by method", "reqps", {"{{grpc_method}}": f"job_method:grpc_server_handled:rate5m{{{JOB}}} > 0"},
          "Calls that ended, a second."),
    Panel("Calls that failed, by code", "reqps",
          {"{{grpc_code}}": f'job_code:grpc_server_handled:rate5m{{{JOB},grpc_code!="OK"}} > 0'}, is_stacked=True),
    Panel("Errors by the server's fault", "percentunit",
          {"5 minutes": f"job:grpc_server_errors:ratio_rate5m{{{JOB}}}",
           "1 hour": f"job:grpc_server_errors:ratio_rate1h{{{JOB}}}",
           "3 days": f"job:grpc_server_errors:ratio_rate3d{{{JOB}}}"},
          "Unknown, Internal, Unavailable, DeadlineExceeded. The line is the objective.", limit=0.001),
    Panel("Calls slower than 0.25 s", "percentunit",
          {"5 minutes": f"job:grpc_server_slow:ratio_rate5m{{{JOB}}}",
           "1 hour": f"job:grpc_server_slow:ratio_rate1h{{{JOB}}}",
           "3 days": f"job:grpc_server_slow:ratio_rate3d{{{JOB}}}"},
          "Unary calls with tensors. The line is the objective.", limit=0.01),
    Panel("Duration of calls, p99", "s",
          {"{{grpc_method}}": f"job_method:grpc_server_handling_seconds:p99_rate5m{{{JOB}}}"}),
    Panel("Duration of calls, median", "s",
          {"{{grpc_method}}": f"job_method:grpc_server_handling_seconds:p50_rate5m{{{JOB}}}"}),
    Panel("Calls under way", "short",
          {"{{instance}}": f"sum by (instance) (grpc_server_started_total{{{HERE}}}) "
                           f"- sum by (instance) (grpc_server_handled_total{{{HERE}}})"}),
    Panel("Bytes of calls with tensors", "Bps",
          {"in": f"sum(rate(attn_request_bytes_sum{{{HERE}}}[$__rate_interval]))",
           "out": f"sum(rate(attn_response_bytes_sum{{{HERE}}}[$__rate_interval]))"}),
    Panel("Stages of a task, p99", "s",
          {"receive": quantile(0.99, "attn_receive_seconds"),
           "queue": quantile(0.99, "attn_queue_wait_seconds"),
           "compute": quantile(0.99, "attn_compute_seconds"),
           "send": quantile(0.99, "attn_send_seconds")}),
]

BATCHING = [
    Panel("Tasks in a batch", "short", {"{{le}}": rate_by("attn_batch_size_bucket", "le")}, is_heatmap=True),
    Panel("Mean batch", "short",
          {"tasks": f"job:attn_batch_size:mean_rate5m{{{JOB}}}", "query tokens": mean("attn_batch_tokens")}),
    Panel("Batches, by what closed them", "ops", {"{{closed_by}}": rate_by("attn_batches_total", "closed_by")},
          "idle_worker: nobody waited for company. full: --max-batch-tasks.", is_stacked=True),
    Panel("Tasks admitted, and how they ended", "ops",
          {"admitted": f"sum(rate(attn_admitted_tasks_total{{{HERE}}}[$__rate_interval]))",
           "{{outcome}}": f"job_outcome:attn_tasks:rate5m{{{JOB}}}"}),
    Panel("Time to form a batch, p99", "s", {"form": quantile(0.99, "attn_batch_form_seconds")}),
    Panel("Compute time by kind, p99", "s", {"{{kind}}": quantile(0.99, "attn_compute_seconds", "kind")}),
]

KV_MEMORY = [
    Panel("KV memory used", "percentunit", {"{{instance}}": f"instance:attn_kv_bytes:ratio{{{HERE}}}"},
          "Of --kv-memory. At 1 appends are refused.", limit=0.85),
    Panel("KV bytes", "bytes",
          {"used {{instance}}": gauge("attn_kv_bytes"), "limit {{instance}}": gauge("attn_kv_bytes_limit"),
           "shared {{instance}}": gauge("attn_kv_shared_bytes")}),
    Panel("Sessions", "short",
          {"{{instance}}": gauge("attn_sessions"), "limit {{instance}}": gauge("attn_sessions_limit")}),
    Panel("Sessions that ended", "ops", {"{{reason}}": rate_by("attn_sessions_closed_total", "reason")}),
    Panel("Bytes of a session, mean", "bytes",
          {"{{instance}}": f"attn_kv_bytes{{{HERE}}} / (attn_sessions{{{HERE}}} > 0)"}),
    Panel("Refused for memory", "ops",
          {"{{instance}} {{reason}}": "sum by (instance, reason) (rate("
           f'attn_refused_total{{{HERE},reason=~"KV_MEMORY|QUOTA"}}[$__rate_interval]))'}),
]

LAYERS = [
    Panel("Tokens through layers, by layer", "ops",
          {"{{layer}}": rate_by("attn_layer_tokens_total", "layer") + " > 0"}, "Rows of hidden states a second.",
          is_stacked=True),
    Panel("Duration of Forward", "s",
          {f"{{{{grpc_method}}}} {name}":
           f'job_method:grpc_server_handling_seconds:{name}_rate5m{{{JOB},grpc_method=~"Forward|ForwardBatch"}}'
           for name in ("p50", "p99")}),
    Panel("Time of a projection's work item", "s",
          {"median": quantile(0.5, "attn_projection_seconds"), "p99": quantile(0.99, "attn_projection_seconds")},
          "Up to 256 channels of all rows that waited, on one worker."),
    Panel("Bytes of weights", "bytes",
          {"used {{instance}}": gauge("attn_layer_weight_bytes"),
           "limit {{instance}}": gauge("attn_layer_weight_bytes_limit")},
          "Beyond --max-layer-bytes no layer is loaded; those that are go on."),
    Panel("Layers loaded", "short", {"{{instance}}": gauge("attn_layers")},
          "Where servers of one address differ, some calls find no layer."),
]

SATURATION = [
    Panel("Queue wait, mean and p99", "s",
          {"mean {{instance}}": f"instance:attn_queue_wait_seconds:mean_rate5m{{{HERE}}}",
           "p99 of all": f"job:attn_queue_wait_seconds:p99_rate5m{{{JOB}}}"}, limit=0.5),
    Panel("Queue", "short", {"{{instance}}": gauge("attn_queue_depth")}, "Tasks that wait."),
    Panel("Turned away", "percentunit", {"all": f"job:attn_turned_away:ratio_rate5m{{{JOB}}}"},
          "Refused or dropped for want of capacity, of what came.", limit=0.01),
    Panel("Refused at the door, by reason", "ops", {"{{reason}}": rate_by("attn_refused_total", "reason") + " > 0"},
          is_stacked=True),
    Panel("Dropped after admission, by reason", "ops", {"{{reason}}": rate_by("attn_shed_total", "reason")}),
    Panel("Workers busy", "percentunit", {"{{instance}}": f"instance:attn_workers_busy:ratio_avg5m{{{HERE}}}"}),
    Panel("CPU time that busy workers had", "percentunit",
          {"{{instance}}": f"instance:attn_worker_cpu:ratio_rate5m{{{HERE}}}"},
          "Well below 1: throttled, or other programs have the CPUs."),
    Panel("CPUs", "short",
          {"used {{instance}}": f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])",
           "workers {{instance}}": gauge("attn_workers"), "busy {{instance}}": gauge("attn_workers_busy")}),
    Panel("Memory", "bytes",
          {"resident {{instance}}": gauge("process_resident_memory_bytes"),
           "limit {{instance}}": gauge("attn_memory_bytes_limit")}),
    Panel("Memory beside the KV pages", "bytes",
          {"in flight {{instance}}": gauge("attn_inflight_bytes"), "queued {{instance}}": gauge("attn_queue_bytes"),
           "pool {{instance}}": gauge("attn_pool_bytes"),
           "shared with clients {{instance}}": gauge("attn_shared_memory_bytes")}),
    Panel("File descriptors", "percentunit", {"{{instance}}": f"instance:process_open_fds:ratio{{{HERE}}}"}, limit=0.8),
    Panel("Draining", "short",
          {"{{instance}}": gauge("attn_draining"), "threads {{instance}}": gauge("process_threads")}),
]

TENANTS = [
    Panel("Tasks admitted, by tenant", "ops", {"{{tenant}}": rate_by("attn_tenant_admitted_tasks_total", "tenant")},
          "other: everybody without an entry in --tenants.", is_stacked=True),
    Panel("Refused for a tenant's own bound", "ops",
          {"{{tenant}} {{bound}}": rate_by("attn_tenant_refused_total", "tenant, bound")}),
    Panel("KV bytes, by tenant", "bytes", {"{{tenant}}": sum_by("attn_tenant_kv_bytes", "tenant")}, is_stacked=True),
    Panel("Sessions, by tenant", "short", {"{{tenant}}": sum_by("attn_tenant_sessions", "tenant")}, is_stacked=True),
    Panel("Queue, by tenant", "short", {"{{tenant}}": sum_by("attn_tenant_queue_depth", "tenant")}, is_stacked=True),
    Panel("Bytes in flight, by tenant", "bytes", {"{{tenant}}": sum_by("attn_tenant_inflight_bytes", "tenant")},
          is_stacked=True),
]

ACCESS = [
    Panel("Turned away for their credentials", "ops",
          {"{{port}} {{code}}": f"sum by (port, code) (rate(attn_access_denied_total{{{HERE}}}[$__rate_interval]))"}),
    Panel("Certificate is good for", "s",
          {"{{instance}}": f"(attn_tls_certificate_expiry_timestamp_seconds{{{HERE}}} > 0) - time()"}),
    Panel("Credential files read again", "short",
          {"{{files}} {{outcome}}": "sum by (files, outcome) (increase("
                                    f"attn_credential_reloads_total{{{HERE}}}[$__rate_interval]))"}),
]

ROWS = {"Calls": RED, "Batching": BATCHING, "KV memory": KV_MEMORY, "Layers": LAYERS,
        "Saturation": SATURATION, "Tenants": TENANTS, "Access": ACCESS}


def targets(panel: Panel) -> list[Json]:
    """The queries of a panel."""
    return [
        {"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend,
         **({"format": "heatmap"} if panel.is_heatmap else {})}
        for i, (legend, expr) in enumerate(panel.queries.items())
    ]


def field_config(panel: Panel) -> Json:
    """Unit, line width, stacking and the line at the limit."""
    custom: Json = {"lineWidth": 1, "fillOpacity": 20 if panel.is_stacked else 0,
                    "stacking": {"mode": "normal" if panel.is_stacked else "none"}}
    defaults: Json = {"unit": panel.unit, "min": 0, "custom": custom}
    if panel.limit is not None:
        custom["thresholdsStyle"] = {"mode": "line"}
        defaults["thresholds"] = {"mode": "absolute", "steps": [
            {"color": "green", "value": None}, {"color": "red", "value": panel.limit}]}
    return {"defaults": defaults, "overrides": []}


def panel_json(panel: Panel, number: int, position: Json) -> Json:
    """A panel as Grafana keeps it."""
    return {
        "id": number, "title": panel.title, "description": panel.description, "gridPos": position,
        "type": "heatmap" if panel.is_heatmap else "timeseries", "datasource": DATASOURCE,
        "fieldConfig": field_config(panel), "targets": targets(panel),
        "options": {} if panel.is_heatmap else {
            "legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
    }


def panels() -> list[Json]:
    """All rows and their panels, three beside each other."""
    made: list[Json] = []
    y = 0
    for title, row in ROWS.items():
        made.append({"id": len(made) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                     "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}})
        y += 1
        for i, panel in enumerate(row):
            position = {"x": i * WIDTH % COLUMNS, "y": y + i * WIDTH // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT}
            made.append(panel_json(panel, len(made) + 1, position))
        y += (len(row) * WIDTH + COLUMNS - 1) // COLUMNS * HEIGHT
    return made


def variable(name: str, query: str, **more: object) -> Json:
    """A variable that lists the values of a label."""
    return {"name": name, "type": "query", "datasource": DATASOURCE, "refresh": 2, "sort": 1,
            "definition": query, "query": {"query": query, "refId": name}, **more}


def annotation(name: str, expr: str, color: str, **more: object) -> Json:
    """Lines across all panels at what `expr` finds."""
    return {"name": name, "datasource": DATASOURCE, "enable": True, "iconColor": color, "expr": expr,
            "titleFormat": name + " {{instance}}", "step": "15s", **more}


def dashboard() -> Json:
    """All of it. No uid: Grafana gives one, and two imports do not collide."""
    many = {"includeAll": True, "multi": True, "current": {"text": "All", "value": "$__all"}}
    return {
        "title": "attnserve", "tags": ["attnserve"], "schemaVersion": 39, "editable": True, "refresh": "15s",
        "timezone": "browser", "time": {"from": "now-1h", "to": "now"}, "graphTooltip": 1,
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
            variable("job", "label_values(attn_build_info, job)", **many),
            variable("instance", 'label_values(attn_build_info{job=~"$job"}, instance)', **many)]},
        "annotations": {"list": [
            annotation("Start of", f"process_start_time_seconds{{{HERE}}} * 1000", "red", useValueForTime=True),
            annotation("Draining", f"attn_draining{{{HERE}}} == 1", "orange")]},
        "panels": panels(),
    }


def main() -> int:
    """The exit code."""
    path = pathlib.Path(__file__).with_name("dashboard.json")
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        is_same = path.exists() and path.read_text() == text
        print(f"{path.name} is {'' if is_same else 'not '}what {pathlib.Path(__file__).name} writes")
        return 0 if is_same else 1
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

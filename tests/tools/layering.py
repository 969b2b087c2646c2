#!/usr/bin/env python3
"""Enforces the edges between folders (README.md of core, server and client).

  layering.py              checks the repository
  layering.py --self-test  proves on a made-up tree that each rule catches what
                           it forbids and lets pass what it allows

An include is judged by its text alone: an include of ours names a path from the
root, so its first folders say which part it belongs to.
"""

import fnmatch
import pathlib
import re
import sys
import tempfile

import repository

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# Libraries without a folder of their own, which some write in quotes.
QUOTED_LIBRARIES = ("dnnl", "civetweb", "CivetServer")

# Which core folders a core folder may include, itself apart.
LEAVES = {"base"}
MIDDLE = LEAVES | {"memory", "metrics"}
UPPER = MIDDLE | {"tensor"}
CORE_EDGES = {
    "base": set(),
    "memory": LEAVES,
    "metrics": LEAVES,
    "tenant": LEAVES,
    "tensor": MIDDLE,
    "attention": UPPER,
    "batching": UPPER | {"tenant"},
    "checkpoint": UPPER | {"attention"},
    "projection": UPPER | {"attention"},
    "layer": UPPER | {"attention", "checkpoint", "projection"},
    "kv_cache": UPPER | {"tenant"},
    "snapshot": UPPER | {"tenant", "kv_cache"},
    "engine": UPPER | {"tenant", "attention", "batching", "kv_cache", "projection", "layer"},
}

# (who must not, what, except): shell patterns of files, includes and files.
FORBIDDEN = [
    ("core/*", "proto/*", ()),
    ("core/*", "server/*", ()),
    ("core/*", "client/*", ()),
    ("core/*", "tests/*", ()),
    ("server/*", "client/*", ()),
    # The Open Inference Protocol goes through what is there for attn.v1, never the other way.
    ("server/*", "server/inference/*", ("server/inference/*", "server/attention_server.cc")),
    ("server/*", "inference/*", ("server/inference/*",)),
    ("client/*", "inference/*", ()),
    ("server/*", "tests/*", ()),
    ("client/*", "core/*", ()),
    ("client/*", "server/*", ()),
    ("client/*", "tests/*", ()),
    *[("core/*", library, ()) for library in (
        "grpc/*", "grpcpp/*", "grpc++/*", "google/*", "attn/*", "inference/*",
        "prometheus/*", "civetweb*", "CivetServer*", "spdlog/*", "CLI/*")],
    *[(part, dnnl, ("core/attention/onednn_*", "core/projection/onednn_*"))
      for part in ("core/*", "server/*", "client/*")
      for dnnl in ("dnnl*", "oneapi/*")],
    *[(part, library, ("server/prometheus_*", "server/metric_*", "server/http_endpoint*"))
      for part in ("server/*", "client/*")
      for library in ("prometheus/*", "civetweb*", "CivetServer*")],
]


def includes(text):
    """(line number, bracket, path) of each #include."""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def core_folder(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "core" and len(parts) > 2 else None


def violation(path, bracket, included):
    """Why path may not include it, or None."""
    here, there = core_folder(path), core_folder(included)
    if here and here not in CORE_EDGES:
        return f"core/{here} has no place in the order of core's folders (tests/tools/layering.py)"
    if here and there and there != here and there not in CORE_EDGES[here]:
        return f"core/{here} must not include core/{there}"
    for who, what, exceptions in FORBIDDEN:
        if not fnmatch.fnmatch(path, who) or not fnmatch.fnmatch(included, what):
            continue
        if not any(fnmatch.fnmatch(path, allowed) for allowed in exceptions):
            return f"{who} must not include {what}" + (
                f" (only {', '.join(exceptions)} may)" if exceptions else "")
    if bracket == '"' and "/" not in included and not included.startswith(QUOTED_LIBRARIES):
        return "an include of ours names the path from the root"
    return None


def check(root):
    problems = []
    paths = [path for path in repository.files(*repository.CODE, root=root)
             if not path.startswith("tests/")]
    for path in paths:
        for number, bracket, included in includes((root / path).read_text()):
            reason = violation(path, bracket, included)
            if reason:
                problems.append(f"{path}:{number}: {included}: {reason}")
    return problems, len(paths)


# file, its include, allowed
SELF_TEST = [
    ("core/tensor/shape.cc", '"core/base/error.h"', True),
    ("core/tensor/shape.cc", '"core/attention/params.h"', False),
    ("core/base/clock.h", '"core/memory/buffer_pool.h"', False),
    ("core/memory/buffer_pool.cc", '"core/metrics/engine_metrics.h"', False),
    ("core/attention/merge.cc", '"core/batching/batch.h"', False),
    ("core/batching/batch.h", '"core/tenant/tenant.h"', True),
    ("core/attention/merge.cc", '"core/tenant/tenant.h"', False),
    ("core/tenant/tenant.h", '"core/metrics/engine_metrics.h"', False),
    ("core/batching/batch.h", '"core/attention/params.h"', False),
    ("core/kv_cache/session.h", '"core/attention/params.h"', False),
    ("core/attention/merge.cc", '"core/kv_cache/session.h"', False),
    ("core/snapshot/snapshot_reader.h", '"core/kv_cache/session.h"', True),
    ("core/kv_cache/session.h", '"core/snapshot/snapshot_reader.h"', False),
    ("core/engine/engine.cc", '"core/attention/params.h"', True),
    ("core/attention/merge.cc", '"core/engine/engine.h"', False),
    ("core/somewhere/new.h", '"core/base/error.h"', False),
    ("core/base/error.cc", "<grpcpp/grpcpp.h>", False),
    ("core/base/error.cc", "<google/protobuf/message.h>", False),
    ("core/base/error.cc", '"attn/v1/types.pb.h"', False),
    ("core/metrics/engine_metrics.h", "<prometheus/counter.h>", False),
    ("core/base/error.cc", "<spdlog/spdlog.h>", False),
    ("core/base/error.cc", "<CLI/CLI.hpp>", False),
    ("core/base/error.cc", "<vector>", True),
    ("core/engine/engine.cc", '"server/config.h"', False),
    ("core/attention/onednn_gemm.cc", "<dnnl.hpp>", True),
    ("core/attention/prefill_kernel.cc", "<dnnl.hpp>", False),
    ("core/attention/prefill_kernel.cc", '"oneapi/dnnl/dnnl.hpp"', False),
    ("server/main.cc", "<dnnl.h>", False),
    ("server/main.cc", "<prometheus/registry.h>", False),
    ("server/prometheus_metrics.cc", "<prometheus/registry.h>", True),
    ("server/metric_family.h", "<prometheus/family.h>", True),
    ("server/http_endpoint.cc", "<civetweb.h>", True),
    ("server/drain.cc", "<CivetServer.h>", False),
    ("server/main.cc", '"core/engine/engine.h"', True),
    ("server/main.cc", '"client/cpp/client.h"', False),
    ("server/attend_flow.cc", '"server/inference/model.h"', False),
    ("server/wire_decode.cc", '"inference/grpc_service.pb.h"', False),
    ("server/inference/model.cc", '"server/wire_codec.h"', True),
    ("server/inference/infer_call.cc", '"server/inference/model.h"', True),
    ("server/attention_server.cc", '"server/inference/inference_service.h"', True),
    ("client/cpp/client.cc", '"inference/grpc_service.pb.h"', False),
    ("client/cpp/client.cc", '"core/tensor/dtype.h"', False),
    ("client/cpp/client.cc", '"server/config.h"', False),
    ("client/cpp/client.cc", '"attn/v1/types.pb.h"', True),
    ("server/main.cc", '"config.h"', False),
    ("core/attention/onednn_gemm.cc", '"dnnl.hpp"', True),
    ("tests/server/main_test.cc", "<dnnl.hpp>", True),
]


def self_test():
    problems = []
    for path, include, allowed in SELF_TEST:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / path).parent.mkdir(parents=True)
            (root / path).write_text(f"#pragma once\n#include {include}\n")
            found, _ = check(root)
            if bool(found) == allowed:
                problems.append(f"{path} with {include}: {'refused' if found else 'let pass'}")
    return problems, len(SELF_TEST)


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(repository.report("layering self-test", *self_test()))
    sys.exit(repository.report("layering", *check(repository.ROOT)))

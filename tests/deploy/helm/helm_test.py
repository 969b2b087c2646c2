#!/usr/bin/env python3
"""The chart by a real helm: lint, goldens, refused values, the schemas of a cluster.

  helm_test.py BUILD_FOLDER [TEST...]

./run calls it with the Python that ./install makes. BUILD_FOLDER is where
tests/tools/image left its images, whose bills of materials are checked if they are there.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import compose_spec
import kubernetes_validate
import yaml

import chart
import manifest
import render

TOOLS = chart.ROOT / "build/deploy-tools"
HELM = str(TOOLS / "bin/helm")
CLUSTERS = ("1.28", "1.31", "1.35")
OPERATOR = "monitoring.coreos.com/v1"
BUILD = pathlib.Path()
# Values that mean nothing, and a word of what helm says to each.
REFUSED = {
    "memry=8Gi": "additional properties 'memry' not allowed",
    "cpus=1.5": "got string, want integer",
    "cpus=0": "minimum: got 0, want 1",
    "memory=8GB": "does not match pattern",
    "memory=4Gi": "4096Mi less 2560Mi for calls, 2560Mi for gRPC, 0Mi for layers and 512Mi leave -1536Mi",
    "memory=8Gi,layers.claimName=x": "8192Mi for layers and 512Mi leave -5632Mi: raise memory, or lower",
    "kvMemory=16GiB": "must be at most what memory leaves; got 16384Mi, and 16384Mi less 0Mi for layers",
    "kvMemory=8GiB,layers.claimName=x": "8192Mi for layers and 512Mi leave 7680Mi",
    "layers.claimName=x,layers.volume.nfs.path=/y": 'must have claimName or volume; got both, "x" and nfs',
    "layers.volume.nfs.path=/y,layers.volume.name=z": "maxProperties: got 2, want 1",
    "layers.load=none": "must have claimName or volume where load, path or loading",
    "layers.path=x": "must have claimName or volume where load, path or loading",
    "layers.loading=true": "must have claimName or volume where load, path or loading",
    "layers.claimName=x,layers.load=none": "layers.loading: must be true where layers.load is none",
    "layers.claimName=x,layers.load=qwen/0": "oneOf",
    "layers.claimName=x,layers.load={qwen}": "does not match pattern",
    "layers.claimName=x,layers.load={a/0,a/0}": "are equal",
    "layers.claimName=x,layers.path=a/../b": "'not' failed",
    "layers.claimName=x,layers.path=/a": "does not match pattern",
    "layers.weights=f8": "value must be one of",
    "settings.layers=/models": "'layers'",
    "settings.max-layer-bytes=1GiB": "'max-layer-bytes'",
    "settings.kv-memory=1GiB": "'kv-memory'",
    "settings.drain-delay=5q": "does not match pattern",
    "settings.max-queue-bytes=1000B": "does not match pattern",
    "tls.enabled=true": "minLength: got 0, want 1",
    "autoscaling.enabled=true,autoscaling.minReplicas=9,autoscaling.maxReplicas=3": "must be at most maxReplicas; got 9 and 3",
    "monitoring.serviceMonitor.enabled=true,tokens.secretName=x": "must name a secret where monitoring",
    "haproxy.enabled=true,tls.enabled=true,tls.secretName=x,tls.clientCa=true": "must be false where tls.clientCa is true",
}


def operator_problems(objects: list[manifest.Object]) -> str:
    """What the Prometheus operator's schemas have against these."""
    done = subprocess.run(["node", str(chart.HERE / "operator_schemas.mjs"), str(TOOLS)], text=True,
                          capture_output=True, input="\n".join(map(json.dumps, objects)))
    return done.stdout + done.stderr if done.returncode else ""


class HelmTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls) -> None:
        cls.rendered = {name: chart.render(HELM, name) for name in chart.names()}
        cls.manifests = {name: manifest.Manifests.parse(text) for name, text in cls.rendered.items()}

    def test_lint_finds_nothing(self) -> None:
        for name in chart.names():
            done = subprocess.run([HELM, "lint", "--strict", str(chart.CHART), "--values",
                                   str(chart.HERE / "values" / f"{name}.yaml")], text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_goldens_are_what_the_chart_renders(self) -> None:
        for name in chart.names():
            self.assertEqual(render.difference(HELM, name), "", "tests/deploy/helm/render.py --write")

    def test_values_that_mean_nothing_are_refused(self) -> None:
        for values, words in REFUSED.items():
            done = chart.helm_template(HELM, "default", "--set", values)
            self.assertNotEqual(done.returncode, 0, values)
            self.assertIn(words, done.stderr, values)

    def test_models_come_from_any_volume(self) -> None:
        source = {"image": {"reference": "models:1", "pullPolicy": "Always"}}
        done = chart.helm_template(HELM, "default", "--set-json", f"layers.volume={json.dumps(source)}")
        manifests = manifest.Manifests.parse(done.stdout)
        self.assertEqual(manifests.server_pod()["volumes"], [{"name": "models", **source}], done.stderr)
        kubernetes_validate.validate(manifests.server(), CLUSTERS[-1], strict=True)
        path = manifests.server_container()["volumeMounts"][0]["mountPath"]
        self.assertIn(f"--layers={path}", manifests.server_args())

    def test_clusters_know_every_object(self) -> None:
        for name, manifests in self.manifests.items():
            for version in CLUSTERS:
                # unhealthyPodEvictionPolicy and sleep are newer than the oldest.
                text = self.rendered[name] if name == "small" or version != "1.28" else ""
                for each in manifests.objects if text else []:
                    if each["apiVersion"] != OPERATOR:
                        with self.subTest(golden=name, cluster=version, object=each["metadata"]["name"]):
                            kubernetes_validate.validate(each, version, strict=True)

    def test_the_schemas_refuse_what_is_wrong(self) -> None:
        """Else the test above proved nothing."""
        server = json.loads(json.dumps(self.manifests["default"].server()))
        server["spec"]["podManagementPolcy"] = "Parallel"
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(server, "1.35", strict=True)
        (monitor,) = self.manifests["autoscaled"].of_kind("ServiceMonitor")
        monitor = json.loads(json.dumps(monitor))
        monitor["spec"]["endpoints"][0]["interval"] = "often"
        self.assertIn("interval", operator_problems([monitor]))

    def test_the_prometheus_operator_knows_every_object(self) -> None:
        found = [each for manifests in self.manifests.values() for each in manifests.objects
                 if each["apiVersion"] == OPERATOR]
        self.assertEqual({each["kind"] for each in found}, {"ServiceMonitor", "PrometheusRule"})
        self.assertEqual(operator_problems(found), "")

    def test_rules_and_dashboard_are_those_of_deploy(self) -> None:
        (rule,) = self.manifests["autoscaled"].of_kind("PrometheusRule")
        files = [yaml.safe_load((chart.ROOT / f"deploy/prometheus/{name}.yaml").read_text())
                 for name in ("rules", "alerts")]
        self.assertEqual(rule["spec"]["groups"], [group for file in files for group in file["groups"]])
        (dashboard,) = [each for each in self.manifests["autoscaled"].of_kind("ConfigMap")
                        if "attnserve.json" in each["data"]]
        self.assertEqual(json.loads(dashboard["data"]["attnserve.json"]),
                         json.loads((chart.ROOT / "deploy/grafana/dashboard.json").read_text()))

    def test_haproxy_takes_its_configuration(self) -> None:
        haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
        if not haproxy:
            self.skipTest("haproxy is not installed")
        (each,) = [one for one in self.manifests["proxied"].of_kind("ConfigMap") if "haproxy.cfg" in one["data"]]
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
            file.write(each["data"]["haproxy.cfg"])
            file.flush()
            done = subprocess.run([haproxy, "-c", "-f", file.name], text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_package_holds_what_it_links(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([HELM, "package", str(chart.CHART), "--destination", folder], check=True, capture_output=True)
            (package,) = pathlib.Path(folder).glob("attnserve-*.tgz")
            done = subprocess.run([HELM, "template", chart.RELEASE, str(package), "--namespace", chart.NAMESPACE,
                                   "--kube-version", chart.KUBE_VERSION, "--values",
                                   str(chart.HERE / "values/autoscaled.yaml")], text=True, capture_output=True)
        self.assertEqual(done.stdout, self.rendered["autoscaled"], done.stderr)

    def notes(self, *more: str) -> str:
        done = subprocess.run([HELM, "install", chart.RELEASE, str(chart.CHART), "--dry-run=client", "--namespace",
                               chart.NAMESPACE, *more], text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split("NOTES:")[1]

    def test_notes_name_what_is_there(self) -> None:
        notes = self.notes()
        self.assertNotIn("layer", notes)
        with_layers = self.notes("--values", str(chart.HERE / "values/layers.yaml"))
        self.assertIn("up to 4096 MiB for weights of layers", with_layers)
        self.assertIn("Whoever may call may load layers", with_layers)
        for words in ("attn-attnserve.inference:8001", "10752 MiB", "has 45 s: 5 before"):
            self.assertIn(words, notes)


class OtherSchemasTest(unittest.TestCase):

    def test_the_compose_files_are_such(self) -> None:
        # The library knows no YAML merges, which the specification allows: merged here.
        file = yaml.safe_load((chart.ROOT / "deploy/compose.yaml").read_text())
        read = compose_spec.PyCompose.from_yaml(yaml.safe_dump(file))
        self.assertEqual(set(read.service_names()), set(file["services"]))
        file["services"]["attnserve"]["stop_grace_perod"] = "1s"
        with self.assertRaises(ValueError):
            compose_spec.PyCompose.from_yaml(yaml.safe_dump(file))
        # Nor variables.
        layers = re.sub(r"\$\{MODELS:[^}]*\}", "/models", (chart.ROOT / "deploy/compose.layers.yaml").read_text())
        self.assertEqual(set(compose_spec.PyCompose.from_yaml(layers).service_names()), {"attnserve"})

    def test_bills_of_materials_are_valid(self) -> None:
        found = sorted(BUILD.glob("tools/image/*.spdx.json"))
        if not found:
            self.skipTest("no image was built here (tests/run tools)")
        for path in found:
            done = subprocess.run([str(TOOLS / "venv/bin/pyspdxtools"), "-i", str(path)], text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr[-2000:])


if __name__ == "__main__":
    BUILD = pathlib.Path(sys.argv.pop(1))
    unittest.main()

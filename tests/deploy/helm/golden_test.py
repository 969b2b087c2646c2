#!/usr/bin/env python3
"""The chart's goldens against the real server and against themselves; needs no helm.

  golden_test.py ATTNSERVE [TEST...]
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import chart

sys.path[:0] = [str(chart.ROOT / "tests/tools"), str(chart.ROOT / "tests/deploy")]
import repository
from zero_model import ZeroModel

try:
    import manifest
except ImportError:
    print("skipped: this Python has no yaml (Debian: python3-yaml)")
    sys.exit(77)

SERVER = ""
MONITOR_TOKEN = "m" * 32
MAKE_LAYER = chart.ROOT / "client/examples/river_bank/make_layer.py"
READY_WITHIN_SECONDS = 60
# The restricted pod security standard, and what we ask for beyond it.
CONTAINER = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
# Flags that name files of secrets.
SECURE = ("--tls-certificate", "--tls-key", "--tls-client-ca", "--token-file", "--tenants")
LINKS = {"rules.yaml": "deploy/prometheus/rules.yaml", "alerts.yaml": "deploy/prometheus/alerts.yaml",
         "dashboard.json": "deploy/grafana/dashboard.json", "haproxy.cfg": "deploy/haproxy/haproxy.cfg"}


def ask(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The server with these flags and this environment alone."""
    return subprocess.run([SERVER, *arguments], text=True, capture_output=True, env=environment)


def effective(args: list[str]) -> dict[str, str]:
    """All settings, as the server understands these flags."""
    done = ask(*args, "--print-config")
    if done.returncode:
        raise AssertionError(f"{args}: {done.stdout}{done.stderr}")
    return dict(re.findall(r"^([a-z-]+)\s*=\s*\"?([^\"\n]*?)\"?\s*$", done.stdout, re.MULTILINE))


def promtool_problems(query: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"groups": [{"name": "of_the_test", "rules": [{"record": "of_the_test", "expr": query}]}]}, file)
        file.flush()
        done = subprocess.run([repository.require("promtool"), "check", "rules", file.name],
                              text=True, capture_output=True)
    return done.stdout + done.stderr if done.returncode else ""


@contextlib.contextmanager
def serving(args: list[str], program: str = "", **process: Any) -> Iterator[str]:
    """HOST:PORT of HTTP of a server with these flags, on other addresses. `process`: of
    subprocess.Popen."""
    own = {"--grpc-address": "127.0.0.1:0", "--http-address": "127.0.0.1:0", "--drain-delay": "0s",
           "--log-format": "text"}
    kept = [arg for arg in args if arg.split("=")[0] not in own]
    command = [program or SERVER, *kept, *(f"{name}={value}" for name, value in own.items())]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={},
                          **process) as server:
        try:
            yield next(found.group(1) for line in server.stdout
                       if (found := re.search(r"serving .*http=(\S+)", line)))
        finally:
            server.terminate()


def read(url: str, token: str = "") -> tuple[int, str]:
    """Status and text."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def make_secrets(folder: pathlib.Path) -> None:
    """What the secrets of values/secure.yaml hold, in folders as they are mounted."""
    for name in ("tls", "tokens", "tenants"):
        (folder / name).mkdir()
    tls = folder / "tls"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-keyout", str(tls / "tls.key"),
                    "-out", str(tls / "tls.crt")], check=True, capture_output=True)
    shutil.copy(tls / "tls.crt", tls / "ca.crt")
    (folder / "tokens/tokens").write_text(f"prometheus {MONITOR_TOKEN} monitor\nsearch {'s' * 32} client\n")
    (folder / "tenants/tenants").write_text("search weight=4 max-sessions=100\n")


def make_models(folder: pathlib.Path, name: str, group: int) -> None:
    """A model of one layer that root and this group alone may read; folder's files as well."""
    subprocess.run([sys.executable, str(MAKE_LAYER), str(folder / name)], check=True)
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 0, group)
            path.chmod(0o750 if path.is_dir() else 0o640)


def identity(security: manifest.Object) -> dict[str, Any]:
    """Who a process of a pod is, for subprocess.Popen; only root can be another."""
    groups = [security["fsGroup"], *security.get("supplementalGroups", [])]
    who = {"user": security["runAsUser"], "group": security["runAsGroup"], "extra_groups": groups}
    return who if os.geteuid() == 0 else {}


def statuses_until_ready(address: str, paths: list[str]) -> Iterator[list[int]]:
    """What a server that starts answers to each path, again and again."""
    deadline, found = time.monotonic() + READY_WITHIN_SECONDS, [0]
    while found[-1] != 200:
        if time.monotonic() > deadline:
            raise AssertionError(f"{paths[-1]} answers {found[-1]} after {READY_WITHIN_SECONDS} s")
        try:
            found = [read(f"http://{address}{path}")[0] for path in paths]
        except OSError:  # Nobody listens yet.
            continue
        yield found
        time.sleep(0.01)


def for_each_golden(test: Callable[..., None]) -> Callable[[GoldenTest], None]:
    """A test of one golden, tried with every one of them."""
    @functools.wraps(test)
    def tried(self: GoldenTest) -> None:
        for name, manifests in self.goldens.items():
            with self.subTest(golden=name):
                test(self, name, manifests)
    return tried


class GoldenTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls) -> None:
        cls.goldens = {name: manifest.Manifests.parse(chart.golden(name).read_text()) for name in chart.names()}
        cls.help = ask("--help").stdout

    def plain_args(self, manifests: manifest.Manifests) -> list[str]:
        """Without those that name a secret's files, which are not here."""
        secret = [arg for arg in manifests.server_args() if arg.startswith(SECURE)]
        return [arg for arg in manifests.server_args() if arg not in secret]

    def test_goldens_are_of_the_chart_as_it_is(self) -> None:
        self.assertEqual(chart.STAMP.read_text().strip(), chart.digest(),
                         "the chart or a golden changed: tests/deploy/helm/render.py --write")

    def test_what_the_chart_takes_in_is_linked_and_no_copy(self) -> None:
        for name, target in LINKS.items():
            link = chart.CHART / "files" / name
            self.assertTrue(link.is_symlink(), link)
            self.assertEqual(link.resolve(), chart.ROOT / target)
            self.assertTrue(link.exists(), f"{target} is not there")

    @for_each_golden
    def test_pods_are_restricted(self, _: str, manifests: manifest.Manifests) -> None:
        for name, _, pod in manifests.pods():
            self.assertGreater(pod["securityContext"]["runAsUser"], 0, name)
            self.assertTrue(pod["securityContext"]["runAsNonRoot"], name)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"}, name)
            self.assertEqual((pod["automountServiceAccountToken"], pod["enableServiceLinks"]), (False, False))
            for key in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(key, pod)
            for volume in pod.get("volumes", []):
                self.assertTrue({"secret", "configMap", "persistentVolumeClaim"} & set(volume), volume)
            for container in pod["containers"]:
                self.assertEqual(container["securityContext"], CONTAINER, name)

    @for_each_golden
    def test_pods_are_guaranteed_whole_cpus(self, _: str, manifests: manifest.Manifests) -> None:
        for name, _, pod in manifests.pods():
            for container in pod["containers"]:
                resources = container["resources"]
                self.assertEqual(resources["requests"], resources["limits"], name)
                self.assertIsInstance(resources["limits"]["cpu"], int)
                self.assertGreater(manifest.mebibytes(resources["limits"]["memory"]), 0)

    def test_service_links_would_stop_the_server(self) -> None:
        """Why enableServiceLinks is false: what a service called attnserve adds to the environment."""
        self.assertNotEqual(ask("--check-config", ATTNSERVE_PORT="tcp://10.0.0.1:8001").returncode, 0)

    @for_each_golden
    def test_the_server_takes_every_flag(self, _: str, manifests: manifest.Manifests) -> None:
        done = ask(*self.plain_args(manifests), "--check-config")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_secrets_are_used_by_flags(self) -> None:
        used = {arg.split("=")[0] for arg in self.goldens["secure"].server_args()}
        self.assertLessEqual(set(SECURE), used)

    def test_probes_need_no_credentials_and_metrics_do(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            make_secrets(pathlib.Path(folder))
            args = [arg.replace("/etc/attnserve", folder) for arg in self.goldens["secure"].server_args()]
            with serving(args) as address:
                for path in ("/livez", "/readyz"):
                    self.assertEqual(read(f"http://{address}{path}")[0], 200)
                self.assertEqual(read(f"http://{address}/metrics")[0], 401)
                self.assertEqual(read(f"http://{address}/metrics", MONITOR_TOKEN)[0], 200)

    def test_the_pods_user_reads_what_its_groups_may_read(self) -> None:
        manifests = self.goldens["layers"]
        (mount,) = manifests.server_container()["volumeMounts"]
        values = manifest.yaml.safe_load((chart.HERE / "values/layers.yaml").read_text())
        (group,) = values["layers"]["supplementalGroups"]
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder).chmod(0o755)
            program = shutil.copy(SERVER, folder)
            args = [arg.replace(mount["mountPath"], f"{folder}/volume") for arg in manifests.server_args()]
            (layers,) = [arg.partition("=")[2] for arg in args if arg.startswith("--layers=")]
            make_models(pathlib.Path(layers), "encoder", group)
            with serving(args, program, **identity(manifests.server_pod()["securityContext"])) as address:
                self.assertIn("\nattn_layers 1\n", read(f"http://{address}/metrics")[1])
        self.assertTrue(mount["readOnly"])

    def test_a_start_may_take_as_long_as_loading_does(self) -> None:
        """The startup probe is answered meanwhile, and the pod gets no calls."""
        container = self.goldens["layers"].server_container()
        paths = [container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")]
        address = repository.free_address()
        with tempfile.TemporaryDirectory() as folder:
            ZeroModel(hidden=4096, q_heads=32, kv_heads=8, head_dim=128, layers=4).write(pathlib.Path(folder) / "large")
            command = [SERVER, f"--layers={folder}", "--layer-weights=int8", f"--http-address={address}",
                       "--grpc-address=127.0.0.1:0"]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}) as server:
                try:
                    seen = list(statuses_until_ready(address, paths))
                finally:
                    server.kill()
        self.assertEqual(seen[0], [200, 200, 503])
        self.assertEqual({status for *alive, _ in seen for status in alive}, {200})

    @for_each_golden
    def test_grace_is_longer_than_all_that_ends_a_server(self, name: str, manifests: manifest.Manifests) -> None:
        pod, settings = manifests.server_pod(), effective(self.plain_args(manifests))
        pre_stop = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        drain = sum(manifest.seconds(settings[key]) for key in ("drain-delay", "drain-timeout"))
        self.assertGreater(pod["terminationGracePeriodSeconds"], pre_stop + drain)
        self.assertEqual(pre_stop > 0, name not in chart.KUBE_VERSIONS)

    @for_each_golden
    def test_readiness_is_seen_within_the_drain_delay(self, name: str, manifests: manifest.Manifests) -> None:
        probe = manifests.server_container()["readinessProbe"]
        delay = manifest.seconds(effective(self.plain_args(manifests))["drain-delay"])
        if name != "small":  # One server, for which nobody looks away.
            self.assertLessEqual(probe["periodSeconds"] * probe["failureThreshold"], delay)

    @for_each_golden
    def test_memory_holds_sessions_and_calls(self, name: str, manifests: manifest.Manifests) -> None:
        settings = effective(self.plain_args(manifests))
        size = {key: manifest.mebibytes(settings[key]) for key in
                ("kv-memory", "grpc-memory", "max-queue-bytes", "max-request-bytes", "max-reply-bytes")}
        limit = manifest.mebibytes(manifests.server_container()["resources"]["limits"]["memory"])
        calls = 1.5 * size["max-queue-bytes"] + 2 * (size["max-request-bytes"] + size["max-reply-bytes"])
        layers = manifest.mebibytes(settings["max-layer-bytes"]) if settings["layers"] != "off" else 0
        used = size["kv-memory"] + calls + size["grpc-memory"] + layers + 512
        self.assertLessEqual(used, limit)
        if name != "small":  # Whose kvMemory is given; else nothing is left unused.
            self.assertEqual(used, limit)

    @for_each_golden
    def test_selectors_find_pods_of_the_release(self, _: str, manifests: manifest.Manifests) -> None:
        pods = [labels for _, labels, _ in manifests.pods()]
        for each in manifests.objects:
            for wanted in manifest.selectors(each):
                found = [labels for labels in pods if wanted.items() <= labels.items()]
                self.assertEqual(len(found), 1, f"{each['kind']} {each['metadata']['name']}")

    @for_each_golden
    def test_names_that_objects_use_of_others_exist(self, _: str, manifests: manifest.Manifests) -> None:
        have = {(each["kind"], each["metadata"]["name"]) for each in manifests.objects}
        self.assertIn(("Service", manifests.server()["spec"]["serviceName"]), have)
        for each in manifests.of_kind("HorizontalPodAutoscaler"):
            target = each["spec"]["scaleTargetRef"]
            self.assertIn((target["kind"], target["name"]), have)
            self.assertNotIn("replicas", manifests.server()["spec"])
        for _, _, pod in manifests.pods():
            self.assertIn(("ServiceAccount", pod["serviceAccountName"]), have)
        for each in manifests.of_kind("ServiceMonitor"):
            wanted = each["spec"]["selector"]["matchLabels"]
            found = [one for one in manifests.of_kind("Service")
                     if wanted.items() <= one["metadata"]["labels"].items()]
            self.assertEqual(len(found), 1, "each server is scraped once")

    def test_proxies_know_every_server(self) -> None:
        manifests = self.goldens["proxied"]
        name, count = manifests.server()["metadata"]["name"], manifests.server()["spec"]["replicas"]
        (configuration,) = [each for each in manifests.of_kind("ConfigMap") if "haproxy.cfg" in each["data"]]
        found = re.findall(r"^ *server (\S+) (\S+):8001 id (\d+)$", configuration["data"]["haproxy.cfg"], re.MULTILINE)
        self.assertEqual(found, [(f"{name}-{n}", f"{name}-{n}.{name}-headless", str(n + 1)) for n in range(count)])

    def test_versions_agree(self) -> None:
        version = re.search(r"project\(attnserve VERSION (\S+)", (chart.ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertIn(f'appVersion: "{version}"', (chart.CHART / "Chart.yaml").read_text())

    def test_settings_that_the_chart_keeps_to_itself_are_flags(self) -> None:
        schema = json.loads((chart.CHART / "values.schema.json").read_text())
        settings = schema["properties"]["settings"]
        for name in (*settings["propertyNames"]["not"]["enum"], *settings["required"]):
            self.assertRegex(self.help, rf"--{name}\b")

    def test_autoscaler_has_its_metric(self) -> None:
        """prometheus-adapter.yaml serves it, from series that a server has, by a query that parses."""
        (scaler,) = self.goldens["autoscaled"].of_kind("HorizontalPodAutoscaler")
        (metric,) = scaler["spec"]["metrics"]
        adapter = manifest.yaml.safe_load((chart.ROOT / "deploy/helm/prometheus-adapter.yaml").read_text())
        (rule,) = adapter["rules"]["custom"]
        self.assertEqual(metric["pods"]["metric"]["name"], rule["name"]["as"])
        query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod").replace("<<.LabelMatchers>>", 'namespace="a"')
        self.assertEqual(promtool_problems(query), "")
        with serving([]) as address:
            page = read(f"http://{address}/metrics")[1]
        for series in re.findall(r"attn_\w+", query + rule["seriesQuery"]):
            self.assertIn(f"\n{series}{{", page)

    @for_each_golden
    def test_probes_are_answered(self, name: str, manifests: manifest.Manifests) -> None:
        container = manifests.server_container()
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        settings = effective(self.plain_args(manifests))
        self.assertEqual(ports, {"grpc": int(settings["grpc-address"].rpartition(":")[2]),
                                 "http": int(settings["http-address"].rpartition(":")[2])})
        if name not in ("default", "small"):
            return  # The others differ in nothing that a probe sees.
        with serving(self.plain_args(manifests)) as address:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                get = container[probe]["httpGet"]
                self.assertEqual(get["port"], "http")
                self.assertEqual(read(f"http://{address}{get['path']}")[0], 200)


if __name__ == "__main__":
    SERVER = sys.argv.pop(1)
    if not pathlib.Path(SERVER).exists():
        print(f"skipped: {SERVER} is not built")
        sys.exit(77)
    unittest.main()

#!/usr/bin/env python3
"""deploy/compose.yaml and compose.layers.yaml against what they name: files, Dockerfile,
server, client, promtool.

  compose_test.py ATTNSERVE ATTNCTL [TEST...]

No container engine is needed: each service's command runs, shortened, on this machine.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests/tools"), str(ROOT / "tests/interop"), str(ROOT / "tests/deploy/helm")]
import repository
import server

try:
    import manifest  # For times and sizes, which are written alike.
    import yaml
except ImportError:
    print("skipped: this Python has no yaml (Debian: python3-yaml)")
    sys.exit(77)

DEPLOY = ROOT / "deploy"
MAKE_LAYER = ROOT / "client/examples/river_bank/make_layer.py"
ATTNSERVE = ATTNCTL = ""
# What a test cannot wait for.
SHORTER = {"--duration": "--duration=1s", "--steps": "--steps=8"}


def read(path: pathlib.Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


class ComposeTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls) -> None:
        cls.services: dict[str, Any] = read(DEPLOY / "compose.yaml")["services"]
        cls.volumes: dict[str, Any] = read(DEPLOY / "compose.yaml")["volumes"]

    def mounts(self, service: str) -> dict[str, str]:
        """Path in the container -> file or folder here, or volume."""
        return {mount.split(":")[1]: mount.split(":")[0] for mount in self.services[service]["volumes"]}

    def mounted(self, service: str, path: str) -> pathlib.Path:
        """The file here that the service sees at this path."""
        for target, source in self.mounts(service).items():
            if path == target or path.startswith(target + "/"):
                return DEPLOY / source / path[len(target) + 1:]
        raise AssertionError(f"{service} sees nothing at {path}")

    def test_every_file_and_volume_is_there(self) -> None:
        for service in self.services:
            for mount in self.services[service].get("volumes", []):
                source, _, mode = mount.split(":", 2) if mount.count(":") > 1 else (*mount.split(":"), "rw")
                if source.startswith("."):
                    self.assertTrue((DEPLOY / source).exists(), source)
                    self.assertEqual(mode, "ro", mount)
                else:
                    self.assertIn(source, self.volumes)

    def test_services_have_no_more_than_they_need(self) -> None:
        for name, service in self.services.items():
            # Of the others' images we know no more than that they run as users.
            self.assertEqual(service.get("read_only", False), "build" in service, name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertEqual(service["security_opt"], ["no-new-privileges:true"], name)
            self.assertFalse({"privileged", "cap_add", "network_mode", "pid", "ipc"} & set(service), name)
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name} listens on {port}")

    def test_our_images_are_targets_of_the_dockerfile(self) -> None:
        targets = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        built = [service for service in self.services.values() if "build" in service]
        self.assertEqual({service["build"]["target"] for service in built}, {"server", "client"})
        for service in built:
            self.assertIn(service["build"]["target"], targets)
            self.assertEqual((DEPLOY / service["build"]["context"]).resolve(), ROOT)
            self.assertEqual(service["user"], "65532:65532")

    def test_server_takes_its_flags_and_has_time_to_end(self) -> None:
        command = self.services["attnserve"]["command"]
        done = subprocess.run([ATTNSERVE, *command, "--check-config"], text=True, capture_output=True, env={})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        flags = dict(flag.split("=") for flag in command)
        self.assertGreater(manifest.seconds(self.services["attnserve"]["stop_grace_period"]),
                           manifest.seconds(flags["--drain-delay"]) + manifest.seconds(flags["--drain-timeout"]))

    def test_layers_are_those_of_the_mounted_folder(self) -> None:
        override = read(DEPLOY / "compose.layers.yaml")["services"]
        self.assertLessEqual(set(override), set(self.services))
        (mount,) = override["attnserve"]["volumes"]
        self.assertTrue(mount["read_only"])
        self.assertFalse(mount["bind"]["create_host_path"])
        environment = override["attnserve"]["environment"]
        self.assertEqual(environment, {"ATTNSERVE_LAYERS": mount["target"]})
        with tempfile.TemporaryDirectory() as models:
            subprocess.run([sys.executable, str(MAKE_LAYER), f"{models}/river_bank"], check=True)
            there = {name: value.replace(mount["target"], models) for name, value in environment.items()}
            with unittest.mock.patch.dict(os.environ, there), server.Server(ATTNSERVE) as one:
                one.address()
                log = "".join(one.log)
        self.assertIn("layer=river_bank/0", log)

    def test_loads_load_the_server(self) -> None:
        loads = [service for service in self.services.values() if service["image"] == "attnctl"]
        self.assertTrue(loads)
        # The class gives a drain delay of its own.
        flags = [flag for flag in self.services["attnserve"]["command"] if not flag.startswith("--drain-delay")]
        with server.Server(ATTNSERVE, *flags) as one:
            for load in loads:
                self.assertEqual(load["environment"]["ATTNCTL_ADDRESS"], "attnserve:8001")
                command = [SHORTER.get(word.split("=")[0], word) for word in load["command"]]
                done = subprocess.run([ATTNCTL, *command], text=True, capture_output=True,
                                      env={"ATTNCTL_ADDRESS": one.address()})
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(one.stop(), 0)

    def test_prometheus_takes_its_files(self) -> None:
        promtool = repository.require("promtool")
        with tempfile.TemporaryDirectory() as folder:
            for target in self.mounts("prometheus"):
                source = self.mounted("prometheus", target)
                if source.is_file():
                    shutil.copy(source, pathlib.Path(folder) / pathlib.Path(target).name)
            done = subprocess.run([promtool, "check", "config", f"{folder}/prometheus.yaml"],
                                  text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(len(re.findall(r"SUCCESS: [1-9][0-9]* rules found", done.stdout)), 2, done.stdout)

    def test_prometheus_scrapes_the_server_as_rules_expect(self) -> None:
        (flag,) = [one for one in self.services["prometheus"]["command"] if one.startswith("--config.file=")]
        ours = read(self.mounted("prometheus", flag.split("=")[1]))
        theirs = read(DEPLOY / "prometheus/prometheus.yaml")
        self.assertEqual(ours["rule_files"], theirs["rule_files"])
        (job,), (other,) = ours["scrape_configs"], theirs["scrape_configs"]
        self.assertEqual(job["job_name"], other["job_name"])
        (target,) = job["static_configs"][0]["targets"]
        self.assertEqual(target, "attnserve:8002")
        self.assertIn("attnserve", self.services)

    def test_grafana_finds_prometheus_and_the_dashboard(self) -> None:
        (source,) = read(DEPLOY / "compose/grafana/datasources/prometheus.yaml")["datasources"]
        self.assertEqual(source["url"], "http://prometheus:9090")
        self.assertTrue(source["isDefault"])
        (provider,) = read(DEPLOY / "compose/grafana/dashboards/attnserve.yaml")["providers"]
        home = self.services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        self.assertEqual(str(pathlib.PurePath(home).parent), provider["options"]["path"])
        self.assertEqual(self.mounted("grafana", home), DEPLOY / "grafana/dashboard.json")
        for folder in ("datasources", "dashboards"):
            self.assertIn(f"/etc/grafana/provisioning/{folder}", self.mounts("grafana"))


if __name__ == "__main__":
    ATTNSERVE, ATTNCTL = sys.argv.pop(1), sys.argv.pop(1)
    if not (pathlib.Path(ATTNSERVE).exists() and pathlib.Path(ATTNCTL).exists()):
        print(f"skipped: {ATTNSERVE} or {ATTNCTL} is not built")
        sys.exit(77)
    unittest.main()

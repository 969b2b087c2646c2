"""Facts of rendered Kubernetes manifests, as the cluster would see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator

import yaml

Object = dict[str, Any]


@dataclass
class Manifests:
    """What one `helm template` printed."""

    objects: list[Object]

    @staticmethod
    def parse(text: str) -> Manifests:
        return Manifests([document for document in yaml.safe_load_all(text) if document])

    def of_kind(self, *kinds: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] in kinds]

    def pods(self) -> Iterator[tuple[str, Object, Object]]:
        """Name, labels and spec of each pod, or of the template of pods."""
        for each in self.of_kind("StatefulSet", "Deployment"):
            template = each["spec"]["template"]
            yield each["metadata"]["name"], template["metadata"]["labels"], template["spec"]
        for each in self.of_kind("Pod"):
            yield each["metadata"]["name"], each["metadata"]["labels"], each["spec"]

    def server(self) -> Object:
        """The StatefulSet."""
        (only,) = self.of_kind("StatefulSet")
        return only

    def server_pod(self) -> Object:
        return self.server()["spec"]["template"]["spec"]

    def server_container(self) -> Object:
        return self.server_pod()["containers"][0]

    def server_args(self) -> list[str]:
        return self.server_container()["args"]


def selectors(each: Object) -> list[dict[str, str]]:
    """The labels by which an object finds pods of this release."""
    spec, kind = each.get("spec", {}), each["kind"]
    if kind == "Service":
        return [spec["selector"]]
    if kind == "NetworkPolicy":
        return [spec["podSelector"]["matchLabels"]]
    if kind in ("StatefulSet", "Deployment"):
        spread = spec["template"]["spec"].get("topologySpreadConstraints", [])
        return [spec["selector"]["matchLabels"], *(one["labelSelector"]["matchLabels"] for one in spread)]
    if kind == "PodDisruptionBudget":
        return [spec["selector"]["matchLabels"]]
    return []


def mebibytes(text: str) -> int:
    """16Gi, 512Mi, 256MiB, 1GiB."""
    number, unit = text.removesuffix("B")[:-2], text.removesuffix("B")[-2:]
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


def seconds(text: str) -> float:
    """5s, 1m, 500ms, 1h, 0s."""
    for unit, factor in (("ms", 0.001), ("us", 1e-6), ("s", 1), ("m", 60), ("h", 3600)):
        if text.endswith(unit):
            return int(text.removesuffix(unit)) * factor
    raise ValueError(f"no time: {text}")

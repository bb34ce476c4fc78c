"""The manifests of deploy/kubernetes as kustomize renders them, and what tests ask of them."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.settings import Settings

KUBERNETES: Final = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS: Final = ("single-cell", "two-cells", "autoscale")

Document = Mapping[str, Any]


@functools.cache
def rendered(overlay: str) -> tuple[Document, ...]:
    """The documents of an overlay, rendered by the kustomize of kubectl, which asks no cluster."""
    kubectl = Path(sys.executable).parent / "kubectl"
    command = [str(kubectl), "kustomize", str(KUBERNETES / "overlays" / overlay)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(yaml.safe_load_all(output))


def of_kind(overlay: str, *kinds: str) -> list[Document]:
    return [document for document in rendered(overlay) if document["kind"] in kinds]


def name_of(document: Document) -> str:
    return str(document["metadata"]["name"])


@dataclass(frozen=True)
class Container:
    """A container in the template of a StatefulSet or Deployment of an overlay."""

    overlay: str
    workload: Document
    spec: Document

    @property
    def template(self) -> Document:
        template: Document = self.workload["spec"]["template"]
        return template

    @property
    def cell(self) -> str:
        return str(self.template["metadata"]["labels"]["cell"])

    @property
    def command(self) -> list[str]:
        return [*self.spec["command"], *self.spec["args"]]

    @property
    def worker_type(self) -> str | None:
        """None: it is a gateway."""
        return self.command[2] if self.command[1] == "worker" else None

    @property
    def settings(self) -> dict[str, str]:
        """The variables that it gets from ConfigMaps, and its own."""
        maps = {name_of(document): document["data"] for document in of_kind(self.overlay, "ConfigMap")}
        names = [source["configMapRef"]["name"] for source in self.spec["envFrom"] if "configMapRef" in source]
        own = {variable["name"]: variable["value"] for variable in self.spec.get("env", ())}
        return {**{key: value for name in names for key, value in maps[name].items()}, **own}

    @property
    def parsed(self) -> Settings:
        """The same, as settings. Raises ValueError for a value that is not valid."""
        return Settings.model_validate(
            {key.removeprefix("SLUICE_").lower(): value for key, value in self.settings.items()}
        )

    @property
    def has_temp_volume(self) -> bool:
        claims = {claim["metadata"]["name"] for claim in self.workload["spec"].get("volumeClaimTemplates", ())}
        claims |= {volume["name"] for volume in self.template["spec"]["volumes"] if "persistentVolumeClaim" in volume}
        return any(mount["name"] in claims for mount in self.spec["volumeMounts"])

    def __str__(self) -> str:
        return f"{self.overlay}/{name_of(self.workload)}/{self.spec['name']}"


def containers(overlay: str) -> Iterator[Container]:
    for workload in of_kind(overlay, "StatefulSet", "Deployment"):
        for spec in workload["spec"]["template"]["spec"]["containers"]:
            yield Container(overlay, workload, spec)


def grouped(overlay: str) -> dict[str, list[Container]]:
    """By cell."""
    cells: dict[str, list[Container]] = {}
    for container in containers(overlay):
        cells.setdefault(container.cell, []).append(container)
    return cells


def selects(selector: Document, workload: Document) -> bool:
    """Whether a selector with `matchLabels` selects the pods of a workload."""
    labels = workload["spec"]["template"]["metadata"]["labels"]
    return set(selector["matchLabels"].items()) <= set(labels.items())


def quantity_bytes(text: str) -> int:
    """A quantity of memory or storage, such as `512Mi`."""
    units = {"Mi": 1024**2, "Gi": 1024**3}
    return int(text[:-2]) * units[text[-2:]]

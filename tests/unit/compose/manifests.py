"""The manifests for Kubernetes: as files, and as `kubectl kustomize` renders them."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[3] / "compose" / "kubernetes"
#: The base, and what is put over it.
RENDERED = ("base", "gpu", "next")
#: What the base is made of.
WHOLE = ("base", "worker")
KUSTOMIZATIONS = sorted(path.parent for path in FOLDER.rglob("kustomization.yaml"))
#: What has pods, and is written here.
WORKLOADS = ("Deployment", "StatefulSet")

Manifest = dict[str, Any]


@cache
def files() -> list[Manifest]:
    """The base as it is written, which Kubernetes would take, but for the settings and names."""
    return [
        manifest
        for folder in WHOLE
        for path in sorted((FOLDER / folder).glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for manifest in yaml.safe_load_all(path.read_text("utf-8"))
    ]


@cache
def rendered(name: str) -> list[Manifest]:
    """What `kubectl apply --kustomize` would send; skips where there is no kubectl.

    A continuous integration that could not check this should not look as if it had.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None and os.environ.get("CI") != "true":
        pytest.skip(f"kubectl is not installed: kubectl kustomize {FOLDER / name}")
    assert kubectl is not None, "kubectl is not installed"
    said = subprocess.run(
        [kubectl, "kustomize", FOLDER / name], check=True, capture_output=True, text=True
    )
    return list(yaml.safe_load_all(said.stdout))


def manifests(source: str) -> list[Manifest]:
    """The manifests of one of :data:`RENDERED`, or ``files``."""
    return files() if source == "files" else rendered(source)


def of_kind(source: str, *kinds: str) -> list[Manifest]:
    """Those of some kinds."""
    return [manifest for manifest in manifests(source) if manifest["kind"] in kinds]


def pods(source: str) -> dict[str, Manifest]:
    """The specification of each workload's pods, with their labels, by its name."""
    return {
        workload["metadata"]["name"]: workload["spec"]["template"]["spec"]
        | {"labels": workload["spec"]["template"]["metadata"]["labels"]}
        for workload in of_kind(source, *WORKLOADS)
    }


def strict(schema: Manifest) -> Manifest:
    """A schema that takes no field that it does not name, as `kubectl apply` does not."""
    tightened = {
        key: strict(value)
        if isinstance(value, dict)
        else [strict(one) if isinstance(one, dict) else one for one in value]
        if isinstance(value, list)
        else value
        for key, value in schema.items()
    }
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        tightened["additionalProperties"] = False
    return tightened

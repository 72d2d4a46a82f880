"""Reads the manifests for Kubernetes from their files, or rendered by `kubectl kustomize`."""

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
#: The folders that are rendered: the base, and the overlays.
RENDERED = ("base", "gpu", "next")
#: The folders of the base's files.
WHOLE = ("base", "worker")
KUSTOMIZATIONS = sorted(path.parent for path in FOLDER.rglob("kustomization.yaml"))
#: The kinds of manifests that have pods.
WORKLOADS = ("Deployment", "StatefulSet")

Manifest = dict[str, Any]


@cache
def files() -> list[Manifest]:
    """Returns the base's manifests as written, without kustomize's settings and names."""
    return [
        manifest
        for folder in WHOLE
        for path in sorted((FOLDER / folder).glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for manifest in yaml.safe_load_all(path.read_text("utf-8"))
    ]


@cache
def rendered(name: str) -> list[Manifest]:
    """Returns the manifests that `kubectl apply --kustomize` sends. Skips without kubectl.

    Fails in continuous integration without kubectl, so that a skipped check does not look like a
    passed one.
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
    """Returns the rendered manifests of ``source``, or the files if ``source`` is ``files``."""
    return files() if source == "files" else rendered(source)


def of_kind(source: str, *kinds: str) -> list[Manifest]:
    """Returns the manifests of ``source`` that have one of ``kinds``."""
    return [manifest for manifest in manifests(source) if manifest["kind"] in kinds]


def pods(source: str) -> dict[str, Manifest]:
    """Returns the specification and labels of each workload's pods, by the workload's name."""
    return {
        workload["metadata"]["name"]: workload["spec"]["template"]["spec"]
        | {"labels": workload["spec"]["template"]["metadata"]["labels"]}
        for workload in of_kind(source, *WORKLOADS)
    }


def strict(schema: Manifest) -> Manifest:
    """Returns a schema that refuses unknown fields, as `kubectl apply` does."""
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

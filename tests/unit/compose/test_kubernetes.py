"""Tests of the manifests against the schemas of Kubernetes and KEDA, and Byline's settings."""

from __future__ import annotations

import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from celery_app.client.factory import limits_of
from celery_app.settings import Settings
from tests.promql import metric_names
from tests.promtool import content, needs_promtool
from tests.unit.compose.files import SERVICES
from tests.unit.compose.manifests import (
    FOLDER,
    KUSTOMIZATIONS,
    RENDERED,
    WORKLOADS,
    of_kind,
    pods,
    strict,
)
from tests.unit.compose.manifests import manifests as of

SOURCES = ("files", *RENDERED)
#: The first version of Kubernetes with all features used here (`preStop.sleep`), and the newest.
VERSIONS = ("1.30", "1.37")
KEDA = Path(__file__).with_name("keda.sh_scaledobjects.yaml")
#: The fields of KEDA's trigger for Prometheus (https://keda.sh/docs/2.20/scalers/prometheus/).
TRIGGER = {"serverAddress", "query", "threshold", "activationThreshold", "ignoreNullValues"}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_fit_the_schemas_of_kubernetes(source: str, version: str) -> None:
    known = [manifest for manifest in of(source) if manifest["kind"] != "ScaledObject"]
    assert len(known) > 15
    for manifest in known:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_is_misspelt_does_not_fit() -> None:
    [manifest] = of_kind("files", "HorizontalPodAutoscaler")
    spec = {**manifest["spec"], "minReplica": 1}
    with pytest.raises(kubernetes_validate.ValidationError, match="minReplica"):
        kubernetes_validate.validate({**manifest, "spec": spec}, VERSIONS[0], strict=True)


@pytest.mark.parametrize("source", SOURCES)
def test_the_scaled_object_fits_that_of_keda(source: str) -> None:
    [version] = yaml.safe_load(KEDA.read_text("utf-8"))["spec"]["versions"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    [scaled] = of_kind(source, "ScaledObject")
    jsonschema.validate(scaled, schema)
    with pytest.raises(jsonschema.ValidationError, match="maxReplicas"):
        jsonschema.validate({**scaled, "spec": {**scaled["spec"], "maxReplicas": 3}}, schema)
    for trigger in scaled["spec"]["triggers"]:
        assert trigger["metadata"].keys() <= TRIGGER


def test_workers_are_scaled_by_a_metric_that_byline_has() -> None:
    page = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text("utf-8")
    [scaled] = of_kind("files", "ScaledObject")
    for trigger in scaled["spec"]["triggers"]:
        [name] = metric_names(trigger["metadata"]["query"])
        assert f"| `{name.removesuffix('_sum')}` |" in page


@pytest.mark.parametrize("source", SOURCES)
def test_pods_have_minimal_privileges(source: str) -> None:
    for name, pod in pods(source).items():
        assert pod["enableServiceLinks"] is False, name  # else Kubernetes sets BYLINE_ variables
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


@pytest.mark.parametrize("source", SOURCES)
def test_pods_are_watched_and_have_bounds(source: str) -> None:
    for name, pod in pods(source).items():
        for container in pod["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys(), name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
            ports = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                for kind in ("httpGet", "tcpSocket"):
                    if kind in container[probe]:
                        assert container[probe][kind]["port"] in ports, name


@pytest.mark.parametrize("source", RENDERED)
def test_byline_takes_its_settings_and_listens_where_they_say(source: str) -> None:
    [shared] = of_kind(source, "ConfigMap")
    for name, pod in pods(source).items():
        [container] = pod["containers"]
        if not container["image"].startswith("byline-"):
            continue
        assert container["envFrom"] == [{"configMapRef": {"name": shared["metadata"]["name"]}}]
        names = [one["name"] for one in container["env"]]
        assert names.index("REDIS_PASSWORD") < names.index("BYLINE_REDIS_URL"), "what uses it"
        own = {one["name"]: one["value"] for one in container["env"] if "value" in one}
        settings = Settings.from_environ({**shared["data"], **own})
        assert settings.broker == "redis://:$(REDIS_PASSWORD)@valkey:6379/0"
        assert settings.metrics_host == "0.0.0.0"
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {
            "api": {"http": settings.api_port, "metrics": settings.api_metrics_port},
            "worker": {"metrics": settings.metrics_port},
            "worker-next": {"metrics": settings.metrics_port},
            "monitor": {"metrics": settings.monitor_port},
            "flower": {"metrics": settings.flower_port},
        }.get(name), name


@pytest.mark.parametrize("source", RENDERED)
def test_tracebacks_of_celery_exporter_show_no_variables(source: str) -> None:
    [container] = pods(source)["celery-exporter"]["containers"]
    assert {"name": "LOGURU_DIAGNOSE", "value": "NO"} in container["env"]


@pytest.mark.parametrize("source", RENDERED)
def test_pods_have_time_to_finish_work_under_way(source: str) -> None:
    api, worker = pods(source)["api"], pods(source)["worker"]
    [container] = api["containers"]
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    settings = Settings()
    assert api["terminationGracePeriodSeconds"] > sleep + settings.wait_max_s + 5
    assert worker["terminationGracePeriodSeconds"] > settings.batch_timeout_s


@pytest.mark.parametrize("source", RENDERED)
def test_no_worker_is_idle_for_lack_of_credits(source: str) -> None:
    [shared] = of_kind(source, "ConfigMap")
    [workers] = of_kind(source, "ScaledObject")
    [apis] = of_kind(source, "HorizontalPodAutoscaler")
    most = workers["spec"]["maxReplicaCount"]
    credits = limits_of(Settings.from_environ(shared["data"])).credits_for(most)
    assert apis["spec"]["minReplicas"] * credits >= most


@pytest.mark.parametrize("source", RENDERED)
def test_everything_that_a_manifest_names_exists(source: str) -> None:
    labels = [pod["labels"].items() for pod in pods(source).values()]
    for manifest in of_kind(source, *WORKLOADS, "Service", "PodDisruptionBudget"):
        selector = manifest["spec"]["selector"]
        chosen = selector.get("matchLabels", selector).items()
        assert sum(chosen <= own for own in labels) == 1, manifest["metadata"]["name"]
    deployments = {one["metadata"]["name"]: one for one in of_kind(source, "Deployment")}
    for scaler in of_kind(source, "ScaledObject", "HorizontalPodAutoscaler"):
        # A Deployment with `replicas` would change the number, and its autoscaler would change it
        # back.
        assert "replicas" not in deployments[scaler["spec"]["scaleTargetRef"]["name"]]["spec"]
    for policy in of_kind(source, "NetworkPolicy"):
        assert any(_matches(policy["spec"]["podSelector"], dict(own)) for own in labels)


@pytest.mark.parametrize("source", RENDERED)
def test_images_have_the_versions_that_compose_has(source: str) -> None:
    images = dict(
        container["image"].rsplit(":", 1)
        for pod in pods(source).values()
        for container in pod["containers"]
    )
    compose = dict(service["image"].rsplit(":", 1) for service in SERVICES.values())
    for image in ("danihodovic/celery-exporter", "valkey/valkey"):
        assert images[image] == compose[image]
    assert images["byline-flower"] == compose["byline/flower"]


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_kustomization_names_exactly_the_files_of_its_folder(folder: Path) -> None:
    content = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    named = [folder / one for one in content["resources"]]
    assert all((path / "kustomization.yaml").exists() for path in named if path.suffix == "")
    files = {path for path in named if path.suffix}
    files |= {folder / patch["path"] for patch in content.get("patches", ())}
    assert files == set(folder.glob("*.yaml")) - {folder / "kustomization.yaml"}


def test_no_deployment_chooses_the_pods_of_the_next_version_and_of_the_others() -> None:
    """kustomize adds labels to a selector only if the selector already has labels."""
    content = yaml.safe_load((FOLDER / "next/worker/kustomization.yaml").read_text("utf-8"))
    [(label, following)] = content["labels"][0]["pairs"].items()
    assert content["labels"][0]["includeSelectors"] is True
    others = [
        one["spec"]["selector"]["matchLabels"]
        for one in of_kind("files", "Deployment", "PodDisruptionBudget")
        if one["metadata"]["name"] == "worker"
    ]
    assert len(others) == 2
    assert all(chosen[label] != following for chosen in others)


def test_workers_of_the_next_version_are_as_the_others_but_for_names_and_image() -> None:
    budgets = {
        one["metadata"]["name"]: one["spec"] for one in of_kind("next", "PodDisruptionBudget")
    }
    for both in (budgets, pods("next")):
        worker, beside = yaml.safe_dump(both["worker"]), yaml.safe_dump(both["worker-next"])
        named = re.sub(r"(app.kubernetes.io/instance: worker)\n", r"\1-next\n", worker)
        named = re.sub(r"(image: byline-worker):", r"\1-next:", named)
        assert worker != named == beside


def test_workers_of_the_next_version_are_reached_and_guarded_as_the_others() -> None:
    named = pods("next")
    own = [dict(named[name]["labels"]) for name in ("worker", "worker-next")]
    for policy in of_kind("next", "NetworkPolicy"):
        chosen = {_matches(policy["spec"]["podSelector"], labels) for labels in own}
        assert len(chosen) == 1, policy["metadata"]["name"]
    budgets = of_kind("next", "PodDisruptionBudget")
    assert all(
        sum(_matches(budget["spec"]["selector"], labels) for budget in budgets) == 1
        for labels in own
    )
    # Prometheus uses this label as the job's name.
    assert {labels["app.kubernetes.io/component"] for labels in own} == {"worker"}
    # The user sets the number of these workers. Applying the files again must not reset it.
    deployments = {one["metadata"]["name"]: one["spec"] for one in of_kind("next", "Deployment")}
    assert "replicas" not in deployments["worker-next"]
    [scaled] = of_kind("next", "ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] == "worker"


def test_no_secret_is_written_down() -> None:
    assert of_kind("files", "Secret") == []
    for pod in pods("files").values():
        for variable in pod["containers"][0]["env"]:
            if "PASSWORD" in variable["name"] or "AUTH" in variable["name"]:
                assert variable["valueFrom"]["secretKeyRef"]["name"] == "byline-redis"


@needs_promtool
def test_prometheus_accepts_the_discovery_of_pods(tmp_path: Path) -> None:
    [job] = yaml.safe_load((FOLDER / "scrape.yaml").read_text("utf-8"))
    # Debian's build of Prometheus has no support for Kubernetes.
    found_by = job.pop("kubernetes_sd_configs")
    assert found_by == [{"role": "pod", "namespaces": {"names": ["byline"]}}]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    content("promtool", "check", "config", file)


@pytest.mark.parametrize(
    ("page", "status"), [(b'byline_model_info{version="1"} 1.0\n', 0), (b"byline_batches 0\n", 1)]
)
def test_a_worker_pod_has_started_once_its_metrics_name_the_model(page: bytes, status: int) -> None:
    command = pods("files")["worker"]["containers"][0]["startupProbe"]["exec"]["command"]

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        probe = [word.replace(":9809/", f":{server.server_port}/") for word in command[1:]]
        done = subprocess.run([sys.executable, *probe], check=False, timeout=20)
        server.shutdown()
    assert done.returncode == status


def _matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels[one["key"]] in one["values"] for one in selector.get("matchExpressions", ())
    )

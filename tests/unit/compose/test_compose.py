"""Tests of the compose files: each file is valid, and each container has few rights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from celery_app.settings import Settings
from compose.parts.prometheus import REDIS_ONLY
from tests.parts import ROOT
from tests.unit.compose.files import COMPOSE, DEFAULTS, FILES, FOLDER, OURS, SERVICES

MB = {"M": 1, "G": 1024}
FOLDERS = {"MODEL_DIR": "/models/mine", "NEXT_DIR": "/models/next"}
PINNED = re.compile(r"[a-z0-9./_-]+:v?\d+\.\d+\.\d+(-[a-z]+)?")
EACH = pytest.mark.parametrize("name", SERVICES)


def test_every_compose_file_fits_the_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [*command, *FILES], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def merged(*overrides: str, profile: str = "monitoring") -> dict[str, Any]:
    """Returns the configuration that Docker's compose merges from the files, without an engine."""
    files = ["compose.yaml", *(f"compose.{name}.yaml" for name in overrides)]
    done = subprocess.run(
        [
            Path(sys.executable).with_name("docker-compose"),
            *(word for file in files for word in ("--file", str(FOLDER / file))),
            *("--profile", profile, "config", "--format", "json"),
        ],
        env={"PATH": os.environ["PATH"], **FOLDERS},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_compose_accepts_all_services() -> None:
    services = merged()["services"]
    assert set(services) == set(SERVICES)
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_monitoring_can_be_left_out() -> None:
    assert set(merged(profile="none")["services"]) == {
        *("load-balancer", "api", "worker", "monitor", "valkey", "flower")
    }


def test_gpu_workers_have_one_gpu_and_torch_with_cuda() -> None:
    worker = merged("gpu", "transformer", "model")["services"]["worker"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])
    assert worker["build"]["args"] == {"TORCH_INDEX": "", "OTEL": "", "TRANSFORMER": "1"}
    settings = {name: worker["environment"][name] for name in ("BYLINE_DEVICE", "BYLINE_MODEL")}
    assert settings == {"BYLINE_DEVICE": "cuda", "BYLINE_MODEL": "transformer"}
    assert served(worker) == ("/models/mine", True)


def test_workers_of_a_hugging_face_model_have_its_library_and_its_folder() -> None:
    worker = merged("huggingface", "model")["services"]["worker"]
    assert worker["build"]["args"]["HUGGINGFACE"] == "1"
    assert worker["environment"]["BYLINE_MODEL"] == "huggingface"
    assert served(worker) == ("/models/mine", True)


def served(worker: dict[str, Any]) -> tuple[str, bool]:
    """Returns the folder of a worker's model, and whether it is mounted read-only."""
    (model,) = worker["volumes"]
    assert worker["environment"]["BYLINE_MODEL_DIR"] == model["target"]
    return model["source"], model["read_only"]


@pytest.mark.parametrize(
    "overrides",
    [
        ("next",),
        ("gpu", "next", "next.gpu"),
        ("transformer", "next", "next.transformer"),
        ("huggingface", "next", "next.huggingface"),
        ("gpu", "transformer", "next", "next.gpu", "next.transformer"),
    ],
    ids=" ".join,
)
def test_workers_of_the_next_version_are_as_the_others_but_for_their_model(
    overrides: tuple[str, ...],
) -> None:
    services = merged(*overrides)["services"]
    worker, beside = services["worker"], services["worker-next"]
    # So the tests of the worker's networks, aliases, secrets and limits hold for both workers.
    assert worker.keys() | {"volumes"} == beside.keys()
    different = {name for name in worker if worker[name] != beside[name]}
    assert different == {"image", "environment"}
    assert worker["environment"] == {
        name: value for name, value in beside["environment"].items() if name != "BYLINE_MODEL_DIR"
    }
    assert served(beside) == ("/models/next", True)
    # Each image is built, so that no two may have the same name.
    images = [service["image"] for service in services.values()]
    assert images.count(beside["image"]) == 1
    assert PINNED.fullmatch(beside["image"])


def test_the_current_and_the_next_version_have_separate_folders() -> None:
    services = merged("model", "next")["services"]
    assert served(services["worker"]) == ("/models/mine", True)
    assert served(services["worker-next"]) == ("/models/next", True)


def test_on_a_mac_everything_except_the_worker_is_in_containers() -> None:
    services = merged("mac")["services"]
    assert set(services) == set(SERVICES) - {"worker"}
    (port,) = services["valkey"]["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "6390", 6379)
    assert "host.docker.internal" in services["monitor"]["command"]
    for name in ("monitor", "prometheus"):  # both must be able to reach the worker
        assert "outside" in services[name]["networks"]


@EACH
def test_an_image_is_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    assert PINNED.fullmatch(image), image
    assert ("build" in SERVICES[name]) == (name in OURS)


@EACH
def test_a_container_has_minimal_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc", "network_mode", "devices"} & set(service)
    if name not in OURS:  # the other images set their user
        assert service["user"].partition(":")[0] not in ("", "0", "root")
    for volume in service.get("volumes", ()):
        # Files of the repository are read-only; data are in named volumes.
        assert volume.endswith(":ro") or volume.partition(":")[0] in COMPOSE["volumes"]


@EACH
def test_a_container_is_watched_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert re.search(r"\d+[MG]", service["deploy"]["resources"]["limits"]["memory"])
    assert service["logging"]["options"]["max-size"]
    assert all(mount.startswith("/tmp:") and "size=" in mount for mount in service["tmpfs"])


def test_only_the_load_balancer_is_reachable_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["load-balancer"]
    outer = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert {name for name, service in SERVICES.items() if outer & set(service["networks"])} == {
        *("load-balancer", "alertmanager")  # Alertmanager, which sends alerts
    }
    everybody, *operators = SERVICES["load-balancer"]["ports"]
    assert everybody.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:")
    assert all(port.startswith("127.0.0.1:") for port in operators)
    # The load balancer itself reaches neither Redis nor metrics.
    assert not {"back", "watched"} & set(SERVICES["load-balancer"]["networks"])


def test_passwords_are_in_files_only() -> None:
    text = json.dumps([SERVICES[name] for name in SERVICES])
    assert not re.search(r"--(requirepass|broker-url|redis.password|basic-auth)\b", text)
    for name, service in SERVICES.items():
        for variable, value in (service.get("environment") or {}).items():
            if "PASSWORD" in variable:
                assert value.startswith("/run/secrets/"), (name, variable)
                assert Path(value).name in service["secrets"]
    assert {secret["file"].partition("/")[0] for secret in COMPOSE["secrets"].values()} == {
        "secrets"
    }


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout of git's")
@pytest.mark.parametrize("folder", ["compose/secrets", "alerting/alertmanager/secrets"])
def test_no_secret_is_committed(folder: str) -> None:
    known = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert known.stdout.split() == [f"{folder}/.gitignore"]


def test_exactly_the_users_of_redis_have_its_password() -> None:
    users = {
        name for name, service in SERVICES.items() if "redis-password" in service.get("secrets", ())
    }
    connected = {name for name, service in SERVICES.items() if "back" in service["networks"]}
    assert users == connected


def test_the_redis_exporter_sends_the_password_to_no_other_server() -> None:
    environment = SERVICES["redis-exporter"]["environment"]
    assert REDIS_ONLY.items() <= environment.items()
    version = re.search(r":v(\d+)\.(\d+)", SERVICES["redis-exporter"]["image"])
    assert version is not None
    assert tuple(map(int, version.groups())) >= (1, 83), "the first that knows the variable"


def test_tracebacks_of_celery_exporter_show_no_variables() -> None:
    assert SERVICES["celery-exporter"]["environment"]["LOGURU_DIAGNOSE"] == "NO"


def test_the_containers_settings_are_valid(tmp_path: Path) -> None:
    password = tmp_path / "redis-password"
    password.write_text("secret")
    given = {**DEFAULTS, "BYLINE_REDIS_PASSWORD_FILE": str(password)}
    settings = Settings.from_environ(given)
    assert settings.broker == "redis://:secret@valkey:6379/0"
    for name in OURS:
        ours = SERVICES[name].get("environment", {})
        Settings.from_environ({k: v for k, v in ours.items() if k.startswith("BYLINE_")})


def test_memory_limits_fit_the_memory_that_the_monitor_watches() -> None:
    def limit(name: str) -> int:
        size = SERVICES[name]["deploy"]["resources"]["limits"]["memory"]
        (number, unit) = re.findall(r"(\d+)([MG])", size)[0]
        replicas = re.findall(r"\d+", str(SERVICES[name]["deploy"].get("replicas", 1)))[0]
        return int(number) * MB[unit] * int(replicas)

    together = sum(limit(name) for name in ("api", "worker", "monitor", "valkey"))
    assert together <= int(DEFAULTS["BYLINE_MEMORY_GB"]) * 1024


def test_a_container_is_given_the_time_that_it_takes_to_stop() -> None:
    settings = Settings()
    grace = {name: int(SERVICES[name]["stop_grace_period"][:-1]) for name in ("api", "worker")}
    assert grace["api"] > settings.wait_max_s + 5
    assert grace["worker"] > settings.batch_timeout_s


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_everything_that_a_compose_file_names_exists(file: Path) -> None:
    """Each folder and file exists. Each network and secret is in the file or in compose.yaml."""
    content: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    for service in content["services"].values():
        for kind in ("networks", "secrets"):
            assert set(service.get(kind, ())) <= set(COMPOSE[kind])
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (FOLDER / source).exists(), source
        if "dockerfile" in service.get("build", {}):
            assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        if extended := service.get("extends"):
            base = yaml.safe_load((FOLDER / extended["file"]).read_text("utf-8"))
            assert extended["service"] in base["services"]


def test_prometheus_has_every_rule_and_no_secret() -> None:
    mounted = {volume.split(":")[0] for volume in SERVICES["prometheus"]["volumes"]}
    rules = {f"../alerting/{file.name}" for file in (FOLDER.parent / "alerting").glob("*.yml")}
    assert rules < mounted
    assert not any("alertmanager" in volume for volume in mounted)

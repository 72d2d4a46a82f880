"""Tests of the configuration of Prometheus and Alertmanager in containers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from compose.parts import prometheus as native
from compose.parts.logins import USER
from compose.passwords import WEB_CONFIG
from tests.parts import ROOT
from tests.promtool import content, needs_amtool, needs_promtool
from tests.unit.compose.files import FOLDER, SERVICES

FILE = FOLDER / "prometheus" / "prometheus.yml"
CONFIGURATION: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
NATIVE: dict[str, Any] = yaml.safe_load(native.CONFIGURATION.read_text("utf-8"))
#: The jobs of native runs. Rules and dashboards use these names.
JOBS = {"api", "worker", "monitor", "celery", "flower", "redis", "prometheus"}
PORTS = {"api": 9806, "worker": 9809}


def laid_out(folder: Path) -> Path:
    """Copies the container's mounted files into ``folder``. Returns the configuration's path."""
    for volume in SERVICES["prometheus"]["volumes"]:
        source, target, *_ = volume.split(":")
        if source.startswith("."):
            place = folder / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(FOLDER / source, place)
    targets = folder / "etc/prometheus/targets"
    targets.mkdir()
    shutil.copy(FOLDER / "mac" / "targets.json", targets)
    return folder / "etc/prometheus/prometheus.yml"


@needs_promtool
def test_prometheus_accepts_the_configuration_with_every_rule(tmp_path: Path) -> None:
    said = content("promtool", "check", "config", laid_out(tmp_path))
    assert len(re.findall(r"\d+ rules found", said)) == len(list((ROOT / "alerting").glob("*.yml")))


def test_scrape_intervals_and_job_names_equal_those_of_native_runs() -> None:
    for same in ("global", "rule_files"):
        assert CONFIGURATION[same] == NATIVE[same]
    named = {job["job_name"] for job in CONFIGURATION["scrape_configs"]}
    assert named == {*JOBS, "byline"}
    # The rules use no other jobs.
    rules = "".join(file.read_text("utf-8") for file in (ROOT / "alerting").glob("*.yml"))
    asked = {name for names in re.findall(r'job=~?"([a-z|]+)"', rules) for name in names.split("|")}
    assert asked <= JOBS


def test_prometheus_and_alertmanager_need_the_login_that_prometheus_uses() -> None:
    (own,) = CONFIGURATION["alerting"]["alertmanagers"]
    (itself,) = (job for job in CONFIGURATION["scrape_configs"] if job["job_name"] == "prometheus")
    login = {"username": USER, "password_file": "/run/secrets/monitoring-password"}
    assert own["basic_auth"] == itself["basic_auth"] == login
    for name in ("prometheus", "alertmanager"):
        assert f"--web.config.file=/run/secrets/{WEB_CONFIG}" in SERVICES[name]["command"]
        assert {"monitoring-password", WEB_CONFIG} <= set(SERVICES[name]["secrets"])
    # No other target gets the password.
    assert [job for job in CONFIGURATION["scrape_configs"] if "basic_auth" in job] == [itself]


def test_each_target_is_a_container_that_prometheus_can_reach() -> None:
    reached = {name for name, service in SERVICES.items() if "watched" in service["networks"]}
    aliases = {
        alias: name
        for name in reached
        if isinstance(networks := SERVICES[name]["networks"], dict)
        for alias in networks["watched"].get("aliases", ())
    }
    for job in CONFIGURATION["scrape_configs"]:
        for group in job.get("static_configs", ()):
            assert {target.partition(":")[0] for target in group["targets"]} <= {
                *reached,
                "localhost",
            }
        for found in job.get("dns_sd_configs", ()):
            (name,) = found["names"]
            # No other network has this name, so that the name has one address for each container.
            assert aliases[name] == job["job_name"]
            assert name in " ".join(SERVICES["monitor"]["command"])
            assert found["port"] == PORTS[job["job_name"]]


@needs_amtool
def test_alertmanager_accepts_its_configuration_and_notifies_the_monitor(tmp_path: Path) -> None:
    """Runs the container's start script in another folder, with amtool in place of Alertmanager."""
    service = SERVICES["alertmanager"]
    source = service["volumes"][0].partition(":")[0]
    script = (
        service["entrypoint"][2]
        .replace("$$", "$")
        .replace("/etc/alertmanager", str((FOLDER / source).resolve()))
        .replace("/tmp/alertmanager", str(tmp_path))
        .replace('exec /bin/alertmanager "$@"', "exec amtool check-config alertmanager.yml")
    )
    assert "SUCCESS" in content("sh", "-ec", script)
    told = (tmp_path / "alertmanager.yml").read_text("utf-8")
    assert "http://monitor:9807/alerts" in told
    assert "monitor" in SERVICES
    assert "watched" in service["networks"]

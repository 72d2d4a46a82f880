"""Prometheus, the exporter for Redis, and Alertmanager, where they are installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from celery_app.settings import Settings
from compose.parts import health
from compose.parts.part import LOOPBACK, Part, reached

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "monitoring" / "prometheus" / "prometheus.yml"
RULES = ROOT / "alerting"
#: How they are called by Debian, and by those who make them.
REDIS_EXPORTER = ("prometheus-redis-exporter", "redis_exporter")
ALERTMANAGER = ("prometheus-alertmanager", "alertmanager")
#: Where it looks for the server's URL: a process's arguments can be read by everybody here.
REDIS_VARIABLE = "REDIS_ADDR"
#: What is kept, whichever is reached first.
KEPT_FOR, KEPT_SIZE = "15d", "1GB"


def programs(settings: Settings) -> dict[str, str]:
    """Return which of them are to be started: by part, the program."""
    if not settings.prometheus_port or not CONFIGURATION.exists():
        return {}  # switched off, or not this repository but what was installed of it
    names = {"prometheus": ("prometheus",), "redis-exporter": REDIS_EXPORTER}
    if settings.alertmanager_port:
        names["alertmanager"] = ALERTMANAGER
    found = {
        part: next(filter(None, map(shutil.which, called)), None) for part, called in names.items()
    }
    return {part: program for part, program in found.items() if program and found["prometheus"]}


def parts(settings: Settings, folder: Path, found: dict[str, str]) -> list[Part]:
    """Return the parts, of which ``folder`` holds the configuration and the data."""
    if "prometheus" not in found:
        return []
    configuration = configure(settings, folder, found)
    here = f"http://{LOOPBACK}:{settings.prometheus_port}"
    command = (
        found["prometheus"],
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        *(
            f"--storage.tsdb.retention.time={KEPT_FOR}",
            f"--storage.tsdb.retention.size={KEPT_SIZE}",
        ),
        *(f"--web.listen-address={LOOPBACK}:{settings.prometheus_port}", "--log.level=warn"),
        # Those before it found Alertmanager are sent again within the first minute.
        "--rules.alert.resend-delay=20s",
        f"--web.external-url={here}",  # in links; a machine's name need not be known
    )
    well = health.page(f"{here}/-/ready")
    started = [Part("prometheus", command, here, well, rank=3, stop_s=3, vital=False)]
    if program := found.get("redis-exporter"):
        address = f"{LOOPBACK}:{settings.redis_exporter_port}"
        metrics = f"http://{address}/metrics"
        well = health.page(metrics, holding="redis_up 1")
        listen = (program, f"-web.listen-address={address}")
        started.append(Part("redis-exporter", listen, metrics, well, rank=3, stop_s=3, vital=False))
    return started


def configure(settings: Settings, folder: Path, found: dict[str, str]) -> Path:
    """Write what Prometheus reads into ``folder``; return its configuration."""
    for name in ("rules", "targets"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    for rules in RULES.glob("*.yml"):
        shutil.copy(rules, folder / "rules")
    groups = [
        {"targets": addresses, "labels": {"job": job}}
        for job, addresses in _targets(settings, found).items()
    ]
    (folder / "targets" / "byline.json").write_text(json.dumps(groups, indent=1))
    own = (
        [{"targets": [f"{LOOPBACK}:{settings.alertmanager_port}"]}]
        if "alertmanager" in found
        else []
    )
    (folder / "alertmanagers").mkdir(exist_ok=True)  # the user may name theirs there, too
    (folder / "alertmanagers" / "byline.json").write_text(json.dumps(own))
    return Path(shutil.copy(CONFIGURATION, folder))


def _targets(settings: Settings, found: dict[str, str]) -> dict[str, list[str]]:
    host = reached(settings.metrics_host)
    workers = range(settings.metrics_port, settings.metrics_port + settings.workers)
    return {
        "api": [f"{host}:{settings.api_metrics_port}"],
        "worker": [f"{host}:{port}" for port in workers],
        "monitor": [f"{host}:{settings.monitor_port}"],
        "celery": [f"{LOOPBACK}:{settings.exporter_port}"],
        "flower": [f"{LOOPBACK}:{settings.flower_port}"],
        "prometheus": [f"{LOOPBACK}:{settings.prometheus_port}"],
        **(
            {"redis": [f"{LOOPBACK}:{settings.redis_exporter_port}"]}
            if "redis-exporter" in found
            else {}
        ),
    }

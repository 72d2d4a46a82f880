"""Describes Prometheus and the Redis exporter as parts of ``make run``, and configures them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Container
from pathlib import Path

from celery_app.settings import Settings
from compose.parts import health
from compose.parts.logins import MonitoringLogin, write_private
from compose.parts.part import LOOPBACK, Part, url_host

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "monitoring" / "prometheus" / "prometheus.yml"
RULES = ROOT / "alerting"
#: Names of the Redis exporter's program: the original name, and the name in Debian, where its
#: version is older.
REDIS_EXPORTER = ("redis_exporter", "prometheus-redis-exporter")
#: Names of Alertmanager's program: the original name, and the name in Debian.
ALERTMANAGER = ("alertmanager", "prometheus-alertmanager")
#: The environment variable from which the Redis exporter reads the server's URL. The URL, which may
#: hold a password, is not an argument, because all users of this machine can read arguments.
REDIS_VARIABLE = "REDIS_ADDR"
#: With this variable, the Redis exporter from 1.83 on never connects to a server that a request
#: names.
REDIS_ONLY = {"REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT": "true"}
#: Days for which Prometheus keeps samples.
KEPT_FOR = "15d"
#: Size of Prometheus's samples above which Prometheus removes the oldest samples early.
KEPT_SIZE = "1GB"
#: The file in a part's folder that holds the part's URL with the login, for programs that query the
#: part.
URL_FILE = "url"


def programs(settings: Settings) -> dict[str, str]:
    """Returns the paths of the installed monitoring programs, by name, such as ``prometheus``.

    If Prometheus is switched off or not installed, the result is empty, because the other programs
    are useless without Prometheus.
    """
    if not settings.prometheus_port or not CONFIGURATION.exists():
        return {}  # Prometheus is switched off, or this is no checkout of the repository
    names = {"prometheus": ("prometheus",), "redis-exporter": REDIS_EXPORTER}
    if settings.alertmanager_port:
        names["alertmanager"] = ALERTMANAGER
    found = {
        part: next(filter(None, map(shutil.which, called)), None) for part, called in names.items()
    }
    return {part: program for part, program in found.items() if program and found["prometheus"]}


def parts(
    settings: Settings, folder: Path, found: dict[str, str], login: MonitoringLogin
) -> list[Part]:
    """Returns Prometheus and, if installed, the Redis exporter as parts of ``make run``.

    ``folder`` gets Prometheus's configuration and data. ``found`` has the programs' paths.
    """
    configuration = configure(settings, folder, found, login.prefix)
    address = f"{LOOPBACK}:{settings.prometheus_port}"
    write_private(folder / URL_FILE, login.url(address) + "\n")
    here = f"http://{address}"
    command = (
        found["prometheus"],
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        *(
            f"--storage.tsdb.retention.time={KEPT_FOR}",
            f"--storage.tsdb.retention.size={KEPT_SIZE}",
        ),
        *(f"--web.listen-address={address}", "--log.level=warn"),
        # Alerts from before Prometheus found Alertmanager are sent again within the first minute.
        "--rules.alert.resend-delay=20s",
        f"--web.external-url={here}",  # else links have the machine's name
        *(f"--web.config.file={login.web_config}", f"--web.cors.origin={re.escape(here)}"),
    )
    well = health.page(f"{here}/-/ready", login=login.pair)
    started = [Part("prometheus", command, here, well, rank=3, stop_s=3, vital=False)]
    if program := found.get("redis-exporter"):
        address = f"{LOOPBACK}:{settings.redis_exporter_port}"
        metrics = f"http://{address}/metrics"
        well = health.page(metrics, holding="redis_up 1")
        listen = (program, f"-web.listen-address={address}")
        started.append(Part("redis-exporter", listen, metrics, well, rank=3, stop_s=3, vital=False))
    return started


def configure(settings: Settings, folder: Path, found: Container[str], prefix: str) -> Path:
    """Writes Prometheus's configuration, rules and targets into ``folder``.

    Returns the path of the configuration. ``found`` has the names of the monitoring parts that run.
    ``prefix`` is the first segment of all URL paths of Alertmanager.
    """
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
    itself = [{"targets": [f"{LOOPBACK}:{settings.prometheus_port}"]}]
    (folder / "targets" / "prometheus.json").write_text(json.dumps(itself))
    alertmanager = f"{LOOPBACK}:{settings.alertmanager_port}"
    own = (
        [{"targets": [alertmanager], "labels": {"prefix": prefix}}]
        if "alertmanager" in found
        else []
    )
    (folder / "alertmanagers").mkdir(exist_ok=True)  # users may add their own Alertmanagers here
    (folder / "alertmanagers" / "byline.json").write_text(json.dumps(own))
    return Path(shutil.copy(CONFIGURATION, folder))


def _targets(settings: Settings, found: Container[str]) -> dict[str, list[str]]:
    host = url_host(settings.metrics_host)
    workers = range(settings.metrics_port, settings.metrics_port + settings.workers)
    return {
        "api": [f"{host}:{settings.api_metrics_port}"],
        "worker": [f"{host}:{port}" for port in workers],
        "monitor": [f"{host}:{settings.monitor_port}"],
        "celery": [f"{LOOPBACK}:{settings.exporter_port}"],
        "flower": [f"{LOOPBACK}:{settings.flower_port}"],
        **(
            {"redis": [f"{LOOPBACK}:{settings.redis_exporter_port}"]}
            if "redis-exporter" in found
            else {}
        ),
    }

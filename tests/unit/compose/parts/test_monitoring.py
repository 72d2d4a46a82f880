"""Tests that Prometheus and Alertmanager, as `make run` starts them, need the login."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from celery_app.settings import Settings
from compose.parts import alertmanager, prometheus
from compose.parts.logins import USER, MonitoringLogin, monitoring_login
from compose.parts.part import Part as Description
from tests.parts import Part, free_port, wait_for
from tests.promtool import content, needs_amtool
from tests.unit.compose.files import SERVICES

SETTINGS = Settings(
    prometheus_port=free_port(), alertmanager_port=free_port(), monitor_port=free_port()
)
FOUND = prometheus.programs(SETTINGS)
pytestmark = pytest.mark.skipif(
    not {"prometheus", "alertmanager"} <= set(FOUND) and os.environ.get("CI") != "true",
    reason="Prometheus or Alertmanager is not installed",
)
EVIL = "http://evil.example"
ALERTS: list[Any] = [{"labels": {"alertname": "Forged"}}]
SILENCE = {
    "matchers": [{"name": "alertname", "value": ".+", "isRegex": True}],
    "startsAt": "2020-01-01T00:00:00Z",
    "endsAt": "2099-01-01T00:00:00Z",
    "createdBy": "evil",
    "comment": "forged",
}
#: Paths of requests that change something, in Alertmanager 0.25 and in newer versions.
POSTS = [
    (f"/api/{version}/{kind}", body)
    for version in ("v1", "v2")
    for kind, body in (("alerts", ALERTS), ("silences", SILENCE))
]
#: Content types that another site's page may send without a preflight request, and JSON.
TYPES = ("text/plain", "application/x-www-form-urlencoded", "application/json")


class Monitoring:
    """A running Prometheus and Alertmanager, with their URLs and the login."""

    def __init__(self, folder: Path, login: MonitoringLogin, parts: list[Description]) -> None:
        self.folder, self.login, self.parts = folder, login, parts
        self.prometheus = f"http://127.0.0.1:{SETTINGS.prometheus_port}"
        self.alertmanager = f"http://127.0.0.1:{SETTINGS.alertmanager_port}"
        self.auth = (USER, login.password)

    def url(self, part: str) -> str:
        """Returns the URL with the login, from the part's file."""
        return (self.folder / part / "url").read_text().strip()

    def alerts(self) -> set[str]:
        known = httpx.get(f"{self.url('alertmanager')}/api/v2/alerts").json()
        return {alert["labels"]["alertname"] for alert in known}

    def asked(self, path: str) -> Any:
        return httpx.get(f"{self.url('prometheus')}/api/v1/{path}").json()["data"]


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    folder = tmp_path_factory.mktemp("state")
    login = monitoring_login(folder)
    found = {name: FOUND[name] for name in ("prometheus", "alertmanager")}
    teller, _ = alertmanager.part(SETTINGS, folder / "alertmanager", found["alertmanager"], login)
    described = [teller, *prometheus.parts(SETTINGS, folder / "prometheus", found, login)]
    yours = [{"targets": ["127.0.0.1:1"]}]
    (folder / "prometheus" / "alertmanagers" / "yours.json").write_text(json.dumps(yours))
    started = []
    try:
        for part in described:
            # Shortened, so that an alert from before Alertmanager was found is sent again at once.
            command = [str(word).replace("delay=20s", "delay=1s") for word in part.command]
            started.append(Part(command, folder / f"{part.name}.log", {}))
            wait_for(part.healthy, 60, part.name)
        yield Monitoring(folder, login, described)
    finally:
        for process in started:
            process.kill()


def test_a_page_of_another_site_can_not_forge_alerts_or_silences(monitoring: Monitoring) -> None:
    sent = itertools.product(
        POSTS, TYPES, ("127.0.0.1", "evil.example"), ("", f"/{monitoring.login.prefix}")
    )
    with httpx.Client() as client:
        for (path, body), kind, host, prefix in sent:
            headers = {"Content-Type": kind, "Origin": EVIL, "Host": host}
            url = f"{monitoring.alertmanager}{prefix}{path}"
            answer = client.post(url, content=json.dumps(body), headers=headers)
            assert answer.status_code == 401, (url, headers)
    assert "Forged" not in monitoring.alerts()
    assert httpx.get(f"{monitoring.url('alertmanager')}/api/v2/silences").json() == []


def test_a_page_of_another_site_can_not_forge_alerts_with_a_remembered_password(
    monitoring: Monitoring,
) -> None:
    for path, body in POSTS:
        headers = {"Content-Type": "text/plain", "Origin": EVIL}
        answer = httpx.post(
            f"{monitoring.alertmanager}{path}",
            content=json.dumps(body),
            headers=headers,
            auth=monitoring.auth,
        )
        assert answer.status_code in (404, 405)
    assert "Forged" not in monitoring.alerts()
    assert httpx.get(f"{monitoring.url('alertmanager')}/api/v2/silences").json() == []


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/api/v1/query?query=up"])
def test_nothing_is_read_without_the_login_under_any_name(
    monitoring: Monitoring, path: str
) -> None:
    for url in (monitoring.prometheus, monitoring.alertmanager):
        for headers in ({}, {"Host": "evil.example"}, {"Origin": EVIL}):
            answer = httpx.get(url + path, headers=headers)
            assert answer.status_code == 401
            # A redirect would reveal Alertmanager's secret path.
            assert "Location" not in answer.headers
            assert "Access-Control-Allow-Origin" not in answer.headers


def test_no_other_site_may_read_prometheus_with_a_users_login(
    monitoring: Monitoring,
) -> None:
    url, own = f"{monitoring.prometheus}/api/v1/labels", monitoring.prometheus
    for origin, allowed in ((EVIL, None), (own.replace(".", "x"), None), (own, own)):
        answer = httpx.get(url, headers={"Origin": origin}, auth=monitoring.auth)
        assert answer.status_code == 200
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed


def test_a_login_is_redirected_to_alertmanagers_pages(monitoring: Monitoring) -> None:
    page = httpx.get(monitoring.alertmanager, auth=monitoring.auth, follow_redirects=True)
    assert page.status_code == 200
    assert str(page.url) == f"{monitoring.alertmanager}/{monitoring.login.prefix}/"


def test_prometheus_uses_the_login_for_itself_and_for_alertmanager(
    monitoring: Monitoring,
) -> None:
    wait_for(lambda: "Watchdog" in monitoring.alerts(), 60, "an alert")
    known = {each["url"] for each in monitoring.asked("alertmanagers")["activeAlertmanagers"]}
    prefix = f"{monitoring.alertmanager}/{monitoring.login.prefix}"
    # The user's own Alertmanagers get no password.
    assert known == {f"{prefix}/api/v2/alerts", "http://127.0.0.1:1/api/v2/alerts"}

    def up() -> dict[str, str]:
        found = monitoring.asked("query?query=up")["result"]
        return {series["metric"]["job"]: series["value"][1] for series in found}

    jobs = {"prometheus", "api", "worker", "monitor", "celery", "flower"}
    wait_for(lambda: set(up()) == jobs, 30, "all targets")
    assert up()["prometheus"] == "1"


@needs_amtool
def test_amtool_works_with_the_url_in_the_file(monitoring: Monitoring) -> None:
    wait_for(lambda: "Watchdog" in monitoring.alerts(), 60, "an alert")
    said = content("amtool", f"--alertmanager.url={monitoring.url('alertmanager')}", "alert")
    assert "Watchdog" in said


@pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")
def test_the_containers_health_check_has_the_login(monitoring: Monitoring) -> None:
    shell, check = SERVICES["prometheus"]["healthcheck"]["test"]
    assert shell == "CMD-SHELL"
    here = (
        check.replace("$$", "$")
        .replace("/run/secrets", str(monitoring.folder))
        .replace("127.0.0.1:9090", f"127.0.0.1:{SETTINGS.prometheus_port}")
    )
    subprocess.run(["sh", "-c", here], timeout=20, check=True)
    wrong = here.replace("monitoring-password", "monitoring-web.yml")
    assert subprocess.run(["sh", "-c", wrong], timeout=20, check=False).returncode != 0
    assert SERVICES["alertmanager"]["healthcheck"]["test"][1] == check.replace("9090", "9093")


def test_the_password_is_in_private_files_and_in_no_argument(monitoring: Monitoring) -> None:
    files = [
        monitoring.login.web_config,
        *(monitoring.folder / name for name in ("monitoring-password", "prometheus/url")),
        monitoring.folder / "alertmanager" / "url",
    ]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    words = " ".join(str(word) for part in monitoring.parts for word in part.command)
    assert monitoring.login.password not in words
    assert monitoring.login.password not in monitoring.login.words
    assert monitoring.login.password not in monitoring.login.web_config.read_text()


def test_a_changed_password_replaces_the_hash(tmp_path: Path) -> None:
    first = monitoring_login(tmp_path)
    hashed = first.web_config.read_text()
    second = monitoring_login(tmp_path)
    assert second.password == first.password
    assert second.prefix != first.prefix
    assert second.web_config.read_text() == hashed
    time.sleep(0.01)  # so that the new file has a later time
    (tmp_path / "monitoring-password").write_text("mine\n")
    assert monitoring_login(tmp_path).password == "mine"
    assert first.web_config.read_text() != hashed

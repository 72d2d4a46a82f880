"""Alertmanager, as `make run` starts it, shows no secret of a channel that can't be reached."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import httpx
import pytest

from celery_app.settings import Settings
from compose.parts import alertmanager, prometheus
from compose.parts.logins import monitoring_login
from tests.parts import Stack, free_port, wait_for

MARK = "Sesame"
PROGRAM = next(filter(None, map(shutil.which, prometheus.ALERTMANAGER)), None)
#: The labels of an alert for each receiver.
ALERTS = [
    {"alertname": "Watchdog"},
    {"alertname": "One", "severity": "warning"},
    {"alertname": "Two", "severity": "critical"},
    {"alertname": "Three", "team": "quality"},
]


@pytest.mark.skipif(PROGRAM is None, reason="Alertmanager is not installed")
@pytest.mark.parametrize("slack", [f"http://127.0.0.1:1/{MARK}", f"{MARK}://x", f"http://{MARK}:x"])
def test_an_alert_that_can_not_be_sent_is_logged_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slack: str
) -> None:
    folder = tmp_path / "configuration"
    shutil.copytree(alertmanager.FOLDER, folder, ignore=lambda *_: ["secrets"])
    (folder / "secrets").mkdir()
    (folder / "secrets" / "slack-url").write_text(slack)
    for secret in ("smtp-password", "pagerduty-key", "heartbeat-key"):
        (folder / "secrets" / secret).write_text(f"{MARK}-{secret}")
    configuration = folder / "alertmanager.yml"
    text = re.sub("group_wait: .*", "group_wait: 0s", configuration.read_text("utf-8"))
    text = text.replace("localhost:587", "127.0.0.1:1").replace("127.0.0.1:9094", "127.0.0.1:1")
    text = text.replace("pagerduty_configs:\n      - ", f"pagerduty_configs:\n      - {PAGERDUTY}")
    configuration.write_text(text, "utf-8")
    monkeypatch.setattr(alertmanager, "FOLDER", folder)
    monkeypatch.setattr(alertmanager, "CONFIGURATION", configuration)
    settings = Settings(alertmanager_port=free_port(), monitor_port=free_port())
    login = monitoring_login(tmp_path)
    part, _ = alertmanager.part(settings, tmp_path / "alertmanager", str(PROGRAM), login)
    stack = Stack(tmp_path)
    try:
        started = stack.start([str(word) for word in part.command], "alertmanager")
        wait_for(part.healthy, 30, "Alertmanager")
        alerts = [{"labels": labels} for labels in ALERTS]
        url = (tmp_path / "alertmanager" / alertmanager.URL_FILE).read_text().strip()
        httpx.post(f"{url}/api/v2/alerts", json=alerts, timeout=10).raise_for_status()
        channels = ("webhook", "slack", "pagerduty", "email")
        wait_for(
            lambda: all(re.search(f"{name}.*(err|fail)", started.output) for name in channels),
            30,
            "a word on each channel",
        )
        assert MARK not in started.output
    finally:
        stack.close()


#: A URL at which no program listens.
PAGERDUTY = "url: http://127.0.0.1:1/\n        "

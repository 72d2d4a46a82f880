"""`make run` uses a channel of Alertmanager's configuration only if the channel's secret exists."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from celery_app.settings import Settings
from compose.parts import alertmanager
from compose.parts.alertmanager import configured
from compose.parts.logins import monitoring_login
from tests.promtool import content, needs_amtool
from tests.unit.alerting.test_alertmanager import CONFIGURATION, FOLDER

MONITOR = "http://127.0.0.1:1234"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns a copy of the configuration's folder, without secrets."""
    return Path(shutil.copytree(FOLDER, tmp_path / "a", ignore=lambda path, names: ["secrets"]))


def channels(configuration: dict[str, Any]) -> set[str]:
    """Returns the channels of a configuration, as receiver and kind."""
    return {
        f"{receiver['name']} {kind.removesuffix('_configs')}"
        for receiver in configuration["receivers"]
        for kind, each in receiver.items()
        if kind != "name" and each
    }


@pytest.mark.parametrize(
    ("secret", "opened"),
    [
        (None, set()),
        ("slack-url", {"warning slack", "critical slack", "quality slack"}),
        ("pagerduty-key", {"critical pagerduty"}),
        ("smtp-password", {"quality email"}),
        ("heartbeat-key", {"heartbeat webhook"}),
    ],
)
def test_channel_is_used_where_its_secret_exists(
    folder: Path, secret: str | None, opened: set[str]
) -> None:
    (folder / "secrets").mkdir()
    if secret:
        (folder / "secrets" / secret).write_text("it")
    assert channels(configured(CONFIGURATION, folder, MONITOR)) == {"console webhook"} | opened


def test_console_receiver_is_this_runs_monitor(folder: Path) -> None:
    found = configured(CONFIGURATION, folder, MONITOR)
    [console] = (receiver for receiver in found["receivers"] if receiver["name"] == "console")
    assert console["webhook_configs"] == [{"url": f"{MONITOR}/alerts", "send_resolved": True}]
    assert CONFIGURATION["receivers"][0]["webhook_configs"][0]["url"] != f"{MONITOR}/alerts"


@pytest.mark.parametrize(
    "text",
    [
        b"global:\n  slack_api_url: https://hooks/hushhush: x\n",
        b"global: {slack_api_url: *hushhush}\n",
        b"global: !hushhush {}\n",
        b"- hushhush\n",
        b"hushhush: [\n",
        b"global: {slack_api_url: hushhush}\nreceivers: hushhush\n",
        b"global: hushhush \xff\n",
        b"global: hushhush \x01\n",
    ],
)
def test_invalid_configuration_is_reported_without_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_bytes(text)
    monkeypatch.setattr(alertmanager, "CONFIGURATION", file)
    with pytest.raises(alertmanager.Unfit, match=str(tmp_path)) as refused:
        alertmanager.part(Settings(), tmp_path, "alertmanager", monitoring_login(tmp_path))
    assert "hush" not in str(refused.value)


@needs_amtool
@pytest.mark.parametrize("secrets", [(), ("slack-url", "pagerduty-key")])
def test_configuration_is_valid_in_any_folder(
    folder: Path, tmp_path: Path, secrets: tuple[str, ...]
) -> None:
    (folder / "secrets").mkdir()
    for secret in secrets:
        (folder / "secrets" / secret).write_text("http://127.0.0.1/it")
    written = tmp_path / "elsewhere.yml"
    written.write_text(yaml.safe_dump(configured(CONFIGURATION, folder, MONITOR)))
    assert "1 templates\n  SUCCESS" in content("amtool", "check-config", written)

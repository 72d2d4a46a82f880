"""Alertmanager's configuration routes each alert to its receivers, with readable texts."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.promql import RULES
from tests.promtool import content, needs_amtool
from tests.unit.alerting.rules import alerts, names

FOLDER = RULES / "alertmanager"
FILE = FOLDER / "alertmanager.yml"
CONFIGURATION: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
RECEIVERS = {receiver["name"]: receiver for receiver in CONFIGURATION["receivers"]}
TEMPLATES = sorted(
    name
    for path in (FOLDER / "templates").glob("*.tmpl")
    for name in re.findall(r'{{-? define "([^"]+)"', path.read_text("utf-8"))
)


def alert(name: str, status: str, severity: str = "critical") -> dict[str, Any]:
    """Returns an alert as Alertmanager hands it to a template."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": severity, "team": "service"},
        "annotations": {
            "summary": f"{name} is 42",
            "description": "It is more than it should be.",
            "dashboard_url": "/d/byline-performance",
            "runbook_url": f"/alerting/runbooks/{name}.md",
        },
        "startsAt": "2026-01-02T03:04:05Z",
        "endsAt": "2026-01-02T03:14:05Z" if status == "resolved" else "0001-01-01T00:00:00Z",
    }


def rendered(
    folder: Path, template: str, *grouped: dict[str, Any], templates: Path = FOLDER / "templates"
) -> str:
    """Returns the text that a template renders for the alerts of one group."""
    firing = any(one["status"] == "firing" for one in grouped)
    data = {
        "status": "firing" if firing else "resolved",
        "commonLabels": grouped[0]["labels"],
        "alerts": grouped,
    }
    (folder / "data.json").write_text(json.dumps(data))
    return content(
        "amtool",
        *("template", "render", f"--template.glob={templates}/*.tmpl"),
        f'--template.text={{{{ template "{template}" . }}}}',
        f"--template.data={folder / 'data.json'}",
    )


@needs_amtool
def test_amtool_accepts_the_configuration() -> None:
    assert "SUCCESS" in content("amtool", "check-config", FILE)


@needs_amtool
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"severity": "critical", "team": "service"}, "critical"),
        ({"severity": "warning", "team": "service"}, "warning"),
        ({"severity": "warning", "team": "quality"}, "quality"),
        ({"severity": "critical", "team": "quality"}, "quality"),
        ({"severity": "none", "team": "service", "alertname": "Watchdog"}, "heartbeat"),
        ({"severity": "unheard-of"}, "warning"),
        ({"alertname": "SomebodyElses"}, "warning"),
    ],
)
def test_alert_is_routed_to_the_receiver_of_its_labels(
    labels: dict[str, str], receiver: str
) -> None:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    told = content(
        "amtool", "config", "routes", "test", f"--config.file={FILE}", *pairs
    ).splitlines()
    assert told[-1].split(",") == ["console", receiver]


@needs_amtool
def test_every_rule_is_routed_by_its_labels() -> None:
    for rule in alerts():
        labels = {"alertname": rule["alert"], **rule["labels"]}
        by_severity = {"none": "heartbeat"}.get(labels["severity"], labels["severity"])
        receiver = "quality" if labels["team"] == "quality" else by_severity
        test_alert_is_routed_to_the_receiver_of_its_labels(labels, receiver)


def test_receivers_have_their_channels() -> None:
    channels = {
        name: {key.removesuffix("_configs") for key in receiver if key != "name"}
        for name, receiver in RECEIVERS.items()
    }
    assert channels == {
        "console": {"webhook"},
        "critical": {"pagerduty", "slack"},
        "warning": {"slack"},
        "quality": {"email", "slack"},
        "heartbeat": {"webhook"},
    }


def test_every_channel_but_the_heartbeat_sends_resolved() -> None:
    for name, receiver in RECEIVERS.items():
        for kind in receiver:
            for channel in receiver[kind] if kind != "name" else ():
                assert channel["send_resolved"] is (name != "heartbeat")


def test_secrets_are_in_uncommitted_files() -> None:
    text = FILE.read_text("utf-8")
    files = re.findall(r"^\s*\w+_file: (.*)$", text, re.MULTILINE)
    assert len(files) == 4
    assert all(re.fullmatch(r"secrets/[a-z-]+", file) for file in files)
    assert re.search(r"(password|routing_key|service_key|api_url|credentials|token):", text) is None
    assert (FOLDER / "secrets" / ".gitignore").read_text("utf-8").splitlines()[-2:] == [
        "*",
        "!.gitignore",
    ]


def test_inhibited_alerts_exist_and_none_inhibits_itself() -> None:
    for rule in CONFIGURATION["inhibit_rules"]:
        sides = []
        for side in ("source_matchers", "target_matchers"):
            found = [re.fullmatch(r'alertname =~? "?([\w|]+)"?', each) for each in rule[side]]
            sides.append({name for match in found if match for name in match[1].split("|")})
        assert set().union(*sides) <= set(names())
        for first, second in combinations(sides, 2):
            assert not first & second


def test_every_template_used_is_defined() -> None:
    used = re.findall(r'template "([^"]+)"', FILE.read_text("utf-8"))
    assert set(used) <= set(TEMPLATES)


@needs_amtool
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("statuses", [("firing",), ("resolved",), ("firing", "resolved")])
def test_template_renders_without_errors(
    tmp_path: Path, template: str, statuses: tuple[str, ...]
) -> None:
    said = rendered(tmp_path, template, *(alert("QueueOld", status) for status in statuses))
    assert said.strip()
    assert "<no value>" not in said
    assert "%!" not in said, "Go writes %! where a format does not fit its value"


@needs_amtool
def test_title_has_severity_name_and_summary(tmp_path: Path) -> None:
    firing, ended = alert("QueueOld", "firing"), alert("QueueOld", "resolved")
    assert rendered(tmp_path, "byline.title", firing) == "CRITICAL QueueOld: QueueOld is 42"
    assert rendered(tmp_path, "byline.title", ended) == "RESOLVED QueueOld: was: QueueOld is 42"
    both = rendered(tmp_path, "byline.title", ended, firing)
    assert both == "CRITICAL QueueOld: QueueOld is 42 (1 firing, 1 resolved)"


@needs_amtool
@pytest.mark.parametrize("template", ["byline.text", "byline.slack.text", "byline.email.html"])
def test_each_channel_has_summary_description_and_links(tmp_path: Path, template: str) -> None:
    said = rendered(tmp_path, template, alert("QueueOld", "firing"))
    assert "QueueOld is 42" in said
    assert "It is more than it should be." in said
    assert "/alerting/runbooks/QueueOld.md" in said
    assert "/d/byline-performance" in said

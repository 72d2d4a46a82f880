"""Every alert is complete, has a runbook and tests, and is listed in the docs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from monitoring.dashboards.__main__ import BUILDERS
from tests.promql import ROOT, metric_names
from tests.unit.alerting.rules import (
    RUNBOOKS,
    Rule,
    about,
    alerts,
    existing_metrics,
    files_of_tests,
    missing_metrics,
    names,
    with_dependencies,
)
from tests.unit.monitoring.dashboards.test_dashboards import declared

ALERTS = [
    pytest.param(rule, id=f"{rule['alert']}-{number}") for number, rule in enumerate(alerts())
]
#: Sections of a runbook, in this order.
PARTS = ["What it means", "What to look at", "What to do"]
#: Metrics of alerts that exist only after enough messages. See the alert MetricMissing in
#: service.yml.
NOT_YET = {
    "byline_quality_ratio",
    "byline_quality_past_threshold",
}


def said() -> Iterator[tuple[str, bool]]:
    """Yields each alert in promtool's tests, and whether a test expects the alert to fire."""
    for content in files_of_tests().values():
        for test in content["tests"]:
            for name in names():
                found = about(test, name) or {}
                for one in found.get("alert_rule_test", ()):
                    yield name, bool(one["exp_alerts"])
                for one in found.get("promql_expr_test", ()):
                    yield name, bool(one["exp_samples"])


@pytest.mark.parametrize("rule", ALERTS)
def test_alert_has_labels_texts_and_links(rule: Rule) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "none")
    assert rule["labels"]["team"] in ("service", "quality")
    notes: dict[str, Any] = rule["annotations"]
    assert set(notes) == {"summary", "description", "dashboard_url", "runbook_url"}
    assert "$value" in notes["summary"], "the number belongs into the summary"
    assert not notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"/alerting/runbooks/{rule['alert']}.md"
    assert notes["dashboard_url"].removeprefix("/d/byline-") in BUILDERS


def test_alerts_and_runbooks_match() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(names())


@pytest.mark.parametrize("name", names())
def test_runbook_has_its_three_sections(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS
    assert text.count("```") in (2, 4), "commands to copy"
    assert text.count("\n") <= 40


@pytest.mark.parametrize("name", names())
def test_metrics_in_a_runbook_exist(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    known = existing_metrics() | {"ALERTS", "prometheus_rule_evaluation_failures_total"}
    for expr in re.findall(r"^ask '(.*)'$", text, re.MULTILINE):
        assert metric_names(expr) <= known


@pytest.mark.parametrize("name", names())
def test_alert_is_tested_firing_and_silent(name: str) -> None:
    ways = {fires for alert, fires in said() if alert == name}
    assert ways == ({True} if name == "Watchdog" else {True, False})


def test_every_alert_is_tested_healthy_idle_and_without_metrics() -> None:
    (content,) = (c for path, c in files_of_tests().items() if path.stem == "everything")
    for test, kind in zip(content["tests"], ("healthy", "idle", "missing"), strict=True):
        assert test["name"].startswith(kind)
        assert {one["alertname"] for one in test["alert_rule_test"]} == set(names())


@pytest.mark.parametrize("rule", ALERTS)
def test_alert_has_no_threshold_of_its_own(rule: Rule) -> None:
    compared = re.findall(r"(?:[<>]=?|==|!=)\s*([\d.]+)", rule["expr"])
    assert set(compared) <= {"0", "1"}, "a threshold belongs into thresholds.yml"


def test_every_threshold_is_used() -> None:
    asked = set().union(*(metric_names(rule["expr"]) for rule in alerts()))
    assert {name for name in existing_metrics() if name.startswith("threshold:")} - asked == set()


def test_every_metric_in_a_rule_exists() -> None:
    assert missing_metrics(existing_metrics()) == set()


def test_metric_missing_watches_the_metrics_of_all_alerts() -> None:
    resting = set().union(*(metric_names(rule["expr"]) for rule in with_dependencies(alerts())))
    ours = set().union(*declared().values())
    (missing,) = (rule for rule in alerts() if rule["alert"] == "MetricMissing")
    assert resting & ours - metric_names(missing["expr"]) == NOT_YET


def test_docs_list_every_alert() -> None:
    text = (ROOT / "docs" / "alerting.md").read_text("utf-8")
    listed = re.findall(
        r"^\| \[(\w+)\]\(\.\./alerting/runbooks/\1\.md\) \| ([^|]*) \|", text, re.MULTILINE
    )
    severities: dict[str, list[str]] = {}
    for rule in alerts():
        severities.setdefault(rule["alert"], []).append(rule["labels"]["severity"])
    assert dict(listed) == {
        name: ", ".join(dict.fromkeys(found)) for name, found in severities.items()
    }

"""promtool accepts configuration and rules, and the rules compute the expected values."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.promql import ROOT, RULES, rules
from tests.promtool import content, needs_promtool


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    assert "SUCCESS" in content("promtool", "check", "rules", *sorted(RULES.glob("*.yml")))


@needs_promtool
@pytest.mark.parametrize("alertmanagers", [None, [], [{"targets": ["127.0.0.1:9093"]}]])
def test_promtool_accepts_the_configuration(tmp_path: Path, alertmanagers: object) -> None:
    shutil.copy(ROOT / "monitoring" / "prometheus" / "prometheus.yml", tmp_path)
    (tmp_path / "rules").mkdir()
    for rule_file in RULES.glob("*.yml"):
        shutil.copy(rule_file, tmp_path / "rules")
    (tmp_path / "targets").mkdir()
    groups = [{"targets": ["127.0.0.1:9806"], "labels": {"job": "api"}}]
    (tmp_path / "targets" / "byline.json").write_text(json.dumps(groups))
    if alertmanagers is not None:
        (tmp_path / "alertmanagers").mkdir()
        (tmp_path / "alertmanagers" / "byline.json").write_text(json.dumps(alertmanagers))
    assert "SUCCESS" in content("promtool", "check", "config", tmp_path / "prometheus.yml")


@needs_promtool
@pytest.mark.parametrize(
    "path", sorted((RULES / "tests").glob("*.yml")), ids=lambda path: path.name
)
def test_rules_pass_their_promtool_tests(path: Path) -> None:
    assert "SUCCESS" in content("promtool", "test", "rules", path)


def test_recorded_names_are_level_metric_operations() -> None:
    recorded = [rule for rule in rules() if "record" in rule]
    names = [rule["record"] for rule in recorded]
    series = [(rule["record"], *sorted(rule.get("labels", {}).items())) for rule in recorded]
    assert len(set(series)) == len(series)
    assert [n for n in names if not re.fullmatch(r"[a-z_]+:byline_[a-z_]+:[a-z0-9_]+", n)] == []

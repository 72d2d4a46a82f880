"""What Prometheus makes of its configuration and rules, and what the rules make of numbers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.promql import ROOT, RULES, rules

PROMTOOL = shutil.which("promtool")
#: A continuous integration that could not check this should not look as if it had.
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None and os.environ.get("CI") != "true", reason="promtool is not installed"
)


def promtool(*arguments: str | Path) -> str:
    """Run promtool, and return what it says. It must be content."""
    assert PROMTOOL is not None, "promtool is not installed"
    done = subprocess.run(
        [PROMTOOL, *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@needs_promtool
def test_the_rules_are_valid() -> None:
    assert "SUCCESS" in promtool("check", "rules", *sorted(RULES.glob("*.yml")))


@needs_promtool
@pytest.mark.parametrize("alertmanagers", [None, [], [{"targets": ["127.0.0.1:9093"]}]])
def test_the_configuration_is_valid(tmp_path: Path, alertmanagers: object) -> None:
    shutil.copy(ROOT / "monitoring" / "prometheus" / "prometheus.yml", tmp_path)
    (tmp_path / "rules").mkdir()
    shutil.copy(RULES / "recording.yml", tmp_path / "rules")
    (tmp_path / "targets").mkdir()
    groups = [{"targets": ["127.0.0.1:9806"], "labels": {"job": "api"}}]
    (tmp_path / "targets" / "byline.json").write_text(json.dumps(groups))
    if alertmanagers is not None:
        (tmp_path / "alertmanagers.json").write_text(json.dumps(alertmanagers))
    assert "SUCCESS" in promtool("check", "config", tmp_path / "prometheus.yml")


@needs_promtool
@pytest.mark.parametrize(
    "path", sorted((RULES / "tests").glob("*.yml")), ids=lambda path: path.name
)
def test_the_rules_compute_what_they_should(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path)


def test_names_are_level_metric_operations() -> None:
    names = [rule["record"] for rule in rules() if "record" in rule]
    assert len(set(names)) == len(names)
    assert [n for n in names if not re.fullmatch(r"[a-z_]+:byline_[a-z_]+:[a-z0-9_]+", n)] == []

"""The alerts and their tests, as they are written."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.promql import RULES, rules

TESTS = RULES / "tests"
RUNBOOKS = RULES / "runbooks"

Rule = dict[str, Any]


def alerts() -> list[Rule]:
    """Every alerting rule; those of two severities have one name."""
    return [rule for rule in rules() if "alert" in rule]


def names() -> list[str]:
    """The names of the alerts, each once."""
    return list(dict.fromkeys(rule["alert"] for rule in alerts()))


@cache
def files_of_tests() -> dict[Path, dict[str, Any]]:
    """The files of tests for promtool, by their paths."""
    return {
        path: yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for path in sorted(TESTS.glob("*.yml"))
    }


def about(test: dict[str, Any], alert: str) -> dict[str, Any] | None:
    """What a test says of one alert; None: nothing."""
    asked = {
        "alert_rule_test": [
            one for one in test.get("alert_rule_test", ()) if one["alertname"] == alert
        ],
        "promql_expr_test": [
            one for one in test.get("promql_expr_test", ()) if f'"{alert}"' in one["expr"]
        ],
    }
    return test | asked if any(asked.values()) else None

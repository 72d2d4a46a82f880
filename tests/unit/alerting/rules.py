"""The rules and their tests, as they are written."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.promql import RULES, metric_names, rules
from tests.unit.monitoring.dashboards.test_dashboards import FOREIGN, declared

TESTS = RULES / "tests"
RUNBOOKS = RULES / "runbooks"

Rule = dict[str, Any]


@cache
def alerts() -> list[Rule]:
    """Every alerting rule; those of two severities have one name."""
    return [rule for rule in rules() if "alert" in rule]


def names() -> list[str]:
    """The names of the alerts, each once."""
    return list(dict.fromkeys(rule["alert"] for rule in alerts()))


@cache
def told() -> set[str]:
    """Every metric that somebody tells: Byline's processes, others, and the recording rules."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    return recorded.union(*declared().values(), *FOREIGN.values())


def in_vain(known: set[str]) -> set[str]:
    """What a rule, recording or alerting, asks for and is not known."""
    return set().union(*(metric_names(rule["expr"]) for rule in rules())) - known


def needed(own: list[Rule]) -> list[Rule]:
    """Some rules, behind those that they rest on."""
    known = rules()
    asked: set[str] = set()
    more = own
    while more:
        new = set().union(*(metric_names(rule["expr"]) for rule in more)) - asked
        asked |= new
        more = [rule for rule in known if rule.get("record") in new]
    return [*(rule for rule in known if rule.get("record") in asked), *own]


@cache
def files_of_tests() -> dict[Path, dict[str, Any]]:
    """The files of tests for promtool, by their paths."""
    return {
        path: yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for path in sorted(TESTS.glob("*.yml"))
    }


def about(test: dict[str, Any], alert: str, window: str = "") -> dict[str, Any] | None:
    """What a test says of one alert, and of one window of it; None: nothing."""
    named = [one for one in test.get("alert_rule_test", ()) if one["alertname"] == alert]
    asked = [one for one in test.get("promql_expr_test", ()) if f'"{alert}"' in one["expr"]]
    if window:
        # What names no window is about all of them, and cannot be taken apart.
        named = []
        asked = [one for one in asked if f'"{window}"' in one["expr"]]
    found = {"alert_rule_test": named, "promql_expr_test": asked}
    return test | found if named or asked else None

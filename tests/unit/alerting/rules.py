"""Loads the alerting and recording rules, and their promtool tests, from the files."""

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
    """Returns every alerting rule. Rules of two severities may have one name."""
    return [rule for rule in rules() if "alert" in rule]


def names() -> list[str]:
    """Returns the names of the alerts, each once."""
    return list(dict.fromkeys(rule["alert"] for rule in alerts()))


@cache
def existing_metrics() -> set[str]:
    """Returns every metric of Byline's processes, of other exporters, and of recording rules."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    return recorded.union(*declared().values(), *FOREIGN.values())


def missing_metrics(known: set[str]) -> set[str]:
    """Returns the metrics that a rule queries and that are not in ``known``."""
    return set().union(*(metric_names(rule["expr"]) for rule in rules())) - known


def with_dependencies(own: list[Rule]) -> list[Rule]:
    """Returns the rules ``own``, preceded by the recording rules that they need."""
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
    """Returns promtool's test files, by their paths."""
    return {
        path: yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for path in sorted(TESTS.glob("*.yml"))
    }


def about(test: dict[str, Any], alert: str, window: str = "") -> dict[str, Any] | None:
    """Returns the part of a test about one alert and one window; None if there is no such part."""
    named = [one for one in test.get("alert_rule_test", ()) if one["alertname"] == alert]
    asked = [one for one in test.get("promql_expr_test", ()) if f'"{alert}"' in one["expr"]]
    if window:
        # A test that names no window is about all windows, and can't be split.
        named = []
        asked = [one for one in asked if f'"{window}"' in one["expr"]]
    found = {"alert_rule_test": named, "promql_expr_test": asked}
    return test | found if named or asked else None

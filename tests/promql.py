"""Finds all queries to Prometheus, of panels and of rules, and the metrics that they name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
DASHBOARDS = ROOT / "monitoring" / "dashboards" / "json"
RULES = ROOT / "alerting"

#: Values to put in place of Grafana's variables, the longest name first.
VARIABLES = {"$__rate_interval": "1m", "$datasource": "prometheus", "$monitor": ".+"}
#: Panels that stay empty until clients have sent enough feedback, by dashboard and title.
NEED_FEEDBACK = {
    ("byline-quality", "Accuracy"),
    ("byline-quality", "Accuracy, and how sure it is"),
}

_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_MATCHERS = re.compile(r"\{[^{}]*\}")
_RANGE = re.compile(r"\[[^\[\]]*\]")
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
#: A name without parentheses after it: with parentheses, it would be a function.
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?![\w:])(?!\s*\()")
_WORDS = {"and", "bool", "by", "inf", "nan", "offset", "on", "or", "unless", "without"}


class PanelQuery(NamedTuple):
    """One query of a panel, ready to be sent to Prometheus."""

    dashboard: str
    panel: str
    expr: str


def metric_names(expr: str) -> set[str]:
    """Returns the names of the metrics in a PromQL expression."""
    for noise in (_STRING, _MATCHERS, _RANGE, _LABELS):
        expr = noise.sub(" ", expr)
    return {name for name in _NAME.findall(expr) if name.lower() not in _WORDS}


def dashboards() -> dict[str, dict[str, Any]]:
    """Returns the committed dashboards, by uid."""
    loaded = [json.loads(path.read_text("utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))]
    return {one["uid"]: one for one in loaded}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields a dashboard's panels, without the headings of rows."""
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def panel_queries() -> list[PanelQuery]:
    """Returns every query of every panel, with the variables replaced."""
    return [
        PanelQuery(uid, panel["title"], substituted(target["expr"]))
        for uid, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel.get("targets", ())
    ]


def substituted(expr: str) -> str:
    """Returns an expression with Grafana's variables replaced."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, f"what is the variable in {expr}?"
    return expr


def rules() -> list[dict[str, Any]]:
    """Returns all recording and alerting rules, in the order of files and lines."""
    return [
        rule | {"expr": str(rule["expr"])}  # the expression of a threshold is a number
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text("utf-8")).get("groups", ())
        for rule in group["rules"]
    ]

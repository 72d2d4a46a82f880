"""Series that rules count exist from the start, with the value 0.

If a series first appears with the value eight, Prometheus sees no increase.
"""

from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry

from api.errors import STATUS
from api.request_metrics import RequestMetrics
from monitoring.instruments.metrics import ApiMetrics, WorkerMetrics
from tests.promql import rules

_SELECTOR = re.compile(r"\b(byline_\w+_(?:total|bucket))\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')
#: Statuses of errors that the server sends before it knows the route. These errors are not counted.
_NO_ROUTE = {501, 505}


def selected() -> list[tuple[str, str]]:
    """Returns each counter and histogram in the rules' selectors: its name and the matchers."""
    return sorted({found for rule in rules() for found in _SELECTOR.findall(rule["expr"])})


def wanted(matchers: str) -> list[set[tuple[str, str]]]:
    """Returns the labels of each series that matchers select."""
    found: list[set[tuple[str, str]]] = [set()]
    for name, value in _MATCHER.findall(matchers):
        values = value.split("|")
        if value == "5..":
            values = [str(s) for s in {*STATUS.values()} - _NO_ROUTE if s >= 500]
        found = [labels | {(name, each)} for labels in found for each in values]
    return found


@pytest.mark.parametrize(("name", "matchers"), selected())
def test_selected_series_exist_before_the_first_request(name: str, matchers: str) -> None:
    registries = [CollectorRegistry() for _ in range(2)]
    RequestMetrics(ApiMetrics(registries[0]))
    WorkerMetrics(registries[1])
    there = [
        set(sample.labels.items())
        for registry in registries
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    ]
    for labels in wanted(matchers):
        assert any(labels <= each for each in there), labels


def test_rules_select_series() -> None:
    assert len(selected()) > 5

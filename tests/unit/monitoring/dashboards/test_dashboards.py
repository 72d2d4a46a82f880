"""The dashboards' files equal the code's output, are complete, and query existing metrics."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from monitoring.dashboards.__main__ import BUILDERS, FOLDER, render
from monitoring.dashboards.quality_signals import SIGNALS as SIGNALS_SHOWN
from monitoring.instruments.metrics import ApiMetrics, WorkerMetrics
from monitoring.instruments.monitor_metrics import SIGNALS, MonitorMetrics
from tests.promql import NEED_FEEDBACK, dashboards, metric_names, panel_queries, panels, rules

PANELS = [
    pytest.param(panel, id=f"{uid}: {panel['title']}")
    for uid, dashboard in dashboards().items()
    for panel in panels(dashboard)
]
QUERIED = [param for param in PANELS if param.values[0]["type"] != "text"]

#: Metrics of other programs, by the program that exports them.
FOREIGN = {
    "prometheus": {"up"},
    "every Python process": {
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    },
    "celery-exporter": {
        "celery_task_failed_total",
        "celery_task_received_total",
        "celery_task_retried_total",
        "celery_task_revoked_total",
        "celery_task_runtime_bucket",
        "celery_task_started_total",
        "celery_task_succeeded_total",
        "celery_worker_tasks_active",
        "celery_worker_up",
    },
    "Flower": {"flower_task_runtime_seconds_bucket", "flower_worker_online"},
    "redis_exporter": {
        "redis_aof_enabled",
        "redis_aof_rewrite_in_progress",
        "redis_blocked_clients",
        "redis_commands_processed_total",
        "redis_connected_clients",
        "redis_evicted_keys_total",
        "redis_expired_keys_total",
        "redis_keyspace_hits_total",
        "redis_keyspace_misses_total",
        "redis_memory_max_bytes",
        "redis_memory_used_bytes",
        "redis_uptime_in_seconds",
    },
}
_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def declared() -> dict[str, set[str]]:
    """Returns the names of the series of each of Byline's metrics."""
    found: dict[str, set[str]] = {}
    for metrics in (ApiMetrics, WorkerMetrics, MonitorMetrics):
        registry = CollectorRegistry()
        metrics(registry)
        for family in registry.collect():
            suffixes = _SUFFIXES[family.type]
            found[family.name] = {f"{family.name}{suffix}" for suffix in suffixes}
    return found


def asked_for() -> dict[str, set[str]]:
    """Returns the metrics that each panel and each rule queries."""
    found: dict[str, set[str]] = {}
    for query in panel_queries():
        found.setdefault(f"{query.dashboard}: {query.panel}", set()).update(
            metric_names(query.expr)
        )
    for rule in rules():
        found[rule.get("record") or rule["alert"]] = metric_names(rule["expr"])
    return found


@pytest.mark.parametrize("name", BUILDERS)
def test_committed_json_is_what_the_code_renders(name: str) -> None:
    committed = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert committed == render(name), "run `make dashboards` and commit what it writes"


def test_only_rendered_dashboards_are_committed() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(BUILDERS)
    assert set(dashboards()) == {f"byline-{name}" for name in BUILDERS}


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_has_a_title_and_a_description(panel: dict[str, Any]) -> None:
    assert panel["title"]
    if panel["type"] == "text":
        assert panel["options"]["content"].strip()
        return
    shows, act = panel["description"].split("\n\n**What to do:** ")
    assert shows.endswith((".", "?"))
    assert act.endswith((".", "?"))


@pytest.mark.parametrize("panel", QUERIED)
def test_every_panel_has_data_and_a_unit(panel: dict[str, Any]) -> None:
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    names = [target["refId"] for target in panel["targets"]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("uid", dashboards())
def test_titles_are_unique(uid: str) -> None:
    titles = [panel["title"] for panel in panels(dashboards()[uid])]
    assert len(set(titles)) == len(titles)
    numbers = [panel["id"] for panel in dashboards()[uid]["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("uid", dashboards())
def test_panels_neither_overlap_nor_leave_the_grid(uid: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboards()[uid]["panels"]:
        place = panel["gridPos"]
        columns = range(place.get("x", 0), place.get("x", 0) + place["w"])
        lines = range(place.get("y", 0), place.get("y", 0) + place["h"])
        cells = set(itertools.product(columns, lines))
        assert columns.stop <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("uid", dashboards())
def test_first_row_is_full_of_figures_and_then_a_guide(uid: str) -> None:
    row, *rest = dashboards()[uid]["panels"]
    figures = list(itertools.takewhile(lambda panel: panel["type"] == "stat", rest))
    assert row["type"] == "row"
    assert row["title"] == dashboards()[uid]["description"]
    assert sum(panel["gridPos"]["w"] for panel in figures) == 24
    assert rest[len(figures)]["type"] == "text"


@pytest.mark.parametrize("uid", dashboards())
def test_every_dashboard_links_to_the_others(uid: str) -> None:
    one = dashboards()[uid]
    assert one["tags"] == ["byline"]
    assert one["refresh"] == "10s"
    assert [link["tags"] for link in one["links"] if link["type"] == "dashboards"] == [["byline"]]
    links = [link["url"] for link in one["links"] if link["type"] == "link"]
    assert links == ["${flower}", "${console}"]
    names = {variable["name"] for variable in one["templating"]["list"]}
    assert {"datasource", "flower", "console"} <= names


@pytest.mark.parametrize("where", asked_for())
def test_every_metric_in_a_query_exists(where: str) -> None:
    ours = set().union(*declared().values())
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = asked_for()[where]
    assert asked - ours - recorded - set().union(*FOREIGN.values()) == set()


def test_every_metric_of_byline_is_queried() -> None:
    asked = set().union(*asked_for().values())
    assert [name for name, series in declared().items() if not series & asked] == []


def test_every_metric_of_byline_is_on_a_dashboard() -> None:
    recorded = {rule["record"]: metric_names(rule["expr"]) for rule in rules() if "record" in rule}
    shown = set().union(*(metric_names(query.expr) for query in panel_queries()))
    behind = shown
    while behind := set().union(*(recorded.get(name, set()) for name in behind)) - shown:
        shown |= behind  # the metrics from which rules compute what a panel shows
    assert [name for name, series in declared().items() if not series & shown] == []


def test_every_foreign_metric_is_queried() -> None:
    asked = set().union(*asked_for().values())
    assert set().union(*FOREIGN.values()) - asked == set()


def test_every_quality_signal_has_a_panel() -> None:
    assert tuple(signal.name for signal in SIGNALS_SHOWN) == SIGNALS


def test_panels_that_need_feedback_exist() -> None:
    assert {(query.dashboard, query.panel) for query in panel_queries()} >= NEED_FEEDBACK


def test_table_of_versions_has_a_named_column_with_a_unit_for_each_figure() -> None:
    quality = dashboards()["byline-quality"]
    [table] = [panel for panel in panels(quality) if panel["type"] == "table"]
    organize = table["transformations"][-1]["options"]
    names = {f"Value #{target['refId']}" for target in table["targets"]}
    assert set(organize["renameByName"]) == names
    assert set(organize["indexByName"]) == {"version", *names}
    titles = list(organize["renameByName"].values())
    units = [override["matcher"]["options"] for override in table["fieldConfig"]["overrides"]]
    assert units == titles
    for target in table["targets"]:
        assert "by (version)" in target["expr"], "one series for each version"
        assert (target["instant"], target["format"]) == (True, "table")

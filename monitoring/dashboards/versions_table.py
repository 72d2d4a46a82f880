"""Builds the table of the Quality dashboard that shows model versions side by side."""

from __future__ import annotations

from typing import NamedTuple

from grafana_foundation_sdk.builders import prometheus, table
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.dashboards.page import Row
from monitoring.dashboards.panels import COUNT, SHARE, SOURCE, described
from monitoring.dashboards.quality_signals import PAST, RATIO


class Column(NamedTuple):
    """A column of the table of model versions: one figure of each version."""

    title: str
    #: A PromQL expression with one series for each version, and no other label.
    expr: str
    unit: str


COLUMNS = (
    Column("accuracy", f'max by (version) ({RATIO}{{signal="accuracy"}})', SHARE),
    Column("at least", 'max by (version) (byline_accuracy_interval_ratio{bound="low"})', SHARE),
    Column("at most", 'max by (version) (byline_accuracy_interval_ratio{bound="high"})', SHARE),
    Column("labels", "max by (version) (byline_quality_labels)", COUNT),
    Column(
        "estimated accuracy", f'max by (version) ({RATIO}{{signal="estimated_accuracy"}})', SHARE
    ),
    Column("abstentions", f'max by (version) ({RATIO}{{signal="abstention"}})', SHARE),
    Column("messages", "max by (version) (byline_quality_messages)", COUNT),
    Column("signals past their threshold", f"sum by (version) ({PAST})", COUNT),
)


def row() -> Row:
    """Returns the dashboard row with the table, which has a line for each model version."""
    panel = (
        table.Panel()
        .title("Versions side by side")
        .description(
            described(
                "The latest figures of each version that answers. Accuracy needs feedback; with "
                "95 % confidence, it lies between *at least* and *at most*.",
                "During a canary, wait until the intervals of the two versions do not overlap. "
                "Then run make promote or make back.",
            )
        )
        .datasource(SOURCE)
        .unit(COUNT)
        .no_value("none yet")
        .span(24)
        .height(6)
        .targets([_target(number) for number in range(len(COLUMNS))])
        .transformations(
            [
                models.DataTransformerConfig(id_val="merge", options={}),
                models.DataTransformerConfig(id_val="organize", options=_names()),
            ]
        )
    )
    for column in COLUMNS:
        panel = panel.override_by_name(
            column.title, [models.DynamicConfigValue("unit", column.unit)]
        )
    return Row("Model versions", [panel])


def _target(number: int) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(COLUMNS[number].expr).instant().ref_id(_letter(number))
    return query.format(PromQueryFormat.TABLE)


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _names() -> dict[str, object]:
    """Returns the options with which Grafana names and orders the table's columns.

    Without these options, Grafana calls the column of query A ``Value #A``, and so on.
    """
    values = [f"Value #{_letter(number)}" for number in range(len(COLUMNS))]
    return {
        "excludeByName": {"Time": True},
        "indexByName": {name: place for place, name in enumerate(["version", *values])},
        "renameByName": dict(zip(values, (each.title for each in COLUMNS), strict=True)),
    }

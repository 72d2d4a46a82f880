"""Assembles a dashboard from rows of panels, with its variables and links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import dashboard, text
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.text import TextMode

from monitoring.dashboards.panels import SOURCE

#: Uid of the data source in compose/grafana. Without this data source, Grafana takes its first data
#: source.
DATA_SOURCE = "byline-prometheus"
#: Width of a dashboard, in columns.
_COLUMNS = 24


class Row(NamedTuple):
    """A dashboard row: a heading, and the panels below it."""

    title: str
    panels: Sequence[Any]


def choice(name: str, title: str, values: str) -> dashboard.QueryVariable:
    """Returns a Grafana variable: a list from which the reader of a dashboard chooses a value.

    ``values`` is a Grafana query for the values, such as label_values(…). ``title`` is the list's
    label.
    """
    return (
        dashboard.QueryVariable(name)
        .label(title)
        .datasource(SOURCE)
        .query(values)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def page(
    name: str,
    question: str,
    guide: str,
    rows: Sequence[Row],
    choices: Sequence[dashboard.QueryVariable] = (),
) -> models.Dashboard:
    """Returns the dashboard ``name``, which answers ``question``.

    The first of the ``rows`` shows the answer in few figures. The text ``guide`` stands below that
    row. ``choices`` are variables that only this dashboard has.
    """
    built = (
        dashboard.Dashboard(f"Byline: {name}")
        .uid(f"byline-{name}")
        .description(question)
        .tags(["byline"])
        .refresh("10s")
        .time("now-30m", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .variables([*_variables(), *choices])
        .links(_links())
    )
    for index, row in enumerate(rows):
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built = built.with_panel(panel)
        if index == 0:
            built = built.with_panel(_guide(guide))
    complete = built.build()
    for number, panel in enumerate(complete.panels or (), start=1):
        panel.id_val = number  # links to a panel contain its number
    return complete


def _guide(content: str) -> text.Panel:
    return (
        text.Panel()
        .title("How to read this")
        .mode(TextMode.MARKDOWN)
        .content(content)
        .span(_COLUMNS)
        .height(5)
    )


def _variables() -> list[Any]:
    """Returns the variables of every dashboard: the data source, and the URLs of two links.

    The links lead to Flower and to the console. The dashboard does not show the two variables, but
    a reader can change them in the dashboard's own URL.
    """
    hidden = models.VariableHide.HIDE_VARIABLE
    addresses = {"flower": "http://127.0.0.1:5555", "console": "http://127.0.0.1:8000"}
    return [
        dashboard.DatasourceVariable("datasource")
        .label("Data source")
        .type("prometheus")
        .current(models.VariableOption(text="Prometheus", value=DATA_SOURCE)),
        *(
            dashboard.TextBoxVariable(name)
            .hide(hidden)
            .default_value(url)
            .current(models.VariableOption(text=url, value=url))
            for name, url in addresses.items()
        ),
    ]


def _links() -> list[Any]:
    """Returns a dashboard's links: to the other dashboards, to Flower and to the console."""
    return [
        dashboard.DashboardLink("Byline")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(["byline"])
        .keep_time(True)
        .include_vars(True),
        *(
            dashboard.DashboardLink(title)
            .type(models.DashboardLinkType.LINK)
            .url(f"${{{title.lower()}}}")
            .tooltip(tip)
            .icon("external link")
            .target_blank(True)
            for title, tip in (
                ("Flower", "Each of Celery's tasks and workers"),
                ("Console", "Try a message and look at the queue"),
            )
        ),
    ]

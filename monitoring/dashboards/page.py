"""A dashboard as a whole: its rows of panels, its variables, and where it leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import dashboard, text
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.text import TextMode

from monitoring.dashboards.common import SOURCE

#: The data source of compose/grafana; where there is none of this uid, Grafana takes the first.
DATA_SOURCE = "byline-prometheus"
#: A dashboard's width, in columns.
_COLUMNS = 24


class Row(NamedTuple):
    """Panels under a heading."""

    title: str
    panels: Sequence[Any]


def choice(name: str, title: str, values: str) -> dashboard.QueryVariable:
    """A variable to choose one of ``values``, a query of Grafana's such as label_values(…)."""
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
    """A dashboard. The first of ``rows`` answers its question at a glance; ``guide`` follows it."""
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
    for place, row in enumerate(rows):
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built = built.with_panel(panel)
        if place == 0:
            built = built.with_panel(_guide(guide))
    made = built.build()
    for place, panel in enumerate(made.panels or (), start=1):
        panel.id_val = place  # a link to a panel names it by this
    return made


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
    """Where the data are; and where the links lead, to be changed in the dashboard's URL."""
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
    """The other dashboards, by their tag, and what else there is to look at."""
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
                ("Flower", "Celery's tasks and workers, one by one"),
                ("Console", "Try a message, look at the queue"),
            )
        ),
    ]

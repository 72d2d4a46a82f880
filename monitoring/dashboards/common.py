"""What every dashboard is made of: panels, thresholds, units, and the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    text,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

#: The label ``route`` of requests for attributions.
ROUTE = "/v1/attributions"
#: Seconds: the objective, a P95 of 55 ms.
OBJECTIVE_S = 0.055

SECONDS = "s"
BYTES = "bytes"  # Grafana's name for powers of 1024
SHARE = "percentunit"
REQUESTS = "reqps"
MESSAGES = "messages/s"
COUNT = "short"
CORES = "cores"

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"

_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
#: A dashboard's width, in columns.
_COLUMNS = 24

Steps: TypeAlias = Sequence[tuple[float, str]]


class Query(NamedTuple):
    """What is asked of Prometheus, and what its series are called."""

    expr: str
    legend: str = "__auto"


class Row(NamedTuple):
    """Panels under a heading."""

    title: str
    panels: Sequence[Any]


def low_is_good(yellow: float, red: float) -> Steps:
    """Green below ``yellow``, red from ``red`` on."""
    return ((yellow, YELLOW), (red, RED))


def described(shows: str, act: str) -> str:
    """A panel's description: what it shows, and what to do when it is red."""
    return f"{shows}\n\n**What to do:** {act}"


def number(
    title: str,
    query: str,
    unit: str,
    shows: str,
    act: str,
    *,
    steps: Steps = (),
    base: str = "",
    width: int = 3,
    none: str = "none",
    names: dict[str, str] | None = None,
    legend: str = "__auto",
) -> stat.Panel:
    """One figure, or one for each series, as it is now.

    The query is instant: a figure that exists no more is not shown as if it did, ``none`` is.
    ``base`` is the colour below all steps, ``names`` are words to show instead of values.
    """
    target = prometheus.Dataquery().expr(query).legend_format(legend).instant().ref_id("A")
    panel = (
        stat.Panel()
        .title(title)
        .description(described(shows, act))
        .datasource(_SOURCE)
        .unit(unit)
        .no_value(none)
        .span(width)
        .height(4)
        .thresholds(_thresholds(steps, base or (GREEN if steps else BLUE)))
        .color_mode(
            common_models.BigValueColorMode.BACKGROUND
            if steps or base
            else common_models.BigValueColorMode.VALUE
        )
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(target)
    )
    if names:
        words = {value: models.ValueMappingResult(text=word) for value, word in names.items()}
        panel = panel.mappings([models.ValueMap(options=words)])
    return panel


def label(title: str, query: Query, shows: str, act: str, *, width: int = 6) -> stat.Panel:
    """The names of series that exist now, instead of their numbers."""
    panel = number(title, query.expr, COUNT, shows, act, width=width, legend=query.legend)
    return panel.text_mode(common_models.BigValueTextMode.NAME)


def lines(
    title: str,
    queries: Sequence[Query],
    unit: str,
    shows: str,
    act: str,
    *,
    steps: Steps = (),
    stacked: bool = False,
    width: int = 8,
    top: float | None = None,
) -> timeseries.Panel:
    """Series over time, from zero; ``steps`` are drawn in as dashed lines."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(described(shows, act))
        .datasource(_SOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .fill_opacity(30 if stacked else 8)
        .show_points(common_models.VisibilityMode.NEVER)
        .thresholds(_thresholds(steps, GREEN))
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .targets(_targets(queries))
    )
    if steps:
        dashed = common_models.GraphThresholdsStyleMode.DASHED
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(dashed))
    if stacked:
        normal = common_models.StackingMode.NORMAL
        panel = panel.stacking(common.StackingConfig().mode(normal).group("A"))
    if top is not None:
        panel = panel.axis_soft_max(top)
    return panel


def limit_line(panel: timeseries.Panel, name: str, color: str) -> timeseries.Panel:
    """Draw the series ``name`` as what it is, a limit: dashed, neither filled nor stacked."""
    return panel.override_by_name(
        name,
        [
            models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color}),
            models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
            models.DynamicConfigValue("custom.fillOpacity", 0),
            models.DynamicConfigValue("custom.stacking", {"mode": "none", "group": "limit"}),
        ],
    )


def heat(
    title: str, buckets: str, unit: str, shows: str, act: str, *, width: int = 8
) -> heatmap.Panel:
    """A histogram over time; ``buckets`` gives a series for each ``le``."""
    query = prometheus.Dataquery().expr(buckets).legend_format("{{le}}").range().ref_id("A")
    return (
        heatmap.Panel()
        .title(title)
        .description(described(shows, act))
        .datasource(_SOURCE)
        .unit(unit)
        .span(width)
        .height(8)
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Spectral")
            .steps(64)
        )
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .cell_values(heatmap.CellValues().unit(COUNT))
        .with_target(query.format(PromQueryFormat.HEATMAP))
    )


def bars(
    title: str, query: Query, unit: str, shows: str, act: str, *, width: int = 8
) -> bargauge.Panel:
    """Series side by side, as they are now."""
    return (
        bargauge.Panel()
        .title(title)
        .description(described(shows, act))
        .datasource(_SOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .thresholds(_thresholds((), BLUE))
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(
            prometheus.Dataquery()
            .expr(query.expr)
            .legend_format(query.legend)
            .instant()
            .ref_id("A")
        )
    )


def choice(name: str, title: str, values: str) -> dashboard.QueryVariable:
    """A variable to choose one of ``values``, a query of Grafana's such as label_values(…)."""
    return (
        dashboard.QueryVariable(name)
        .label(title)
        .datasource(_SOURCE)
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
    for number_, panel in enumerate(made.panels or (), start=1):
        panel.id_val = number_  # a link to a panel names it by this
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
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
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


def _thresholds(steps: Steps, base: str) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps(
            [
                models.Threshold(value=None, color=base),
                *(models.Threshold(value=value, color=color) for value, color in steps),
            ]
        )
    )


def _targets(queries: Sequence[Query]) -> list[Any]:
    return [
        prometheus.Dataquery()
        .expr(query.expr)
        .legend_format(query.legend)
        .range()
        .ref_id(chr(ord("A") + place))
        for place, query in enumerate(queries)
    ]

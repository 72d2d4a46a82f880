"""Builds the panels of the dashboards, with their units, colours and thresholds."""

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
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

#: Value of the label ``route`` for attribution requests.
ROUTE = "/v1/attributions"
#: The latency objective in seconds: a P95 of 55 ms.
OBJECTIVE_S = 0.055

# Units. A unit has Grafana's name if Grafana knows the unit.
SECONDS = "s"
BYTES = "bytes"  # shown in powers of 1024
SHARE = "percentunit"
REQUESTS = "reqps"
MESSAGES = "messages/s"
COUNT = "short"
CORES = "cores"

GREEN = "green"
YELLOW = "yellow"
RED = "red"
BLUE = "blue"

#: The data source that the reader has chosen on the dashboard.
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

#: Pairs of a value and the colour from that value on.
Steps: TypeAlias = Sequence[tuple[float, str]]


class Query(NamedTuple):
    """A PromQL expression, and the legend of the series that it returns."""

    expr: str
    legend: str = "__auto"


def low_is_good(yellow: float, red: float) -> Steps:
    """Returns the colours of a value that should be low: pairs of a number and a colour.

    The value is yellow from the number ``yellow`` on, and red from the number ``red`` on. Smaller
    values are green.
    """
    return ((yellow, YELLOW), (red, RED))


def described(shows: str, act: str) -> str:
    """Returns a panel's description: what the panel shows, and what to do if the panel is red."""
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
    """Returns a panel with the present value of each series that a query returns.

    If there are no series, the panel shows the text ``none``. ``steps`` are pairs of a value and
    the colour from that value on; ``base`` is the colour of smaller values. ``names`` maps a value
    to the text that is shown in its place. ``shows`` and ``act`` are the two texts of the panel's
    description.
    """
    # With instant(), the panel does not show series that no longer exist.
    target = prometheus.Dataquery().expr(query).legend_format(legend).instant().ref_id("A")
    panel = (
        stat.Panel()
        .title(title)
        .description(described(shows, act))
        .datasource(SOURCE)
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
    """Returns a panel that lists the legends of a query's series, and shows no values.

    ``shows`` and ``act`` are the two texts of the panel's description.
    """
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
    """Returns a chart of series over time.

    The vertical axis begins at 0 and reaches at least ``top``. ``steps`` are pairs of a value and a
    colour; a dashed line of this colour marks the value. ``shows`` and ``act`` are the two texts of
    the panel's description.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(described(shows, act))
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .fill_opacity(30 if stacked else 8)
        .show_points(common_models.VisibilityMode.NEVER)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
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
    """Makes a chart draw its series ``name`` as a limit, and returns the chart.

    The series becomes a dashed line that is neither filled nor stacked.
    """
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
    """Returns a heat map of a histogram.

    ``buckets`` is a query that returns a series for each bucket, with the label ``le``. ``shows``
    and ``act`` are the two texts of the panel's description.
    """
    query = prometheus.Dataquery().expr(buckets).legend_format("{{le}}").range().ref_id("A")
    return (
        heatmap.Panel()
        .title(title)
        .description(described(shows, act))
        .datasource(SOURCE)
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
    """Returns a panel with a bar for the present value of each series.

    ``shows`` and ``act`` are the two texts of the panel's description.
    """
    return (
        bargauge.Panel()
        .title(title)
        .description(described(shows, act))
        .datasource(SOURCE)
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
        .ref_id(chr(ord("A") + index))
        for index, query in enumerate(queries)
    ]

"""Draws a run's plots as SVG for an HTML page.

The text of a plot stays text, and is not drawn as shapes. No two elements of the page have the same
id.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bench.report.results import Run, Second
from bench.report.terminal import batch_sizes

#: Okabe and Ito's colours, which colour-blind readers can distinguish, without the yellow, which is
#: too faint on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
BLUE = COLOURS[0]
ORANGE = COLOURS[1]
GREEN = COLOURS[2]
SKY = COLOURS[4]
RED = COLOURS[5]
NAVY = "#12324F"
INK = "#4A5561"
#: Percentiles that get a tick.
TICKS = (50.0, 90.0, 99.0, 99.9, 99.99)
#: A line of at most this number of points has a dot at each point. Without a dot, a single point
#: would be invisible.
DOTS = 90
#: Characters of the legend's labels that fit in one row above a plot.
LEGEND = 80
#: Width and height of a plot in inches. The page scales plots to its columns.
SIZE = (7.0, 3.1)
#: Width and height in inches of the plot of the accuracy.
FLAT = (7.0, 1.5)

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "byline",
    "text.parse_math": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("axes.grid", "axes.axisbelow"), True),
    "axes.edgecolor": "#C9CFD6",
    "grid.color": "#E6E9ED",
    "font.size": 9.5,
    "ytick.major.size": 0,
    "lines.linewidth": 1.7,
    "lines.markersize": 2.8,
}
#: Metadata of an SVG, without date and creator, so that the same run gives the same bytes.
METADATA: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))

T = TypeVar("T", Run, Mapping[str, Run])


class Chart(NamedTuple):
    """A plot as SVG, its title, and a description of the plot for screen readers."""

    title: str
    says: str
    svg: Markup


class _Kind(NamedTuple):
    title: str
    says: str
    draw: Callable[[Axes, Run], None]
    #: Returns whether the run has figures for the plot.
    has: Callable[[Run], object]


def of_run(run: Run, key: str) -> list[Chart]:
    """Returns the plots for which ``run`` has figures. The ids in the SVG begin with ``key``."""
    return [
        _chart(kind.title, kind.says, f"{key}-{number}", kind.draw, run)
        for number, kind in enumerate(KINDS)
        if kind.has(run)
    ]


def of_runs(runs: Mapping[str, Run], key: str) -> list[Chart]:
    """Returns the plots that show several runs together. ``runs`` maps a run's label to the run.

    The ids in the SVG begin with ``key``.
    """
    answered = {label: run for label, run in runs.items() if _curve(run)}
    if not answered:
        return []
    says = "Latency by percentile of every run. Lower is better; the right end is the slowest few."
    return [_chart("Latency of all runs", says, key, _curves, answered)]


def _chart(title: str, says: str, key: str, draw: Callable[[Axes, T], None], what: T) -> Chart:
    buffer = io.StringIO()
    # matplotlib reads the style when it makes the axes, and again when it writes them.
    with mpl.rc_context(STYLE):
        size = FLAT if draw is _quality else SIZE
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots(), what)
        figure.savefig(buffer, format="svg", metadata=METADATA, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg ") :]
    # Every plot has a figure_1 and an axes_1. Prefixes make the ids unique in the page.
    svg = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{key}-", svg)
    label = f'<svg role="img" aria-label="{escape(f"{title}. {says}")}" '
    return Chart(title, says, Markup(svg.replace("<svg ", label, 1)))


def _latency(axes: Axes, run: Run) -> None:
    at = [second.at for second in run.timeline]
    for name, colour in (("p50_ms", SKY), ("p95_ms", BLUE), ("p99_ms", NAVY)):
        found = [getattr(second, name) for second in run.timeline]
        values = [math.nan if value is None else value for value in found]
        axes.plot(at, values, color=colour, marker=_dot(at), label=name[:3].upper())
        limit = run.scenario.limits.get(name)  # type: ignore[call-overload]
        if limit is not None:
            label = f"{name[:3].upper()}'s limit"
            axes.axhline(limit, color=colour, linestyle="--", linewidth=1.1, label=label)
    _over_time(axes, "latency, ms")


def _throughput(axes: Axes, run: Run) -> None:
    at = [second.at for second in run.timeline]
    # The line of sent messages is broad and pale, so that the lines on top of it stay visible.
    sent = [second.sent for second in run.timeline]
    axes.plot(at, sent, color="#D3D8DE", linewidth=6, marker=_dot(at), label="sent")
    for name, colour in (("answered", BLUE), ("cached", GREEN), ("failed", RED)):
        values = [getattr(second, name) for second in run.timeline]
        axes.plot(at, values, color=colour, marker=_dot(at), label=name)
    _over_time(axes, "messages, msg/s")


def _memory(axes: Axes, run: Run) -> None:
    _stack(axes, run, [(s.at, {part: s.pss[part] / 1e6 for part in s.pss}) for s in run.timeline])
    _over_time(axes, "memory (PSS), MB")


def _cpu(axes: Axes, run: Run) -> None:
    _stack(axes, run, [(second.at, second.cpu) for second in run.timeline])
    _over_time(axes, "CPU, cores")


def _batches(axes: Axes, run: Run) -> None:
    sizes = batch_sizes(run.batches or {})
    axes.bar([name for name, _ in sizes], [count for _, count in sizes], color=BLUE, width=0.7)
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.set(xlabel="messages in a batch", ylabel="batches")


def _quality(axes: Axes, run: Run) -> None:
    quality = run.quality
    if quality is None:
        return
    right, interval = quality.accuracy, (quality.accuracy_low, quality.accuracy_high)
    wings = [[abs(right - end)] for end in interval]
    axes.errorbar([right], ["this run"], xerr=wings, fmt="o", color=BLUE, capsize=5, markersize=7)
    if quality.card_accuracy is not None:
        axes.plot([quality.card_accuracy], ["the card"], "D", color=ORANGE, markersize=7)
    axes.margins(x=0.35, y=0.5)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="accuracy, share of messages")


def _curves(axes: Axes, runs: Mapping[str, Run]) -> None:
    for number, (label, run) in enumerate(runs.items()):
        points = _curve(run)
        x, y = [_slower(percentile) for percentile, _ in points], [ms for _, ms in points]
        axes.plot(
            x, y, color=COLOURS[number % len(COLOURS)], label=label, marker=_dot(x, max_points=1)
        )
    end = max(_slower(percentile) for run in runs.values() for percentile, _ in _curve(run))
    axes.set_xscale("log")
    axes.set_xlim(1, max(end, 2.5))
    ticks = [percentile for percentile in TICKS if _slower(percentile) <= max(end, 2.5) * 1.001]
    axes.xaxis.set_major_locator(FixedLocator([_slower(percentile) for percentile in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{percentile:g} %" for percentile in ticks])
    axes.set(xlabel="share of messages answered faster", ylabel="latency, ms")
    _upwards(axes, legend=len(runs) > 1)


def _curve(run: Run) -> list[tuple[float, float]]:
    # On the logarithmic axis, 100 % would be infinitely far to the right.
    return [point for point in run.curve if point[0] < 100]


def _slower(percentile: float) -> float:
    """Returns n such that one of n messages is slower than a percentile: 2 for P50, 100 for P99."""
    return 100 / (100 - percentile)


def _stack(axes: Axes, run: Run, samples: Sequence[tuple[float, Mapping[str, float]]]) -> None:
    # Each sample is drawn as a step of one second, also the last sample.
    taken = [(at, sample) for at, sample in samples if sample]
    at = [each for each, _ in taken] + [taken[-1][0] + 1]
    held = [sample for _, sample in taken] + [taken[-1][1]]
    for_all = _colours(run.timeline)
    shown = [part for part in for_all if any(part in sample for sample in held)]
    values = [[sample.get(part, 0) for sample in held] for part in shown]
    colours = [for_all[part] for part in shown]
    axes.stackplot(at, *values, labels=shown, colors=colours, step="post", linewidth=0, alpha=0.9)


def _colours(timeline: Sequence[Second]) -> dict[str, str]:
    """Returns a mapping from each part to the part's colour, which is the same in all plots.

    The part with the highest peak memory comes first, and gets the first colour.
    """
    peaks: dict[str, int] = {}
    for second in timeline:
        for part in second.cpu | second.pss:
            peaks[part] = max(peaks.get(part, 0), second.pss.get(part, 0))
    parts = sorted(peaks, key=lambda part: (-peaks[part], part))
    return {part: COLOURS[number % len(COLOURS)] for number, part in enumerate(parts)}


def _over_time(axes: Axes, label: str) -> None:
    axes.set(xlabel="seconds since measuring began", ylabel=label)
    axes.margins(x=0.01)
    _upwards(axes, legend=True)


def _upwards(axes: Axes, *, legend: bool) -> None:
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    if legend:
        longest = max(len(label) for label in axes.get_legend_handles_labels()[1])
        columns = max(1, LEGEND // (longest + 5))  # the line sample of a label takes 5 characters
        axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns, handlelength=1.4)


def _thousands(value: float, _position: int | None) -> str:
    return f"{value:,.10g}"


def _dot(points: Sequence[object], max_points: int = DOTS) -> str:
    return "o" if len(points) <= max_points else ""


KINDS = (
    _Kind(
        "Latency over time",
        "Time from when a request was due until its answer was read, by the second it was due in.",
        _latency,
        lambda run: any(second.p50_ms is not None for second in run.timeline),
    ),
    _Kind(
        "Latency by percentile",
        "How long the slowest messages take: at 99 %, one message in a hundred takes longer.",
        lambda axes, run: _curves(axes, {"": run}),
        _curve,
    ),
    _Kind(
        "Throughput over time",
        "Messages by the second they were due in. Cached messages count as answered, too.",
        _throughput,
        lambda run: run.timeline,
    ),
    _Kind(
        "Memory by part",
        "Proportional set size: pages that processes share are counted once.",
        _memory,
        lambda run: any(second.pss for second in run.timeline),
    ),
    _Kind(
        "CPU by part",
        "Cores in use, stacked. The load generator's cores are in the table below.",
        _cpu,
        lambda run: any(second.cpu for second in run.timeline),
    ),
    _Kind(
        "Batch sizes",
        "How many messages the worker computed at once. Batches grow with the load.",
        _batches,
        lambda run: run.batches and any(run.batches.values()),
    ),
    _Kind(
        "Accuracy against the card",
        "Share of right answers with its 95 % interval, beside the accuracy measured at training.",
        _quality,
        lambda run: run.quality,
    ),
)

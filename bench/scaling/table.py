"""Prints a scaling study on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from bench.scaling.redis_usage import SHOWN, Cost, middle, shards
from bench.scaling.results import Point, Study, speed_ups

#: Messages a second for which the table shows how many Valkey servers are needed.
WANTED = 100_000
#: Characters in a line of the widest table.
WIDTH = 150


def show(study: Study, console: Console | None = None) -> None:
    """Prints ``study``, to standard output if no console is given."""
    console = console or Console()
    console.width = max(console.width, WIDTH)  # rich assumes 80 characters for a file
    for parts, points in (("workers", study.workers), ("api processes", study.api)):
        if points:
            console.print(_points(parts, points))
    if study.redis:
        costs = {usage.load: middle(usage.rounds) for usage in study.redis}
        console.print(_redis(costs))
        console.print(_commands(costs))
    for each in study.replays:
        console.print(
            f"'{each.load}' replayed, {each.commands:,} commands of {each.messages:,} messages: "
            f"its core is full at {each.ceiling:,.0f} messages/s"
        )


def _points(parts: str, points: Sequence[Point]) -> Table:
    heads = ("messages/s", "lowest", "highest", "times", "P95", "failed", "api", "worker", "valkey")
    table = _table(parts, *heads, "rest", "generator", "cores", "others")
    for point, times in zip(points, speed_ups(points), strict=True):
        kinds = ("api", "worker", "valkey", "rest", "generator")
        table.add_row(
            f"{point.count}, {point.load}",
            f"{point.throughput:,.0f}",
            *(f"{bound:,.0f}" for bound in point.spread),
            f"{times:.2f}",
            f"{point.middle(lambda each: each.p95_ms):,.0f} ms",
            f"{sum(each.failed for each in point.rounds):,}",
            *(f"{point.microseconds(kind):.0f} µs" for kind in kinds),
            f"{sum(map(point.cores, kinds)):.2f}",
            f"{max(each.others for each in point.rounds):.2f}",
        )
    return table


def _redis(costs: dict[str, Cost]) -> Table:
    heads = ("messages/s", "in a task", "commands", "bytes", "CPU", "main thread", "full at")
    table = _table("Valkey, a message", *heads, f"for {WANTED:,}/s")
    for load, cost in costs.items():
        table.add_row(
            load,
            f"{cost.throughput:,.0f}",
            f"{cost.per_task:,.1f}",
            f"{cost.commands:.2f}",
            f"{cost.traffic:,.0f}",
            f"{cost.all_us:.1f} µs",
            f"{cost.main_us:.1f} µs",
            f"{cost.saturation:,.0f}/s",
            str(shards(WANTED, cost.saturation)),
        )
    return table


def _commands(costs: dict[str, Cost]) -> Table:
    table = _table("commands, a message", *costs)
    names = {name for cost in costs.values() for name, calls in cost.calls.items() if calls > SHOWN}
    for name in sorted(names):
        table.add_row(name, *_calls(cost.calls.get(name, 0.0) for cost in costs.values()))
    return table


def _calls(found: Iterable[float]) -> list[str]:
    return [f"{calls:.3f}" if calls > SHOWN else "" for calls in found]


def _table(first: str, *heads: str) -> Table:
    table = Table()
    table.add_column(first)
    for head in heads:
        table.add_column(head, justify="right")
    return table

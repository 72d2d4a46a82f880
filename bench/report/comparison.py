"""Compares two runs' reports: ``python -m bench.report.comparison before.json after.json``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.report.results import Run, read
from bench.report.terminal import warnings

#: Two values count as the same if they differ by at most this share of the first value. Two runs of
#: the same system can differ by this share.
ALIKE = 0.02
#: Fields of a scenario that do not change the load.
NO_LOAD = ("title", "limits")
STYLES = {"better": "green", "worse": "red"}


class Figure(NamedTuple):
    """A figure's name and unit, and its value in each of two runs; None for a missing value."""

    name: str
    unit: str
    before: float | None
    after: float | None
    #: Whether a higher or a lower value is better; None if neither is.
    better: Literal["higher", "lower"] | None
    #: True if the difference is too small to mean anything.
    alike: bool

    @property
    def ratio(self) -> float | None:
        """The later value divided by the earlier value.

        None if a value is missing, or if the earlier value is 0.
        """
        return None if self.after is None or not self.before else self.after / self.before

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``same``: how the later run compares with the earlier run.

        Empty if a value is missing, or if neither a higher nor a lower value is better.
        """
        if self.better is None or self.before is None or self.after is None:
            return ""
        if self.alike:
            return "same"
        return "better" if (self.after > self.before) == (self.better == "higher") else "worse"


def compare(before: Run, after: Run) -> list[Figure]:
    """Returns each figure with its value in both runs, the most important figure first."""
    parts = before.pss | after.pss
    return [
        _figure("throughput", "msg/s", before.totals.throughput, after.totals.throughput, "higher"),
        *(_latency(name, before, after) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
        _figure("failed", "% of sent", _failed(before), _failed(after), "lower"),
        _figure("memory (PSS)", "MB", _memory(before), _memory(after), "lower"),
        *(
            _figure(f"  {part}", "MB", _memory(before, part), _memory(after, part))
            for part in parts
        ),
        _accuracy(before, after),
        _figure("generator's CPU", "cores", before.generator.cpu, after.generator.cpu, None),
    ]


def obstacles(before: Run, after: Run) -> list[str]:
    """Returns sentences on why the runs may not be comparable; empty if they are comparable."""
    scenarios = _differences(before.scenario, after.scenario, leave_out=NO_LOAD)
    found = [f"The scenarios differ: {difference}." for difference in scenarios]
    machines = _differences(before.machine, after.machine)
    found += [f"The machines differ: {difference}." for difference in machines]
    if before.model_version != after.model_version:
        versions = f"{_word(before.model_version)} and {_word(after.model_version)}"
        found.append(f"The model's versions differ: {versions}.")
    for name, run in (("before", before), ("after", after)):
        found += [f"In the run {name}: {warning}" for warning in warnings(run)]
    return found


def show(before: Run, after: Run, console: Console | None = None) -> None:
    """Prints the figures of both runs, and warnings if the runs may not be comparable."""
    console = console or Console()
    table = Table(title="Before and after", title_justify="left", title_style="bold")
    table.add_column("")
    for heading in (_heading("before", before), _heading("after", after), Text("ratio")):
        table.add_column(heading, justify="right")
    table.add_column("after is")
    for figure in compare(before, after):
        verdict = Text(figure.verdict, style=STYLES.get(figure.verdict, ""))
        ratio = "–" if figure.ratio is None else f"{figure.ratio:.2f}"
        values = (Text(_value(value, figure.unit)) for value in (figure.before, figure.after))
        table.add_row(Text(figure.name), *values, ratio, verdict)
    console.print(table)
    for obstacle in obstacles(before, after):
        console.print(Text(f"WARNING: {obstacle}", style="yellow"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares the two reports that the command line names, and prints the figures.

    Exits with status 2 if a file is not a report.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.report.comparison", description=__doc__)
    parser.add_argument("before", type=Path, help="a report, JSON")
    parser.add_argument("after", type=Path, help="another report, JSON")
    options = parser.parse_args(arguments)
    try:
        before, after = read(options.before), read(options.after)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    show(before, after)
    return 0


def _figure(
    name: str,
    unit: str,
    before: float | None,
    after: float | None,
    better: Literal["higher", "lower"] | None = "lower",
) -> Figure:
    known = before is not None and after is not None
    alike = known and abs((after or 0) - (before or 0)) <= ALIKE * abs(before or 0)
    return Figure(name, unit, before, after, better, alike)


def _latency(name: str, before: Run, after: Run) -> Figure:
    # A run without answers has no latency. The zeros in its report must not count as the fastest.
    values = [
        getattr(run.latency, name) if run.totals.answered else None for run in (before, after)
    ]
    words = {"p50_ms": "P50", "p95_ms": "P95", "p99_ms": "P99", "max_ms": "longest"}
    return _figure(words[name], "ms", *values)


def _failed(run: Run) -> float | None:
    failed = sum(run.totals.failed.values())
    return 100 * failed / run.totals.sent if run.totals.sent else None


def _memory(run: Run, part: str | None = None) -> float | None:
    size = run.pss.get(part) if part else sum(run.pss.values()) or None
    return None if size is None else size / 1e6


def _accuracy(before: Run, after: Run) -> Figure:
    first, second = before.quality, after.quality
    if first is None or second is None:
        known = [None if quality is None else quality.accuracy for quality in (first, second)]
        return Figure("accuracy", "", known[0], known[1], "higher", alike=False)
    # The accuracies count as different only if their intervals do not overlap, so that chance does
    # not explain the difference.
    apart = first.accuracy_high < second.accuracy_low or second.accuracy_high < first.accuracy_low
    return Figure("accuracy", "", first.accuracy, second.accuracy, "higher", alike=not apart)


def _differences(
    before: msgspec.Struct, after: msgspec.Struct, leave_out: Sequence[str] = ()
) -> list[str]:
    return [
        f"{name.replace('_', ' ')} {_word(old)} and {_word(new)}"
        for name in before.__struct_fields__
        if name not in leave_out and (old := getattr(before, name)) != (new := getattr(after, name))
    ]


def _word(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items()) or "none"
    return "unset" if value is None else f"{value}"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    digits = {"msg/s": 1, "ms": 2, "% of sent": 2, "MB": 0, "cores": 2}.get(unit, 3)
    return f"{value:,.{digits}f} {unit}".rstrip()


def _heading(word: str, run: Run) -> Text:
    day, _, time = run.started.partition("T")
    return Text(f"{word}\n{run.name}\n{run.system}\n{day}\n{time}".rstrip())


if __name__ == "__main__":
    sys.exit(main())

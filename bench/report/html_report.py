"""Renders one or more runs of load tests as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report import charts, terminal
from bench.report.results import FORMAT, Run

TEMPLATE = "report.html.j2"


class Tile(NamedTuple):
    """A headline figure: its name, the number, its unit, and a note below."""

    name: str
    value: str
    unit: str = ""
    note: str = ""


class Section(NamedTuple):
    """The section of the HTML page that shows one run."""

    key: str
    label: str
    run: Run
    tiles: list[Tile]
    charts: list[charts.Chart]
    figures: list[tuple[str, str]]
    settings: list[tuple[str, str]]
    machine: list[tuple[str, str]]
    warnings: list[str]


def render(runs: Sequence[Run]) -> str:
    """Returns the HTML page for ``runs`` as text. The same runs always give the same text.

    Raises:
        ValueError: there is no run.
    """
    if not runs:
        raise ValueError("a report needs at least one run")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    labels = _labels(runs)
    sections = [
        _section(f"run{number}", label, run)
        for number, (label, run) in enumerate(zip(labels, runs, strict=True), 1)
    ]
    together = charts.of_runs(dict(zip(labels, runs, strict=True)), "runs") if runs[1:] else []
    page = environment.get_template(TEMPLATE)
    return page.render(sections=sections, together=together, format=FORMAT)


def write(runs: Sequence[Run], path: Path) -> None:
    """Writes the HTML page for ``runs`` to the file ``path``.

    Raises:
        OSError: the file can't be written.
        ValueError: there is no run.
    """
    path.write_text(render(runs), encoding="utf-8")


def _labels(runs: Sequence[Run]) -> list[str]:
    if len(runs) == 1:
        return [runs[0].name]
    return [f"{number}. {run.name}, {run.system}" for number, run in enumerate(runs, 1)]


def _section(key: str, label: str, run: Run) -> Section:
    return Section(
        key=key,
        label=label,
        run=run,
        tiles=list(_tiles(run)),
        charts=charts.of_run(run, key),
        figures=list(_figures(run)),
        settings=list(_settings(run)),
        machine=list(_machine(run)),
        warnings=terminal.warnings(run),
    )


def _tiles(run: Run) -> Iterator[Tile]:
    sent = f"{run.totals.answered:,} of {run.totals.sent:,} answered"
    yield Tile("Throughput", f"{run.totals.throughput:,.0f}", "msg/s", sent)
    yield _latency(run, "P50", "p50_ms", "half took less")
    yield _latency(run, "P95", "p95_ms", "19 of 20 took less")
    yield _latency(run, "P99", "p99_ms", "99 of 100 took less")
    failed = sum(run.totals.failed.values())
    yield Tile("Failed", f"{failed:,}", "", f"{terminal.share(failed, run.totals.sent)} of sent")
    yield _memory(run)
    if run.quality:
        yield Tile("Accuracy", f"{run.quality.accuracy:.3f}", "", terminal.agreement(run.quality))
    else:
        yield Tile("Accuracy", "–", "", "not measured")


def _latency(run: Run, name: str, field: str, note: str) -> Tile:
    if not run.totals.answered:
        return Tile(name, "–", "", "nothing was answered")
    limit = run.scenario.limits.get(field)  # type: ignore[call-overload]
    value, unit = terminal.milliseconds(getattr(run.latency, field)).split()
    return Tile(name, value, unit, note if limit is None else f"{note}; limit {limit:g} ms")


def _memory(run: Run) -> Tile:
    if not run.pss:
        return Tile("Memory", "–", "", "not measured")
    value, unit = terminal.megabytes(sum(run.pss.values())).split()
    return Tile("Memory", value, unit, "PSS of all parts, at the peak")


def _figures(run: Run) -> Iterator[tuple[str, str]]:
    totals, found = run.totals, run.latency
    yield "Requests", f"{totals.requests:,}"
    yield "From the cache", f"{totals.cached:,} ({terminal.share(totals.cached, totals.answered)})"
    for kind, count in sorted(totals.failed.items(), key=lambda item: -item[1]):
        yield f"Failed: {kind}", f"{count:,} ({terminal.share(count, totals.sent)})"
    if totals.answered:
        latencies = {"mean": found.mean_ms, "P90": found.p90_ms, "P99.9": found.p999_ms}
        for name, value in (latencies | {"longest": found.max_ms}).items():
            yield f"Latency, {name}", terminal.milliseconds(value)
    for part, size in run.pss.items():
        yield f"Memory, {part}", terminal.megabytes(size)
    yield from _quality(run)
    yield "Generator, CPU", f"{run.generator.cpu:.2f} cores"
    yield "Generator, lateness P99", terminal.milliseconds(run.generator.late_p99_ms)


def _quality(run: Run) -> Iterator[tuple[str, str]]:
    quality = run.quality
    if quality is None:
        return
    yield "Accuracy", f"{quality.accuracy:.3f} of {quality.messages:,} messages"
    yield "95 % interval", f"{quality.accuracy_low:.3f} to {quality.accuracy_high:.3f}"
    card = quality.card_coverage
    beside = "" if card is None else f"; the card's is {card:.3f}"
    yield "Get an author", f"{quality.coverage:.3f}{beside}"
    yield "Of those are right", f"{quality.accuracy_when_answered:.3f}"
    yield "Calibration error", f"{quality.calibration_error:.3f}"


def _settings(run: Run) -> Iterator[tuple[str, str]]:
    scenario = run.scenario
    yield "Load", terminal.load(scenario)
    if run.beside is not None:
        yield "The other key", terminal.other_key(run.beside)
    yield "Messages", f"{terminal.messages(scenario.mix)}; seed {scenario.mix.seed}"
    yield "At most", f"{scenario.most_messages:,} messages"
    yield "Model", f"{scenario.model}, version {run.model_version or 'unknown'}"
    for name, value in scenario.settings.items():
        yield name, value
    for name, limit in scenario.limits.items():
        yield f"Limit of {name}", f"{limit:,g}"


def _machine(run: Run) -> Iterator[tuple[str, str]]:
    machine = run.machine
    yield "Processor", f"{machine.processor}, {machine.cores} cores"
    yield "Memory", f"{machine.memory_bytes / 1e9:,.1f} GB"
    yield "System", machine.system
    yield "Python", machine.python

"""Prints the report of a run on the terminal.

The functions that put figures into words also serve the HTML report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.load.scenario import Mix, Scenario
from bench.report.results import Quality, Run, Totals

#: CPU time of the generator in cores, above which the generator may have limited the figures.
GENERATOR_CPU = 0.5
#: P99 in milliseconds of the time from when a request was due until it was sent, above which the
#: generator may have limited the figures.
GENERATOR_LATE_MS = 5.0
#: Characters of the longest bar.
BAR = 30


def show(run: Run, console: Console | None = None) -> None:
    """Prints the report of ``run``, to standard output if no console is given."""
    console = console or Console()
    # Text, not str: rich could take parts of a title or of an error's code as markup.
    console.print()
    console.print(Text.assemble((run.name, "bold"), f" · {run.system} · {run.started}"))
    console.print(Text(run.scenario.title, style="italic"))
    console.print()
    console.print(_figures(run))
    console.print()
    for text in _verdicts(run):
        console.print(text)


def warnings(run: Run) -> list[str]:
    """Returns sentences on why the figures of ``run`` may mislead; empty if they do not mislead."""
    found = []
    if run.interrupted:
        found.append(
            f"The run was interrupted: {run.seconds:g} s of {run.scenario.seconds:g} s were "
            "measured."
        )
    if run.generator.cpu > GENERATOR_CPU:
        found.append(
            f"The load generator used {run.generator.cpu:.2f} cores, more than {GENERATOR_CPU:g}: "
            "it may have limited the figures."
        )
    if run.generator.late_p99_ms > GENERATOR_LATE_MS:
        found.append(
            f"Requests left late, P99 {milliseconds(run.generator.late_p99_ms)}, more than "
            f"{milliseconds(GENERATOR_LATE_MS)}: the load generator may have limited the figures."
        )
    if run.quality and run.quality.agrees is False:
        found.append("The accuracy differs from the card's by more than chance allows.")
    return found


def milliseconds(value: float) -> str:
    """Returns milliseconds as text with about three digits and the unit."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} ms"


def megabytes(size: float) -> str:
    """Returns a size in bytes as text in MB, which are millions of bytes."""
    return f"{size / 1e6:,.0f} MB"


def load(scenario: Scenario) -> str:
    """Returns a scenario's load in words: its rate or connections, its requests, its duration."""
    if scenario.rate is None:
        pace = f"closed loop, {scenario.connections:,} connections"
    else:
        under_way = f"at most {scenario.connections:,} requests under way"
        pace = f"open loop, {scenario.rate:,.10g} msg/s, {under_way}"
    size = "single messages" if scenario.bulk == 1 else f"{scenario.bulk} messages a request"
    way = "over HTTP" if scenario.way == "http" else "as Celery tasks"
    time = f"{scenario.seconds:g} s after {scenario.warmup_seconds:g} s of warm-up"
    return f"{pace}; {size} {way}; {time}{_beside(scenario)}"


def _beside(scenario: Scenario) -> str:
    if scenario.beside is None:
        return ""
    many = f"{scenario.beside.connections:,} connections, {scenario.beside.bulk} messages a request"
    return f"; beside it another key, closed loop, {many}"


def other_key(totals: Totals) -> str:
    """Returns a text on the second load: its rate, and how many of its messages failed.

    The second load has an API key of its own. ``totals`` has the figures of the second load.
    """
    failed = sum(totals.failed.values())
    return f"{totals.throughput:,.1f} msg/s answered; {failed:,} messages refused or promised"


def messages(mix: Mix) -> str:
    """Returns a text on the mix of new and repeated messages."""
    if not mix.repeats:
        return "every message is new"
    zipf = f"Zipf, exponent {mix.exponent:g}"
    return f"{100 * mix.repeats:g} % drawn from {mix.population:,} ({zipf}), every other one is new"


def share(part: float, whole: float) -> str:
    """Returns ``part`` in per cent of ``whole``, as text; a dash if ``whole`` is 0."""
    return f"{100 * part / whole:.2f} %" if whole else "–"


def batch_sizes(batches: Mapping[str, int]) -> list[tuple[str, int]]:
    """Returns a list of pairs: a range of batch sizes, such as ``5–8``, and a number of batches.

    The ranges are in ascending order. ``batches`` maps the upper bound of a range to the number of
    batches in the range.
    """
    classes, lowest = [], 1
    for bound in sorted(batches, key=float):
        if float(bound) == float("inf"):
            classes.append((f"{lowest}+", batches[bound]))
            continue
        highest = int(float(bound))
        name = f"{highest}" if highest <= lowest else f"{lowest}–{highest}"
        classes.append((name, batches[bound]))
        lowest = highest + 1
    return classes


def agreement(quality: Quality) -> str:
    """Returns a text that compares the run's accuracy with the accuracy in the model's card."""
    if quality.card_accuracy is None:
        return "the card has none to compare with"
    words = {True: ": they agree", False: ": they do not agree", None: ""}
    return f"the card's is {quality.card_accuracy:.3f}{words[quality.agrees]}"


def _figures(run: Run) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in _rows(run):
        table.add_row(Text(name), Text(value))
    return table


def _rows(run: Run) -> Iterator[tuple[str, str]]:
    yield "load", load(run.scenario)
    yield "messages", messages(run.scenario.mix)
    yield "model", run.model_version or "version unknown"
    yield "machine", f"{run.machine.processor}, {run.machine.cores} cores, {run.machine.system}"
    yield "throughput", f"{run.totals.throughput:,.1f} msg/s"
    yield "answered", _of_sent(run, run.totals.answered)
    yield "from cache", f"{run.totals.cached:,} ({share(run.totals.cached, run.totals.answered)})"
    yield "failed", _of_sent(run, sum(run.totals.failed.values()))
    for kind, count in sorted(run.totals.failed.items(), key=lambda item: -item[1]):
        yield "", f"{count:,} {kind}"
    yield "latency", _latency(run)
    if run.beside is not None:
        yield "other key", other_key(run.beside)
    yield from _quality(run.quality)
    yield "memory (PSS)", _memory(run.pss)
    yield from _batches(run.batches)
    late = milliseconds(run.generator.late_p99_ms)
    yield "generator", f"{run.generator.cpu:.2f} cores, P99 {late} late"


def _of_sent(run: Run, count: int) -> str:
    return f"{count:,} of {run.totals.sent:,} sent ({share(count, run.totals.sent)})"


def _latency(run: Run) -> str:
    if not run.totals.answered:
        return "none: nothing was answered"
    found = run.latency
    figures = {
        "P50": found.p50_ms,
        "P90": found.p90_ms,
        "P95": found.p95_ms,
        "P99": found.p99_ms,
        "P99.9": found.p999_ms,
        "max": found.max_ms,
        "mean": found.mean_ms,
    }
    return ", ".join(f"{name} {milliseconds(value)}" for name, value in figures.items())


def _quality(quality: Quality | None) -> Iterator[tuple[str, str]]:
    if quality is None:
        yield "quality", "not measured"
        return
    interval = f"95 % interval {quality.accuracy_low:.3f} to {quality.accuracy_high:.3f}"
    yield "accuracy", f"{quality.accuracy:.3f}, {interval}; {agreement(quality)}"
    right = f"of those {quality.accuracy_when_answered:.3f} are right"
    yield "", f"{quality.coverage:.3f} get an author, {right}"
    yield "", f"calibration error {quality.calibration_error:.3f}, {quality.messages:,} messages"


def _memory(pss: Mapping[str, int]) -> str:
    if not pss:
        return "not measured"
    parts = ", ".join(f"{name} {megabytes(size)}" for name, size in pss.items())
    return f"{megabytes(sum(pss.values()))} at the peak: {parts}"


def _batches(batches: Mapping[str, int] | None) -> Iterator[tuple[str, str]]:
    if not batches or not any(batches.values()):
        yield "batches", "none known"
        return
    highest = max(batches.values())
    sizes = batch_sizes(batches)
    wide = max(len(name) for name, _ in sizes)
    for number, (name, count) in enumerate(sizes):
        bar = "█" * round(BAR * count / highest) or ("▏" if count else "")
        yield "" if number else "batches of", f"{name:>{wide}}  {bar:<{BAR}} {count:,}"


def _verdicts(run: Run) -> Iterator[Text]:
    for limit in run.broken_limits:
        yield Text(f"LIMIT BROKEN: {limit}", style="bold red")
    if run.scenario.limits and not run.broken_limits:
        yield Text("Every limit was kept.", style="green")
    if not run.scenario.limits:
        yield Text("No limits were set.", style="dim")
    for warning in warnings(run):
        yield Text(f"WARNING: {warning}", style="yellow")
    if not run.interrupted:
        yield Text(f"The run was not interrupted: {run.seconds:g} s were measured.", style="dim")

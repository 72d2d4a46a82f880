"""Prints the comparison of Byline and its peers as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from rich.console import Console

from bench.faults.loss import Loss
from bench.peers.measurement_schedule import BYLINE, Figures

#: Parts of Byline that only monitor. Their memory is shown separately.
MONITORING = ("flower", "exporter", "monitor")
QUANTILES = ("p50_ms", "p95_ms", "p99_ms")
HEADER = (
    "| messages/s | goodput, unique | Byline's is | ceiling | goodput, Zipf | ceiling "
    "| goodput, bulk of 64 | ceiling | failed |"
)


def show(
    rounds: Mapping[str, Sequence[Figures]],
    losses: Mapping[str, Loss | str],
    console: Console,
) -> None:
    """Prints Markdown tables of throughput, of latency and memory, and of lost messages.

    The first two tables show the medians of ``rounds``. ``losses`` has the outcome of each system's
    messages, or the reason why there is no outcome.
    """
    console.print("\n".join(throughput(rounds)), soft_wrap=True)
    console.print("\n".join(steady(rounds)), soft_wrap=True)
    console.print("\n".join(kept(losses)), soft_wrap=True)


def throughput(rounds: Mapping[str, Sequence[Figures]]) -> list[str]:
    """Returns the lines of the throughput table: goodput and ceiling in messages per second.

    Goodput is the highest rate that the system holds (see :mod:`bench.load.goodput`). The ceiling
    is the rate that a closed loop reaches.
    """
    lines = [
        "",
        HEADER,
        "|---|---|---|---|---|---|---|---|---|",
    ]
    ours = _goodput(rounds.get(BYLINE, ()), "unique")
    for name, figures in rounds.items():
        if not figures:
            lines.append(f"| {name} | did not run |||||||")
            continue
        theirs = _goodput(figures, "unique")
        times = f"{ours / theirs:.1f} ×" if ours and theirs and name != BYLINE else ""
        cells = [_rate(theirs), times, _rate(_ceiling(figures, "unique"))]
        for mix in ("zipf", "bulk"):
            cells += [_rate(_goodput(figures, mix)), _rate(_ceiling(figures, mix))]
        failed = median(max(m.failed for m in f.mixes.values()) for f in figures)
        cells.append(f"{failed:.2%}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def steady(rounds: Mapping[str, Sequence[Figures]]) -> list[str]:
    """Returns the lines of the table of latency and memory at the steady rate."""
    lines = [
        "",
        "| at 500 msg/s | P50 | P95 | P99 | failed | PSS + monitoring |",
        "|---|---|---|---|---|---|",
    ]
    for name, figures in rounds.items():
        if figures:
            ms = [_median(figures, lambda f, q=q: getattr(f, q)) for q in QUANTILES]
            failed = _median(figures, lambda f: f.steady_failed)
            serving = _median(figures, lambda f: _pss(f) - _pss(f, MONITORING))
            watching = _median(figures, lambda f: _pss(f, MONITORING))
            memory = f"{serving:,.0f} MB" + (f" + {watching:,.0f} MB" if watching else "")
            cells = [*(f"{value:,.0f} ms" for value in ms), f"{failed:.1%}", memory]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def kept(losses: Mapping[str, Loss | str]) -> list[str]:
    """Returns the lines of the third table: messages lost after the model's process was killed."""
    lines = [
        "",
        "| model process killed with -9 | sent | answered | answered later | lost | serves again |",
        "|---|---|---|---|---|---|",
    ]
    for name, loss in losses.items():
        if isinstance(loss, str):
            lines.append(f"| {name} | {loss.splitlines()[0]} |||||")
            continue
        reasons = ", ".join(f"{count} {reason}" for reason, count in loss.lost.items())
        lost = f"{sum(loss.lost.values())}" + (f" ({reasons})" if reasons else "")
        again = "never" if loss.recovered_s is None else f"after {loss.recovered_s:.1f} s"
        lines.append(f"| {name} | {loss.sent} | {loss.answered} | {loss.kept} | {lost} | {again} |")
    return lines


def _goodput(figures: Sequence[Figures], mix: str) -> float | None:
    found = [f.mixes[mix].goodput or 0.0 for f in figures if mix in f.mixes]
    return (median(found) or None) if found else None


def _ceiling(figures: Sequence[Figures], mix: str) -> float | None:
    found = [f.mixes[mix].ceiling for f in figures if mix in f.mixes]
    return median(found) if found else None


def _median(figures: Sequence[Figures], of: Callable[[Figures], float]) -> float:
    return median(of(each) for each in figures)


def _pss(figures: Figures, parts: Sequence[str] | None = None) -> float:
    """Returns the memory of some parts, or of all parts, in megabytes.

    The memory is the proportional set size: shared memory is divided among the processes that
    share it.
    """
    return sum(size for part, size in figures.pss.items() if parts is None or part in parts) / 1e6


def _rate(rate: float | None) -> str:
    return "none held" if rate is None else f"{rate:,.0f}"

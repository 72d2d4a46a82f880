"""The results of ``make chaos`` as Markdown: one row for each case, and an overview."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.chaos.cells import PHASES, SIGNALS
from bench.chaos.strikes import Result

HEADER = """
| part | phase | signal | served again, or ended, after s | all parts after s | accepted | lost | verdict |
|---|---|---|---|---|---|---|---|"""  # noqa: E501


def row(result: Result) -> str:
    """Returns the table row of one case."""
    cell = result.cell
    verdict = "; ".join(result.complaints) or "well"
    fields = (
        *(cell.part, cell.phase, cell.signal, _seconds(result.served_s), _seconds(result.whole_s)),
        *(f"{result.accepted}", f"{sum(result.lost.values())}", verdict.replace("|", "/")),
    )
    return f"| {' | '.join(fields)} |"


def table(results: Iterable[Result]) -> str:
    """Returns the table of all results as Markdown."""
    return "\n".join((HEADER, *map(row, results)))


def overview(results: Sequence[Result]) -> str:
    """Returns the seconds of each part and phase for SIGKILL, SIGSTOP and SIGTERM, as Markdown.

    The seconds of a failed case are bold.
    """
    found = {(r.cell.part, r.cell.phase, r.cell.signal): _brief(r) for r in results}
    parts = dict.fromkeys(part for part, _, _ in found)
    lines = [f"| {' | '.join(('part', *PHASES))} |", "|---" * (len(PHASES) + 1) + "|"]
    for part in parts:
        fields = (
            " / ".join(found.get((part, phase, name), "–") for name in SIGNALS) for phase in PHASES
        )
        lines.append(f"| {' | '.join((part, *fields))} |")
    return "\n".join(lines)


def _brief(result: Result) -> str:
    seconds = _seconds(result.served_s)
    return f"**{seconds}**" if result.complaints else seconds


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f}"

"""The results of ``make chaos`` as Markdown: one row for each case, and an overview."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.chaos.cells import PHASES, SIGNALS
from bench.chaos.strikes import Result

HEADER = """
| part | phase | signal | served again, or ended, after s | all parts after s | accepted | lost | verdict |
|---|---|---|---|---|---|---|---|"""  # noqa: E501


def row(result: Result) -> str:
    """Returns the row of one case in the Markdown table."""
    cell = result.cell
    verdict = "; ".join(result.complaints) or "well"
    fields = (
        *(cell.part, cell.phase, cell.signal, _seconds(result.served_s), _seconds(result.whole_s)),
        *(f"{result.accepted}", f"{sum(result.lost.values())}", verdict.replace("|", "/")),
    )
    return f"| {' | '.join(fields)} |"


def table(results: Iterable[Result]) -> str:
    """Returns the results of all cases as a Markdown table."""
    return "\n".join((HEADER, *map(row, results)))


def overview(results: Sequence[Result]) -> str:
    """Returns a Markdown table of the seconds until Byline served again, or ended, in each case.

    Rows are parts, and columns are phases. A field has the seconds for SIGKILL, SIGSTOP and
    SIGTERM. The seconds of failed cases are bold.
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

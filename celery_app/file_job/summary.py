"""The summary at the end of a file job."""

from __future__ import annotations

from celery_app.file_job.progress import clock
from celery_app.file_job.results import Counts


def summary(counts: Counts, before: int, seconds: float, out: str) -> list[str]:
    """Returns the lines of the summary.

    ``before`` is the number of rows that had results when this process started: 0, unless the job
    was interrupted before. ``seconds`` is the time that this process took. ``out`` is the output
    as the user named it.
    """
    rate = (counts.rows - before) / seconds
    earlier = f", {before:,} of them before this start" if before else ""
    errors = sum(counts.errors.values())
    by_code = ", ".join(f"{code} {rows:,}" for code, rows in sorted(counts.errors.items()))
    lines = [
        f"{counts.rows:,} rows{earlier}; {clock(seconds)}, {rate:,.0f} rows/s",
        (
            f"{counts.attributions:,} attributions with an author; {counts.abstentions:,} "
            f"abstentions, whose author is null; {errors:,} errors"
            f"{f': {by_code}' if errors else ''}"
        ),
    ]
    return lines if out == "-" else [*lines, f"the results are in {out}"]

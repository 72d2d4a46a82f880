"""The progress of a file job as a bar on a terminal. Needs the package rich."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from celery_app.file_job.progress import Rate, figures
from celery_app.file_job.results import Counts


class BarReport:
    """A progress bar with percentage, time left, number of rows, and rows per second."""

    def __init__(self, size: int | None, counts: Counts) -> None:
        """``size`` is the size of the input: bytes, or rows of Parquet; None if unknown.

        ``counts`` says how far the job is at the start.
        """
        self._console = Console(stderr=True)
        self._progress = Progress(
            BarColumn(24),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            refresh_per_second=2,  # the job updates the bar as often
        )
        self._task = self._progress.add_task("", total=size, completed=counts.offset)
        self._rate = Rate(counts.rows)
        #: The reason that the last line gave for a wait; empty while results come.
        self._waits = ""
        self._rows = counts.rows
        self._progress.start()

    def update(self, counts: Counts) -> None:
        """Shows the progress."""
        if counts.rows != self._rows:
            self._rows, self._waits = counts.rows, ""
        words = figures(counts, self._rate.of(counts.rows))
        self._progress.update(self._task, completed=counts.offset, description=words)

    def waits(self, reason: str) -> None:
        """Prints why no results come.

        Prints nothing if the last line gave the same reason and no result has come since.
        """
        if reason != self._waits:
            self._waits = reason
            self.say(f"waits: {reason}")

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        self._console.print(f"byline: {line}", soft_wrap=True, highlight=False, markup=False)

    def close(self) -> None:
        """Stops updating the bar. The bar stays on the terminal."""
        self._progress.stop()

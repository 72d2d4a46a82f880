"""Shows the progress of a file job on stderr: as a bar on a terminal, otherwise as lines."""

from __future__ import annotations

import sys
import time
from collections import deque
from importlib.util import find_spec
from typing import Protocol

from celery_app.file_job.results import Counts

#: Seconds between two lines of progress, and between two lines that say what the job waits for.
LINE_S = 15.0
#: Seconds over which the rate is measured.
RATE_S = 15.0


class Report(Protocol):
    """Shows how far a job is. Only one thread may call the methods."""

    def update(self, counts: Counts) -> None:
        """Shows the progress."""

    def waits(self, reason: str) -> None:
        """Shows that no results come at present, and the reason."""

    def say(self, line: str) -> None:
        """Prints a line about the job."""

    def close(self) -> None:
        """Ends the display. Call this before the program prints anything else."""


class Rate:
    """Measures how fast a number grows per second, over the last ``RATE_S`` seconds."""

    def __init__(self, value: int) -> None:
        #: Monotonic seconds and values, the oldest first.
        self._seen = deque([(time.monotonic(), value)])

    def of(self, value: int) -> float:
        """Records the present value of the number, and returns its growth per second."""
        now = time.monotonic()
        self._seen.append((now, value))
        while len(self._seen) > 2 and self._seen[1][0] <= now - RATE_S:
            self._seen.popleft()
        then, before = self._seen[0]
        return (value - before) / (now - then) if now > then else 0.0


class LineReport:
    """Prints a line of progress every ``LINE_S`` seconds, which suits a log file."""

    def __init__(self, size: int | None, counts: Counts) -> None:
        """``size`` is the size of the input: bytes, or rows of Parquet; None if unknown.

        ``counts`` says how far the job is at the start.
        """
        self._size = size
        self._rows, self._units = Rate(counts.rows), Rate(counts.offset)
        self._printed_at = time.monotonic()
        #: The reason that the last line gave for a wait; empty while results come.
        self._waits = ""
        self._waits_at = counts.rows

    def update(self, counts: Counts) -> None:
        """Prints a line of progress if results come and the last line is old enough."""
        rate, units = self._rows.of(counts.rows), self._units.of(counts.offset)
        if counts.rows != self._waits_at:
            self._waits_at, self._waits = counts.rows, ""
        if time.monotonic() >= self._printed_at + LINE_S and not self._waits:
            self.say(figures(counts, rate) + self._left(counts, units))

    def waits(self, reason: str) -> None:
        """Prints why no results come.

        Prints nothing if the last line gave the same reason less than ``LINE_S`` seconds ago and no
        result has come since.
        """
        if reason != self._waits or time.monotonic() >= self._printed_at + LINE_S:
            self._waits = reason
            self.say(f"waits: {reason}")

    def say(self, line: str) -> None:
        """Prints a line."""
        self._printed_at = time.monotonic()
        print(f"byline: {line}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Does nothing, because each printed line is complete."""

    def _left(self, counts: Counts, units: float) -> str:
        if not self._size:
            return ""
        share = f", {counts.offset / self._size:.0%}"
        return f"{share}, {clock((self._size - counts.offset) / units)} left" if units else share


def figures(counts: Counts, rate: float) -> str:
    """Returns the number of rows and the rows per second, such as ``1,200 rows, 300/s``."""
    return f"{counts.rows:,} rows, {rate:,.0f}/s"


def clock(seconds: float) -> str:
    """Returns a duration as hours, minutes and seconds, such as ``1:02:03``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"


def make_report(size: int | None, counts: Counts) -> Report:
    """Returns a progress bar, or a :class:`LineReport` without a terminal or without rich.

    ``size`` is the size of the input: bytes, or rows of Parquet; None if unknown. ``counts`` says
    how far the job is at the start.
    """
    if sys.stderr.isatty() and find_spec("rich") is not None:
        from celery_app.file_job.bar import BarReport  # noqa: PLC0415 - rich

        return BarReport(size, counts)
    return LineReport(size, counts)

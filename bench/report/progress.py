"""The line that shows how a load goes while it runs."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench.load import generator
from bench.load.scenario import Scenario

#: Where there is no terminal to draw on, a line is printed every so many seconds.
PLAIN_S = 5


class Line:
    """A bar with the time left, the rate, the last second's P95 and what failed."""

    def __init__(self, console: Console, name: str, scenario: Scenario) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
        )
        self._console = console
        self._name = name
        self._told = 0
        self._scenario = scenario
        self._last = 0
        total = scenario.warmup_seconds + scenario.seconds
        self._task = self._progress.add_task(name, total=total, figures="warming up")

    def __enter__(self) -> Line:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, told: generator.Progress) -> None:
        """Shows what the generator told, which it does once a second."""
        rate = (told.requests - self._last) * self._scenario.bulk
        self._last = told.requests
        p95 = "" if told.p95 is None else f", P95 {told.p95 * 1e3:.0f} ms"
        figures = f"{rate:,} msg/s{p95}, {told.failed:,} failed" if told.requests else "warming up"
        self._told += 1
        if not self._console.is_terminal and self._told % PLAIN_S == 0:
            self._console.print(f"{self._name}: {figures}")
        self._progress.update(self._task, advance=1, figures=figures)

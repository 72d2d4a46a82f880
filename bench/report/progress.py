"""The progress line on the terminal while a load runs."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench.load import generator
from bench.load.scenario import Scenario

#: Seconds between two lines, if the output is not a terminal.
PLAIN_S = 5


class Line:
    """A progress bar with the time left, the rate, the last second's P95 latency, and failures."""

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
        self._reports = 0
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

    def show(self, now: generator.Progress) -> None:
        """Shows ``now``, the newest counts of the load generator.

        Has to be called once a second: each call moves the progress bar by one second.
        """
        rate = (now.requests - self._last) * self._scenario.bulk
        self._last = now.requests
        p95 = "" if now.p95 is None else f", P95 {now.p95 * 1e3:.0f} ms"
        figures = f"{rate:,} msg/s{p95}, {now.failed:,} failed" if now.requests else "warming up"
        self._reports += 1
        if not self._console.is_terminal and self._reports % PLAIN_S == 0:
            self._console.print(f"{self._name}: {figures}")
        self._progress.update(self._task, advance=1, figures=figures)

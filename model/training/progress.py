"""Shows the progress of a training: bars on a terminal, lines anywhere else, such as in a log."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

#: Number of lines between the start and the end of a step.
LINES = 10


class LineProgress(Progress):
    """Prints a line when a step begins, after each tenth of the step, and when the step ends."""

    def __init__(self, console: Console) -> None:
        super().__init__(console=console, disable=True)
        self._told: dict[TaskID, int] = {}

    def add_task(self, description: str, *args: Any, **options: Any) -> TaskID:
        """Adds a step, and prints its beginning."""
        task = super().add_task(description, *args, **options)
        self._told[task] = 0
        self._print(f"{description}: begins")
        return task

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Changes a step. If the step has reached another tenth, prints the step's progress."""
        super().update(task_id, **changes)
        task = self._tasks[task_id]
        tenths = int(task.percentage * LINES / 100 + 1e-9)
        if tenths > self._told[task_id]:
            self._told[task_id] = tenths
            self._print(f"{task.description}: {tenths * 100 // LINES} %, {task.elapsed or 0:.0f} s")

    def _print(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)


def make_progress(console: Console) -> Progress:
    """Returns a display of progress: bars if the console is a terminal, otherwise lines."""
    if not console.is_terminal:
        return LineProgress(console)
    return Progress(
        TextColumn("{task.description:<36}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
    )

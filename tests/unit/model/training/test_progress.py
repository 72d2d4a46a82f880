"""Progress of a training: lines in a log file, bars on a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from model.training.progress import LineProgress, make_progress


def test_log_file_gets_a_line_for_each_tenth_of_a_step() -> None:
    log = StringIO()
    with make_progress(Console(file=log, width=40)) as progress:
        task = progress.add_task("n-grams [1], all training data of the corpus", total=1.0)
        for step in range(101):
            progress.update(task, completed=step / 100)
        progress.update(progress.add_task("baseline", total=None), total=1, completed=1)
    lines = log.getvalue().splitlines()
    assert lines[0] == "n-grams [1], all training data of the corpus: begins"
    assert [line.split(": ")[1].split(" %")[0] for line in lines[1:11]] == [
        str(share) for share in range(10, 101, 10)
    ]
    assert lines[11:] == ["baseline: begins", "baseline: 100 %, 0 s"]


def test_terminal_gets_bars() -> None:
    terminal = Console(file=StringIO(), force_terminal=True)
    assert not isinstance(make_progress(terminal), LineProgress)

"""Tests of the tables of ``make chaos``."""

from __future__ import annotations

from collections import Counter

from bench.chaos import report
from bench.chaos.cells import Cell
from bench.chaos.strikes import Result


def result(**given: object) -> Result:
    return Result(Cell("worker", "running", "KILL"), **given)  # type: ignore[arg-type]


def test_a_row_shows_the_result_and_its_complaints() -> None:
    assert report.row(result(served_s=1.25, whole_s=2.0, accepted=50)) == (
        "| worker | running | KILL | 1.2 | 2.0 | 50 | 0 | well |"
    )
    lost = result(accepted=50, lost=Counter({"HTTP 404": 2}), complaints=["a | b", "c"])
    assert report.row(lost) == "| worker | running | KILL | – | – | 50 | 2 | a / b; c |"


def test_the_overview_shows_three_signals_in_a_field_and_failures_in_bold() -> None:
    stopped = Result(Cell("worker", "stopping", "TERM"), 3.0, complaints=["left behind"])
    lines = report.overview([result(served_s=1.0), stopped]).splitlines()
    assert lines[0] == "| part | starting | warming | sample | running | stopping |"
    assert lines[2:] == [
        "| worker | – / – / – | – / – / – | – / – / – | 1.0 / – / – | – / – / **3.0** |"
    ]

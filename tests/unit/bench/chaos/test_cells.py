"""Tests of the cases of ``make chaos``."""

from __future__ import annotations

import pytest

from bench.chaos.cells import PHASES, SIGNALS, Cell, matrix
from bench.load.recorder import BROKEN


def test_the_matrix_has_each_part_in_each_phase_by_each_signal_once() -> None:
    cells = list(matrix(["valkey", "worker"]))
    assert len(set(cells)) == len(cells) == 4 * len(PHASES) * len(SIGNALS)
    assert {cell.part for cell in cells} == {"valkey", "worker", "supervisord", "runner"}
    phases = [cell.phase for cell in cells]
    assert phases == sorted(phases, key=PHASES.index)


@pytest.mark.parametrize(
    ("cell", "ends", "by_hand", "exit_status"),
    [
        (Cell("worker", "running", "KILL"), False, False, 0),
        (Cell("worker", "stopping", "KILL"), True, False, 0),
        (Cell("supervisord", "stopping", "KILL"), True, False, 0),
        (Cell("runner", "running", "KILL"), False, True, -9),
        (Cell("runner", "warming", "TERM"), True, False, 0),
        (Cell("runner", "running", "STOP"), False, False, 0),
        (Cell("runner", "stopping", "KILL"), True, False, -9),
        (Cell("runner", "stopping", "TERM"), True, False, 0),
    ],
    ids=str,
)
def test_a_case_says_how_the_system_has_to_end(
    cell: Cell, ends: bool, by_hand: bool, exit_status: int
) -> None:
    assert (cell.ends, cell.started_by_hand, cell.exit_status) == (ends, by_hand, exit_status)


def test_a_killed_part_and_the_parts_it_started_are_replaced() -> None:
    assert Cell("flower", "running", "KILL").replaced == {"flower"}
    assert Cell("flower", "running", "TERM").replaced == {"flower"}
    assert Cell("flower", "running", "STOP").replaced == set()
    assert Cell("flower", "stopping", "KILL").replaced == set()
    assert Cell("runner", "running", "STOP").replaced == set()
    assert Cell("runner", "running", "TERM").replaced == set()
    for part in ("supervisord", "runner"):
        vital = {"supervisord", "valkey", "worker", "api"}
        assert Cell(part, "running", "KILL").replaced == vital


def test_connections_may_break_only_where_the_api_ends() -> None:
    broken = {
        cell.part for cell in matrix(["api", "worker", "valkey"]) if BROKEN in cell.allowed_reasons
    }
    assert broken == {"api", "worker", "valkey", "supervisord", "runner"}
    running = {
        cell.part
        for cell in matrix(["api", "worker", "valkey"])
        if cell.phase != "stopping" and BROKEN in cell.allowed_reasons
    }
    assert running == {"api", "supervisord", "runner"}

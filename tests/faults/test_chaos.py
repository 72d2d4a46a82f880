"""Some cells of the matrix of ``make chaos``: at least one for each phase and each signal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.chaos.cells import Cell
from bench.chaos.strikes import Strikes

#: Seconds within which the system must serve again. Other tests may run at the same time.
WITHIN_S = 90.0

CELLS = (
    Cell("worker", "running", "KILL"),
    Cell("supervisord", "running", "KILL"),
    Cell("supervisord", "stopping", "STOP"),
    Cell("worker", "starting", "KILL"),
    Cell("runner", "warming", "KILL"),
    Cell("valkey", "sample", "TERM"),
)


@pytest.fixture(scope="module")
def strikes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strikes]:
    strikes = Strikes(tmp_path_factory.mktemp("chaos"), WITHIN_S)
    try:
        strikes.prepare()
        yield strikes
    finally:
        strikes.close()


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_system_serves_again_and_loses_no_message_after_a_fault(
    cell: Cell, strikes: Strikes, tmp_path: Path
) -> None:
    result = strikes.strike(cell, tmp_path / "logs")
    assert result.complaints == [], result
    assert result.accepted > 0
    assert result.served_s is not None

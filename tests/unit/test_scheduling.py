"""The tables of slow tests name existing files. Tests that share a run stay in one process."""

from __future__ import annotations

import pytest

from tests.parts import ROOT
from tests.scheduling import RUNNING, SLOW, SPREAD, unit


def test_each_file_of_the_tables_exists() -> None:
    assert [file for file in SLOW if not (ROOT / file).is_file()] == []
    assert len(set(SLOW)) == len(SLOW)
    assert set(SLOW) >= SPREAD


def test_all_files_whose_tests_share_a_run_stay_together() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests" / "e2e").rglob("test_*.py")
        if "running: Run" in path.read_text("utf-8")
    }
    assert found == set(RUNNING)
    assert {unit(f"{file}::test_it") for file in found} == {"running"}


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/faults/test_chaos.py::test_it[a::b]", "tests/faults/test_chaos.py"),
        ("tests/e2e/test_bench.py::test_it[a::b]", "tests/e2e/test_bench.py::test_it[a::b]"),
    ],
)
def test_a_file_is_a_unit_unless_its_tests_are_spread(nodeid: str, name: str) -> None:
    assert unit(nodeid) == name

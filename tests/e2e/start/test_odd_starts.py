"""Byline starts and serves in every odd but documented way.

Each start combines several odd ways that do not hide each other's effects. With ``ODD_STARTS=all``,
each way has its own start.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import UP, Run
from tests.e2e.start.odd import ODD, Start, attribute
from tests.parts import Stack, wait_for

ALL = os.environ.get("ODD_STARTS") == "all"
#: Seconds that a start may take, while other tests run.
STARTS_S = 180
SECRET = "aeiou, nobody else may read this about aubergines"

TOGETHER = (
    ("keys_file", "odd_state_folder", "long_temporary_folder", "dead_proxy", "no_prometheus"),
    ("short_waits", "two_workers", "all_addresses", "debug_log", "little_cache"),
    ("short_texts", "two_processes", "one_at_a_time", "nohup"),
    ("a_model_that_raises", "prometheus", "stdout_closed"),
    ("memory_critical",),
    ("a_backlog", "ipv6"),
    ("own_redis", "own_cache", "short_results", "hurried"),
)


def test_the_combined_starts_have_every_odd_start() -> None:
    assert sorted(name for names in TOGETHER for name in names) == sorted(ODD)
    assert len(ODD) >= 20


@pytest.mark.parametrize("names", [(name,) for name in ODD] if ALL else TOGETHER, ids="+".join)
def test_an_odd_start_serves(
    names: tuple[str, ...], tmp_path: Path, own: Stack, runs: list[Run]
) -> None:
    start = Start(tmp_path, own)
    for name in names:
        ODD[name](start)
    runs.append(run := start.run())

    def answered() -> bool:
        return not run.part.alive or attribute(run, SECRET).status_code == start.status

    wait_for(answered, STARTS_S, f"status {start.status}")
    wait_for(lambda: not start.heard or UP in run.output or not run.part.alive, STARTS_S, UP)
    assert run.part.alive, run.output
    assert attribute(run, SECRET).status_code == start.status
    for check in start.checks:
        check(run)
    assert "Traceback" not in run.output
    assert "aubergines" not in _told(run)

    if run.part.alive:
        assert run.interrupt() < 15
    assert run.part.process.returncode == 0
    assert run.processes() == []
    assert run.listening() == []


def _told(run: Run) -> str:
    """Returns the output of the runner, and all logs."""
    logs = (Path(run.env["BYLINE_STATE_DIR"]) / "logs").glob("*")
    return run.output + "".join(log.read_text(errors="replace") for log in logs)

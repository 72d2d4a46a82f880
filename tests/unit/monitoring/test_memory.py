"""Memory: the levels, and that nothing is counted twice. Processes and Redis are fakes here."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from celery_app.settings import GIB
from monitoring import pressure, processes
from monitoring.memory import Gauge, Limits

MB = 2**20


class Server:
    """Redis, as far as it says what it takes."""

    def info(self) -> dict[str, Any]:
        return {"used_memory_rss": 50 * MB, "process_id": 3}


def gauge(limits: Limits, url: str = "redis://127.0.0.1:1/0") -> Gauge:
    client: Any = Server()
    sizes = {1: 10 * MB, 2: 300 * MB, 3: 50 * MB}
    return Gauge(
        1, client, url, limits, lambda root: [1, 2, 3], lambda pids: sum(sizes[pid] for pid in pids)
    )


def test_of_48_gib_the_limits_are_those_promised() -> None:
    limits = Limits.of(48 * GIB, 0.7, 0.85)
    assert limits.warning / GIB == pytest.approx(33.6, abs=1e-9)
    assert limits.critical / GIB == pytest.approx(40.8, abs=1e-9)


def test_a_level_is_left_a_little_below_its_limit() -> None:
    limits = Limits(warning=700, critical=850)
    assert [limits.level(used, "ok") for used in (699, 700, 849, 850)] == [
        *("ok", "warning", "warning", "critical")
    ]
    assert limits.level(849, "critical") == "critical"
    assert limits.level(800, "critical") == "warning"
    assert limits.level(699, "warning") == "warning"
    assert limits.level(600, "warning") == "ok"


def test_the_servers_process_is_no_part_of_the_app() -> None:
    memory = gauge(Limits(400 * MB, 500 * MB)).look({})
    assert memory.components == {"app": 310 * MB, "redis": 50 * MB}
    assert memory.used == 360 * MB
    assert memory.level == "ok"


def test_what_metal_holds_is_the_machines_and_counted_once() -> None:
    memory = gauge(Limits(340 * MB, 500 * MB)).look({"mps": 200 * MB})
    assert memory.components == {"app": 110 * MB, "redis": 50 * MB, "mps": 200 * MB}
    assert memory.used == 360 * MB
    assert memory.level == "warning"


def test_what_a_gpu_of_its_own_holds_is_shown_and_not_the_machines() -> None:
    memory = gauge(Limits(400 * MB, 500 * MB)).look({"cuda": 9000 * MB})
    assert memory.components["cuda"] == 9000 * MB
    assert memory.used == 360 * MB


def test_a_server_elsewhere_takes_nothing_here() -> None:
    memory = gauge(Limits(400 * MB, 500 * MB), "redis://cache.example:6379/0").look({})
    assert memory.components["redis"] == 50 * MB
    assert memory.used == 310 * MB


def test_what_is_told_is_read_as_it_was() -> None:
    memory = gauge(Limits(300 * MB, 500 * MB)).look({})
    assert pressure.read(pressure.encode(memory)) == memory
    assert pressure.read(None) is None
    assert pressure.read(b'{"level": "none"}') is None


def test_a_process_that_takes_memory_is_seen_with_all_its_descendants() -> None:
    """Real processes: a child that starts a child that takes 64 MB."""
    take = "import sys; kept = b'x' * (64 << 20); print('taken', flush=True); sys.stdin.read()"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {take!r}])"
    before = processes.sum_of(processes.family(os.getpid()))
    with subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"taken\n"
        family = processes.family(child.pid)
        assert len(family) == 2
        taken = processes.sum_of(family)
        assert 64 * MB < taken < 120 * MB
        assert processes.sum_of(processes.family(os.getpid())) > before + 64 * MB
        assert processes.resident(family[1]) >= processes.memory(family[1])
        child.communicate(b"")
    assert processes.sum_of(family) == 0
    assert processes.family(family[0]) == []


def test_the_machines_memory_is_no_more_than_its_own() -> None:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < processes.total() <= pages

"""Memory has levels, and no memory is counted twice. Most tests use fake processes and Redis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import ConnectionError as RedisConnectionError

from celery_app.settings import GIB
from monitoring.instruments import processes
from monitoring.monitor.memory import Limits, MemoryMeter
from monitoring.state import machine_memory

MB = 2**20


class Server:
    """Stands in for Redis and reports its memory, unless it is down."""

    is_down = False

    def info(self) -> dict[str, Any]:
        if self.is_down:
            raise RedisConnectionError("gone")
        return {"used_memory_rss": 50 * MB, "process_id": 3}


def meter(
    limits: Limits,
    url: str = "redis://127.0.0.1:1/0",
    contained: bool = False,
    server: Server | None = None,
) -> MemoryMeter:
    client: Any = server or Server()
    sizes = {1: 10 * MB, 2: 300 * MB, 3: 50 * MB}
    return MemoryMeter(
        1,
        client,
        url,
        limits,
        lambda root: [3] if root == 3 else [1, 2, 3],
        lambda pids: sum(sizes[pid] for pid in pids),
        contained,
    )


def test_limits_of_48_gib_are_those_in_the_docs() -> None:
    limits = Limits.of(48 * GIB, 0.7, 0.85)
    assert limits.warning / GIB == pytest.approx(33.6, abs=1e-9)
    assert limits.critical / GIB == pytest.approx(40.8, abs=1e-9)


def test_level_ends_three_percent_below_its_limit() -> None:
    limits = Limits(warning=700, critical=850)
    assert [limits.level(used, "ok") for used in (699, 700, 849, 850)] == [
        *("ok", "warning", "warning", "critical")
    ]
    assert limits.level(849, "critical") == "critical"
    assert limits.level(800, "critical") == "warning"
    assert limits.level(699, "warning") == "warning"
    assert limits.level(600, "warning") == "ok"


def test_memory_reported_by_other_containers_is_added() -> None:
    contained = meter(Limits(700 * MB, 1000 * MB), "redis://valkey:6379/0", contained=True)
    # Process 3 here is a process of this container. The Redis process with the same id is in
    # another container.
    memory = contained.measure({"mps": 100 * MB}, reported=200 * MB)
    assert memory.components == {"app": 560 * MB, "redis": 50 * MB, "mps": 100 * MB}
    assert (memory.used, memory.level) == (710 * MB, "warning")


def test_redis_process_is_not_part_of_app() -> None:
    memory = meter(Limits(400 * MB, 500 * MB)).measure({})
    assert memory.components == {"app": 310 * MB, "redis": 50 * MB}
    assert memory.used == 360 * MB
    assert memory.level == "ok"


def test_metal_memory_is_counted_once() -> None:
    memory = meter(Limits(340 * MB, 500 * MB)).measure({"mps": 200 * MB})
    assert memory.components == {"app": 110 * MB, "redis": 50 * MB, "mps": 200 * MB}
    assert memory.used == 360 * MB
    assert memory.level == "warning"


def test_gpu_memory_is_shown_and_not_counted() -> None:
    memory = meter(Limits(400 * MB, 500 * MB)).measure({"cuda": 9000 * MB})
    assert memory.components["cuda"] == 9000 * MB
    assert memory.used == 360 * MB


def test_redis_on_another_machine_is_shown_and_not_counted() -> None:
    memory = meter(Limits(400 * MB, 500 * MB), "redis://cache.example:6379/0").measure({})
    assert memory.components["redis"] == 50 * MB
    # A local process may have the same id as the Redis process on the other machine.
    assert memory.components["app"] == memory.used == 360 * MB


def test_last_figure_is_used_while_redis_does_not_answer() -> None:
    server = Server()
    measuring = meter(Limits(400 * MB, 500 * MB), server=server)
    first = measuring.measure({})
    server.is_down = True
    assert measuring.measure({}) == first


def test_measurement_is_read_as_it_was_written() -> None:
    memory = meter(Limits(300 * MB, 500 * MB)).measure({})
    assert machine_memory.read(machine_memory.encode(memory)) == memory
    assert machine_memory.read(None) is None
    for odd in (b'{"level": "none"}', b"{", b"\xff", b"[" * 100_000, b"[]"):
        assert machine_memory.read(odd) is None


def test_memory_of_all_descendants_is_measured() -> None:
    """Real processes: a child starts a child that takes 64 MB."""
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


def test_smallest_control_group_limit_is_the_total(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits of control groups version 2 and 1, of the group itself and of its parents."""
    groups = tmp_path / "cgroup"
    groups.write_text("4:cpu,memory:/docker/abc\n0::/system.slice/byline.service\n")
    newer, older = tmp_path / "v2", tmp_path / "v1"
    (newer / "system.slice" / "byline.service").mkdir(parents=True)
    (older / "docker" / "abc").mkdir(parents=True)
    limits = (("", newer, "memory.max"), ("memory", older, "memory.limit_in_bytes"))
    monkeypatch.setattr(processes, "_GROUPS", groups)
    monkeypatch.setattr(processes, "_LIMITS", limits)
    machine = processes.total()
    (newer / "system.slice" / "byline.service" / "memory.max").write_text("max\n")
    assert processes.total() == machine
    (newer / "system.slice" / "memory.max").write_text(f"{600 * MB}\n")
    assert processes.total() == 600 * MB
    (older / "docker" / "abc" / "memory.limit_in_bytes").write_text(f"{500 * MB}\n")
    assert processes.total() == 500 * MB


def test_total_is_at_most_the_machines_memory() -> None:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < processes.total() <= pages

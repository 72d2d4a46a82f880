"""Forked processes (see ``tests.forking``) behave like processes that Python starts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.forking.process import ForkedProcess
from tests.parts import Part, Stack

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="processes are forked there")


def both(own: Stack, start: Callable[[], Part]) -> list[Part]:
    """Starts a part twice: first by Python, then forked."""
    parts = []
    for own.may_fork in (False, True):
        parts.append(start())
        assert isinstance(parts[-1].process, ForkedProcess) == own.may_fork
    return parts


def files(part: Part) -> set[str]:
    """Returns the open files of a part, and which kinds of other descriptors it has.

    The number of sockets changes with the connections to Redis.
    """
    folder = Path(f"/proc/{part.process.pid}/fd")
    targets = set()
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # a connection has been closed in the meantime
            targets.add(str(file.readlink()).partition(":[")[0])
    return targets - {str(part.log)}


def libraries(part: Part) -> set[str]:
    """Returns the shared libraries that a part has loaded."""
    lines = Path(f"/proc/{part.process.pid}/maps").read_text().splitlines()
    return {line.split()[-1] for line in lines if ".so" in line}


def signals(part: Part) -> list[str]:
    """Returns which signals a part blocks, ignores and catches."""
    lines = Path(f"/proc/{part.process.pid}/status").read_text().splitlines()
    return [line for line in lines if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]


def test_a_forked_worker_has_the_files_libraries_and_signals_of_a_started_one(own: Stack) -> None:
    started, forked = both(own, lambda: own.worker(name=f"forks-{own.may_fork}".lower()))
    assert files(started) == files(forked)
    assert libraries(started) == libraries(forked)
    assert signals(started) == signals(forked)
    for part in (started, forked):
        assert os.getsid(part.process.pid) == os.getpgid(part.process.pid) == part.process.pid
        assert psutil.Process(part.process.pid).cwd() == str(Path.cwd())


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGTERM, 0), (signal.SIGKILL, -9)])
def test_a_forked_worker_ends_with_the_status_of_a_started_one(
    own: Stack, sign: int, status: int
) -> None:
    started, forked = both(own, lambda: own.worker(name=f"forks-{own.may_fork}".lower()))
    assert [part.stop(sign) for part in (started, forked)] == [status, status]


@pytest.mark.parametrize("module", ["api", "celery_app.worker"])
def test_a_forked_process_refuses_a_setting_like_a_started_one(own: Stack, module: str) -> None:
    started, forked = both(own, lambda: own.start_worker(module=module, BYLINE_PROT="1"))
    assert [part.process.wait(30) for part in (started, forked)] == [2, 2]
    # Both write to the same log.
    first, second = forked.output.strip().splitlines()
    assert first == second
    assert "BYLINE_PROT is not a setting" in first


def test_an_environment_for_libraries_makes_python_start_the_process(own: Stack) -> None:
    worker = own.start_worker(OMP_NUM_THREADS="1", BYLINE_REDIS_URL="")
    assert not isinstance(worker.process, ForkedProcess)
    assert worker.process.wait(30) == 2

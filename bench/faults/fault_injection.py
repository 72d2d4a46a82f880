"""Functions that break a running Byline, for example by killing a process or filling a disk.

If a fault lasts :data:`LASTS_S` seconds, its function returns at once, and the fault ends later by
itself. The functions act only on the test's own processes, and need no privileges.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from redis import Redis

from bench.system.system import NotRunning, Started

#: A function that breaks something in the system that is its argument.
Strike = Callable[[Started], None]

#: Seconds for which a process is frozen, the disk full, or the model slow.
LASTS_S = 5.0
#: Number of api processes that :func:`restart_api` replaces.
API = 2
#: Seconds within which a stopped process has to be replaced on a busy machine.
AGAIN_S = 60.0


def kill(part: str) -> Strike:
    """Returns a function that kills the first process of a part of Byline with SIGKILL."""
    return lambda system: os.kill(first_pid(system, part), signal.SIGKILL)


def freeze(part: str) -> Strike:
    """Returns a function that stops the first process of a part of Byline with SIGSTOP.

    The process continues after ``LASTS_S`` seconds.
    """

    def strike(system: Started) -> None:
        pid = first_pid(system, part)
        os.kill(pid, signal.SIGSTOP)
        _later(os.kill, pid, signal.SIGCONT)

    return strike


def cut_connections(system: Started) -> None:
    """Makes Valkey close all client connections, even during a blocking command such as BRPOP."""
    with Redis.from_url(system.redis) as client:
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def fill_disk(system: Started) -> None:
    """Makes writes to Valkey's append-only file fail for ``LASTS_S`` seconds, as on a full disk.

    Works only on Linux.
    """
    pid = first_pid(system, "valkey")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    # Writes above this file size fail, and Valkey reacts as to a full disk. So the test needs no
    # separate disk.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    _later(resource.prlimit, pid, resource.RLIMIT_FSIZE, before)


def trouble_file(system: Started) -> Path:
    """Returns the path of the file that can make the test model slow, or make it hang."""
    return system.folder / "trouble"


def slow_model(system: Started) -> None:
    """For ``LASTS_S`` seconds, makes each forward pass of the test model half a second longer."""
    file = trouble_file(system)
    file.write_text("slow")
    _later(file.unlink)


def hang_model(system: Started) -> None:
    """Makes one forward pass of the test model hang for ever."""
    trouble_file(system).write_text("hang")


def restart_api(system: Started) -> None:
    """Replaces the api's two processes as an upgrade does. Waits until the old processes end."""
    before = set(system.parts()["api"])
    os.kill(first_pid(system, "api"), signal.SIGHUP)
    _wait(lambda: len(before - set(system.parts()["api"])) >= API, "the api's processes to go")


def restart_workers(system: Started) -> None:
    """Replaces the workers one after the other, as an upgrade does.

    Stops a worker, waits until a new worker takes its place, and goes on to the next worker.
    """
    for part in [part for part in system.parts() if part.startswith("worker")]:
        before = first_pid(system, part)
        os.kill(before, signal.SIGTERM)
        _wait(lambda: first_pid(system, part) != before, f"another {part}")  # noqa: B023
        since = time.time()
        _wait(lambda: _at_work(system, since), "all workers to be at work")  # noqa: B023


def first_pid(system: Started, part: str) -> int:
    """Returns the id of a part's first process. The part's other processes descend from it.

    Raises:
        NotRunning: Byline has no part of this name.
    """
    pids = system.parts().get(part)
    if not pids:
        raise NotRunning(f"Byline has no part {part}: {', '.join(system.parts())}")
    return pids[0]


def _at_work(system: Started, since: float) -> bool:
    """Returns whether every worker has reported itself alive after ``since``, a Unix time."""
    with Redis.from_url(system.redis) as client:
        return int(client.zcount("byline:workers", since, "+inf")) >= len(system.model_pids())


def _wait(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + AGAIN_S
    while not condition():
        if time.monotonic() > until:
            raise NotRunning(f"waited {AGAIN_S:g} s in vain for {what}")
        time.sleep(0.1)  # between two checks, until the deadline


def _later(action: Callable[..., object], *arguments: object) -> None:
    timer = threading.Timer(LASTS_S, _undo, (action, arguments))
    timer.daemon = True
    timer.start()


def _undo(action: Callable[..., object], arguments: tuple[object, ...]) -> None:
    # Another fault may have ended the process meanwhile.
    with suppress(ProcessLookupError, FileNotFoundError):
        action(*arguments)

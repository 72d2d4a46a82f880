"""Functions that break a part of a running Byline: kill, freeze, fill the disk, slow the model.

Most return at once; a fault that lasts undoes itself after :data:`LASTS_S` seconds. They act only
on processes that the test has started, and need no privileges.
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

#: Breaks something in the system that it gets.
Strike = Callable[[Started], None]

#: Seconds for which a process is frozen, the disk full, or the model slow.
LASTS_S = 5.0
#: Processes of the api that :func:`restart_api` replaces.
API = 2
#: Seconds within which a process that was told to stop is replaced, on a busy machine.
AGAIN_S = 60.0


def kill(part: str) -> Strike:
    """Returns a fault that kills a part with SIGKILL."""
    return lambda system: os.kill(first(system, part), signal.SIGKILL)


def freeze(part: str) -> Strike:
    """Returns a fault that freezes a part with SIGSTOP, and lets it continue after a while."""

    def strike(system: Started) -> None:
        pid = first(system, part)
        os.kill(pid, signal.SIGSTOP)
        _later(os.kill, pid, signal.SIGCONT)

    return strike


def cut_connections(system: Started) -> None:
    """Makes Valkey close all client connections, those of blocking commands included."""
    with Redis.from_url(system.redis) as client:
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def fill_disk(system: Started) -> None:
    """Makes each write to Valkey's append-only file fail, as on a full disk.

    The function limits the size of the files that Valkey may write. Valkey treats this error as it
    treats a full disk, and no extra disk is needed. Linux only.
    """
    pid = first(system, "valkey")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    _later(resource.prlimit, pid, resource.RLIMIT_FSIZE, before)


def trouble(system: Started) -> Path:
    """Returns the file whose content tells the test model to be slow or to hang."""
    return system.folder / "trouble"


def slow_model(system: Started) -> None:
    """Makes each forward pass take half a second longer."""
    file = trouble(system)
    file.write_text("slow")
    _later(file.unlink)


def hang_model(system: Started) -> None:
    """Makes one forward pass hang for ever."""
    trouble(system).write_text("hang")


def restart_api(system: Started) -> None:
    """Replaces the api's two processes one after the other, as for an upgrade, and waits."""
    before = set(system.parts()["api"])
    os.kill(first(system, "api"), signal.SIGHUP)
    _wait(lambda: len(before - set(system.parts()["api"])) >= API, "the api's processes to go")


def restart_workers(system: Started) -> None:
    """Stops one worker after the other, as for an upgrade, and waits for each successor."""
    for part in [part for part in system.parts() if part.startswith("worker")]:
        before = first(system, part)
        os.kill(before, signal.SIGTERM)
        _wait(lambda: first(system, part) != before, f"another {part}")  # noqa: B023
        since = time.time()
        _wait(lambda: _at_work(system, since), "all workers to be at work")  # noqa: B023


def first(system: Started, part: str) -> int:
    """Returns the first process of a part, the parent of its other processes.

    Raises:
        NotRunning: there is no such part.
    """
    pids = system.parts().get(part)
    if not pids:
        raise NotRunning(f"Byline has no part {part}: {', '.join(system.parts())}")
    return pids[0]


def _at_work(system: Started, since: float) -> bool:
    """Returns whether every worker has reported to be alive after ``since``, in Unix time."""
    with Redis.from_url(system.redis) as client:
        return int(client.zcount("byline:workers", since, "+inf")) >= len(system.model_pids())


def _wait(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + AGAIN_S
    while not condition():
        if time.monotonic() > until:
            raise NotRunning(f"waited {AGAIN_S:g} s in vain for {what}")
        time.sleep(0.1)  # between two looks, until the deadline


def _later(action: Callable[..., object], *arguments: object) -> None:
    timer = threading.Timer(LASTS_S, _undo, (action, arguments))
    timer.daemon = True
    timer.start()


def _undo(action: Callable[..., object], arguments: tuple[object, ...]) -> None:
    # Another fault may have ended the process meanwhile.
    with suppress(ProcessLookupError, FileNotFoundError):
        action(*arguments)

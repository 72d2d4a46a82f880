"""What may break, and how it is broken: each takes the system under load, and returns at once.

What lasts for a while is undone by itself. All of it is done to processes that were started for
the purpose, and needs no privileges.
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

#: Breaks something.
Strike = Callable[[Started], None]

#: Seconds for which a process is frozen, a disk full, a model slow.
LASTS_S = 5.0
#: Processes of the api that are replaced.
API = 2
#: Seconds in which a process that was told to stop is replaced, on a busy machine.
AGAIN_S = 60.0


def kill(part: str) -> Strike:
    """Kills a part with -9."""
    return lambda system: os.kill(first(system, part), signal.SIGKILL)


def freeze(part: str) -> Strike:
    """Stops a part where it is; it goes on after a while, and knows nothing of it."""

    def strike(system: Started) -> None:
        pid = first(system, part)
        os.kill(pid, signal.SIGSTOP)
        _later(os.kill, pid, signal.SIGCONT)

    return strike


def cut_connections(system: Started) -> None:
    """Have Redis close all connections, those on which it is waited for included."""
    with Redis.from_url(system.redis) as client:
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def fill_disk(system: Started) -> None:
    """Have no write to the append-only file succeed, as on a full disk.

    By a limit of the size of a process's files: an error that Valkey treats alike, and that needs
    no disk of its own. Linux only.
    """
    pid = first(system, "valkey")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    _later(resource.prlimit, pid, resource.RLIMIT_FSIZE, before)


def trouble(system: Started) -> Path:
    """Returns the file that tells the model, where it is one made for it, to get into trouble."""
    return system.folder / "trouble"


def slow_model(system: Started) -> None:
    """Have each forward pass take half a second more."""
    file = trouble(system)
    file.write_text("slow")
    _later(file.unlink)


def hang_model(system: Started) -> None:
    """Have one forward pass never return."""
    trouble(system).write_text("hang")


def restart_api(system: Started) -> None:
    """Have the api's two processes replaced one after the other, as for an upgrade, and wait."""
    before = set(system.parts()["api"])
    os.kill(first(system, "api"), signal.SIGHUP)
    _wait(lambda: len(before - set(system.parts()["api"])) >= API, "the api's processes to go")


def restart_workers(system: Started) -> None:
    """Tell one worker after the other to stop, as for an upgrade, and wait for its successor."""
    for part in [part for part in system.parts() if part.startswith("worker")]:
        before = first(system, part)
        os.kill(before, signal.SIGTERM)
        _wait(lambda: first(system, part) != before, f"another {part}")  # noqa: B023
        since = time.time()
        _wait(lambda: _at_work(system, since), "all workers to be at work")  # noqa: B023


def first(system: Started, part: str) -> int:
    """Returns the process that a part began with.

    Raises:
        NotRunning: there is no such part.
    """
    pids = system.parts().get(part)
    if not pids:
        raise NotRunning(f"Byline has no part {part}: {', '.join(system.parts())}")
    return pids[0]


def _at_work(system: Started, since: float) -> bool:
    """Returns whether every worker has given a sign of life since then, in Unix time."""
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
    # Ended meanwhile, by another fault.
    with suppress(ProcessLookupError, FileNotFoundError):
        action(*arguments)

"""An instance of Byline that ``make chaos`` interrupts, and starts again on the same folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

from bench.chaos.cells import DAEMON, RUNNER
from bench.chaos.ledger import get, post
from bench.system.processes import listens
from bench.system.system import PORTS, UP, UP_S, NotRunning, Started
from bench.system.usage import PROC

T = TypeVar("T")

#: The port names of the monitoring programs that `make run` starts if they are installed.
WATCHING = ("PROMETHEUS", "ALERTMANAGER", "REDIS_EXPORTER")
#: The name of a part's port, by the name of the part. Other ports have the name of their part.
PORT = {"valkey": "REDIS", "worker": "METRICS"}
#: A model of a few numbers, which loads at once. So only the parts and torch take time to start.
MODEL = "tests.models:Vowels"
#: The line that the runner prints before it sends its sample message.
SAMPLE = "byline: sample message"
#: The lines in which supervisord logs the process id of each started process, and of itself.
SPAWNED = re.compile(r"spawned: '([\w-]+)' with pid (\d+)|(supervisord) started with pid (\d+)")
#: A library that is in a worker's memory map once the worker has begun to load its model.
LOADS = "libtorch"
#: Seconds between two checks of the system.
LOOK_S = 0.05
#: Seconds from Ctrl-C to the signal in the phase ``stopping``.
STOPS_S = 0.1


class Trial(Started):
    """An instance of Byline with all its parts. It can start and stop many times in one folder."""

    port_names = (*PORTS, *WATCHING)

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        super().__init__(folder, {"BYLINE_MODEL": MODEL, "TMPDIR": str(self.temporary)})
        self.state = folder / "state"
        self._journal = self.state / "logs" / f"{DAEMON}.log"
        self._begun = 0

    def launch(self) -> None:
        """Starts ``make run``. Makes :meth:`pids` ignore the process ids of earlier starts."""
        if self._process is not None:
            self._process.wait(UP_S)  # the previous runner has ended, or is about to end
        self._begun = self._journal.stat().st_size if self._journal.exists() else 0
        super().launch()

    def take_state(self, other: Path) -> None:
        """Copies the queue and the cache from ``other``, the state folder of another system."""
        shutil.copytree(other / "valkey", self.state / "valkey")

    @property
    def output(self) -> str:
        """The text that ``make run`` has printed since its last start."""
        assert self.log is not None
        return self.log.read_text(errors="replace")

    @property
    def status(self) -> int | None:
        """The exit status of ``make run``; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    @property
    def end(self) -> str:
        """A text on the end of ``make run``: its exit status, and the last line of its output."""
        last = self.output.strip().rpartition("\n")[2]
        return f"the runner ended with status {self.status} ({last})"

    def pids(self) -> dict[str, int]:
        """Returns a mapping from a part's name to the id of the part's newest process.

        Supervisord and the process of ``make run`` count as parts.
        """
        assert self._process is not None
        found = {RUNNER: self._process.pid}
        if self._journal.exists():
            with self._journal.open("rb") as journal:
                journal.seek(self._begun)
                noted = journal.read().decode(errors="replace")
            found.update({a or c: int(b or d) for a, b, c, d in SPAWNED.findall(noted)})
        return found

    def wait_for_phase(self, phase: str, part: str) -> int:
        """Waits until ``phase`` begins and ``part`` is started. Returns the part's process id.

        Raises:
            NotRunning: the phase does not begin, or the part is not started.
        """
        if phase == "warming":
            self._wait_for(self._worker_loads, "a worker that loads its model")
        elif phase == "sample":
            self._wait_for(lambda: SAMPLE in self.output, "the sample message")
        if part == RUNNER:
            self._wait_for(self._claimed, "the runner to claim its folder")
        return self._wait_for(lambda: self.pids().get(part, 0), f"{part} to be started")

    def wait_until_up(self) -> None:
        """Waits until ``make run`` has printed that all parts are ready."""
        self._wait_for(lambda: UP in self.output, "all parts")

    def interrupt(self) -> None:
        """Sends SIGINT to the process of ``make run``, as Ctrl-C does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)

    def serves(self) -> bool:
        """Returns whether the api is ready, and answers a new message within a second."""
        if get(self.target, "/readyz", 2.0)[0] != 200:
            return False
        try:
            return post(self.target, 1.0, 3.0)[0] == 200
        except (OSError, HTTPException):
            return False

    def not_listening(self) -> list[str]:
        """Returns the names of the started parts that do not listen on their port."""
        parts = set(self.pids()) - {RUNNER, DAEMON}
        return [part for part in sorted(parts) if not listens(self._port(part))]

    def left_behind(self) -> list[str]:
        """Returns a description of each process and each temporary file that Byline has left."""
        processes = [f"process {pid}: {_command(pid)}" for pid in self.processes()]
        return processes + [f"a file: {path.name}" for path in self.temporary.iterdir()]

    def processes(self) -> list[int]:
        """Returns the ids of all processes that were started with this system's environment.

        Valkey overwrites its environment with its process title, so this method finds Valkey by the
        port in the title.
        """
        mark = f"BYLINE_STATE_DIR={self.state}\0".encode()
        title = f":{self._port('valkey')}".encode()
        pids = [int(folder.name) for folder in PROC.glob("[0-9]*")]
        return [
            pid
            for pid in pids
            if mark in _read(pid, "environ") or _read(pid, "cmdline").strip(b"\0 ").endswith(title)
        ]

    def kill(self) -> None:
        """Kills all processes of this system that still run."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _port(self, part: str) -> int:
        name = PORT.get(part, part.upper().replace("-", "_"))
        return int(self._env[f"BYLINE_{name}_PORT"])

    def _worker_loads(self) -> bool:
        pid = self.pids().get("worker")
        return pid is not None and LOADS.encode() in _read(pid, "maps")

    def _claimed(self) -> bool:
        lock = self.state / "lock"
        return lock.exists() and lock.read_text().strip() == str(self.pids()[RUNNER])

    def _wait_for(self, condition: Callable[[], T], what: str) -> T:
        until = time.monotonic() + UP_S
        while not (value := condition()):
            if self.status is not None:
                raise NotRunning(f"{self.end} before {what}")
            if time.monotonic() > until:
                raise NotRunning(f"waited {UP_S:g} s in vain for {what}")
            time.sleep(LOOK_S)  # between two checks, until the deadline
        return value

    def parts(self) -> Mapping[str, list[int]]:
        """Returns a mapping from a part's name to a list with the part's newest process id."""
        return {part: [pid] for part, pid in self.pids().items()}


def _read(pid: int, file: str) -> bytes:
    try:
        return (PROC / str(pid) / file).read_bytes()
    except OSError:  # the process has ended, or is another user's
        return b""


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")[:80]

"""Starts processes for a benchmark, and ends these processes after the benchmark."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]


class Processes:
    """A context manager that ends, after the ``with`` block, all processes that it has started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in reversed(self._started.values()):
            _end(process)

    def start(self, name: str, arguments: list[str], env: Mapping[str, str]) -> None:
        """Starts a program in a session of its own. The output goes to the file ``name``.log."""
        with (self._folder / f"{name}.log").open("wb") as output:
            self._started[name] = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env={**os.environ, **env},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def pid(self, name: str) -> int:
        """Returns the id of the process that was started with the name ``name``."""
        return self._started[name].pid

    def wait(self, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Waits until ``ready()`` returns True.

        Raises:
            RuntimeError: a process ended first, or ``seconds`` have passed.
        """
        until = time.monotonic() + seconds
        while not ready():
            for name, process in self._started.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended; see {self._folder / name}.log")
            if time.monotonic() > until:
                raise RuntimeError(f"not ready after {seconds:g} s; see {self._folder}")
            time.sleep(0.1)  # between two checks, until the deadline


def listens(port: int) -> bool:
    """Returns whether a process listens on ``port`` of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)

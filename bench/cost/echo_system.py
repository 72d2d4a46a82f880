"""Starts an echo server for a load test: uvicorn with uvloop and httptools, as Byline's api has."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from bench.load.http_client import Target
from bench.system.processes import Processes, listens
from bench.system.system import PATH, free_ports
from bench.system.usage import tree

#: The echo's only part.
PART = "echo"


class EchoSystem:
    """A server that answers each request with the request's body. It runs in a ``with`` block."""

    #: The echo has no Redis.
    redis = ""

    def __init__(self, folder: Path) -> None:
        """Chooses a free port. The server, once started, writes its log into ``folder``."""
        [self._port] = free_ports(1)
        self.target = Target("127.0.0.1", self._port, PATH)
        self._processes = Processes(folder)

    def __enter__(self) -> EchoSystem:
        command = [sys.executable, "-m", "uvicorn", "bench.cost.echo_app:echo"]
        command += ["--port", str(self._port), "--loop", "uvloop", "--http", "httptools"]
        command += ["--lifespan", "off", "--no-access-log"]
        self._processes.__enter__()
        self._processes.start(PART, command, {})
        self._processes.wait(lambda: listens(self._port))
        return self

    def __exit__(self, *ending: object) -> None:
        self._processes.__exit__(None, None, None)

    def parts(self) -> Mapping[str, list[int]]:
        """Returns a mapping from the only part, ``echo``, to the list of its process ids."""
        return {PART: tree(self._processes.pid(PART))}

    def batches(self) -> None:
        """Returns None: an echo computes no batches."""

"""Starts a peer, a serving system that Byline is compared with, and ends its processes."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from bench.load.http_client import Target
from bench.peers import marks
from bench.peers.catalog import Peer, model_pids
from bench.system.direct import DIRECT
from bench.system.system import ROOT, NotRunning, free_ports
from bench.system.valkey import server_command

#: The folder of the peers' virtual environments, which are named like the peers' folders.
ENVIRONMENTS = ROOT / ".venv-peers"
#: Seconds that a peer may take to start.
UP_S = 120.0


class PeerSystem:
    """A peer that runs during a ``with`` block, with a Valkey of its own if the peer needs one."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self.peer = peer
        self._folder = folder
        self._run = uuid.uuid4().hex
        self._port, self._redis_port = free_ports(2)
        self.redis = f"redis://127.0.0.1:{self._redis_port}/0"
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def target(self) -> Target:
        """The peer's address. Its URL path takes single messages and bulk requests."""
        return Target("127.0.0.1", self._port, self.peer.path)

    def __enter__(self) -> PeerSystem:
        try:
            if self.peer.needs_redis:
                self._start("valkey", server_command(self._redis_port, self._folder))
            binaries = ENVIRONMENTS / self.peer.folder / "bin"
            for part, command in self.peer.programs(binaries, self._port).items():
                self._start(part, command)
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started.values()):
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + self.peer.stop_seconds
        while time.monotonic() < until and self.processes():
            for process in self._started.values():
                process.poll()  # else an ended process stays a zombie
            time.sleep(0.1)  # between two checks, until the deadline
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # the process ended meanwhile
        for process in self._started.values():
            process.wait()

    def processes(self) -> dict[int, marks.Process]:
        """Returns all processes of this peer, by their ids."""
        return marks.processes(self._run)

    def parts(self) -> Mapping[str, list[int]]:
        """Returns a mapping from a part's name to the list of its process ids.

        The part ``valkey`` exists if the peer needs Valkey. The part ``server`` has all other
        processes.
        """
        valkey = self._started.get("valkey")
        found = [pid for pid in self.processes() if valkey is None or pid != valkey.pid]
        return {**({"valkey": [valkey.pid]} if valkey else {}), "server": found}

    def batches(self) -> None:
        """Returns None: peers do not report their batches."""

    def model_pids(self) -> list[int]:
        """Returns the ids of the processes that run the model."""
        return model_pids(self.peer, self._run)

    def _start(self, part: str, command: list[str]) -> None:
        env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        env |= {
            "PYTHONPATH": str(ROOT),
            "BENCH_PORT": str(self._port),
            "BENCH_REDIS": self.redis,
            "BENCH_RUN": self._run,
            # The same variables as Byline's worker, so that the model is as fast in every system.
            **importlib.import_module("model.serving.numpy_cpu_features").environment(),
            **self.peer.env,
        }
        with (self._folder / f"{part}.log").open("wb") as output:
            self._started[part] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self) -> None:
        until = time.monotonic() + UP_S
        url = f"http://127.0.0.1:{self._port}{self.peer.ready_path}"
        while not _answers(url):
            for part, process in self._started.items():
                if process.poll() is not None:
                    log = (self._folder / f"{part}.log").read_text(errors="replace")
                    raise NotRunning(f"{self.peer.name}: {part} ended:\n{log[-2000:]}")
            if time.monotonic() > until:
                raise NotRunning(f"{self.peer.name} is not ready after {UP_S:g} s")
            time.sleep(0.2)  # between two checks, until the deadline


def _answers(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False

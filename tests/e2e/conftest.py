"""Runs Byline as `make run` does, on free ports and in a folder of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.parts import ROOT, Part, free_port, wait_for

#: Printed when all parts run and the first message is attributed.
UP = "Ctrl-C stops everything"
PORTS = (
    *("api", "redis", "flower", "exporter", "metrics"),
    *("api_metrics", "monitor"),
)
#: Parts that start only for the tests about them.
WATCHING = ("prometheus", "alertmanager", "redis_exporter")


def _free_ports() -> int:
    """Returns the first of four free ports: the metrics of workers are on ports in a row."""
    first, *_ = (free_port() for _ in range(4))
    return first


class Run:
    """One run of the program, and its output."""

    def __init__(
        self, folder: Path, watched: bool = False, shell: str = 'exec "$@"', **settings: str
    ) -> None:
        """``watched``: whether to run Prometheus and Alertmanager. ``shell`` starts the program."""
        self.folder = folder
        names = (*PORTS, *WATCHING)
        self.ports = {name: _free_ports() for name in names}
        if not watched:
            self.ports = {name: self.ports[name] for name in PORTS}
        self.env = {
            "BYLINE_PROMETHEUS_PORT": "0",
            **{f"BYLINE_{part.upper()}_PORT": str(port) for part, port in self.ports.items()},
            "BYLINE_MODEL": "tests.models:Vowels",
            "BYLINE_STATE_DIR": str(folder / "state"),
            **settings,
        }
        exporter = ROOT / ".venv-exporter" / "bin" / "python"
        command = [sys.executable, "-m", "compose.native", "--exporter", str(exporter)]
        self._command = ["sh", "-c", shell, "sh", *command]
        self.start()

    def start(self) -> None:
        """Starts the program. A second call, after the end, uses the same ports and folder."""
        output = self.folder / f"output-{len(list(self.folder.glob('output-*')))}"
        self.part = Part(self._command, output, self.env)

    @property
    def output(self) -> str:
        return self.part.output

    def wait_until_up(self) -> Run:
        wait_for(lambda: UP in self.output or not self.part.alive, 120, "all parts")
        assert self.part.alive, self.output
        return self

    def wait_until_ended(self) -> int:
        return self.part.process.wait(120)

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each part, from the table in the output."""
        return {
            part: int(pid)
            for part, pid in re.findall(r"^  ([\w-]+) +(\d+)  ", self.output, re.MULTILINE)
        }

    def revived(self, part: str) -> list[int]:
        """Returns the process ids of the restarts of a part, in order."""
        return [int(pid) for pid in re.findall(rf"{part} ended: .*again, (\d+)", self.output)]

    def interrupt(self) -> float:
        """Sends SIGINT, as Ctrl-C does. Returns the seconds until the program has ended."""
        begin = time.monotonic()
        self.part.process.send_signal(signal.SIGINT)
        self.wait_until_ended()
        return time.monotonic() - begin

    def processes(self) -> list[int]:
        """Returns the ids of all processes that have this run's environment.

        Valkey overwrites its environment with its title, so that it is found by its port.
        """
        mark = f"BYLINE_STATE_DIR={self.env['BYLINE_STATE_DIR']}\0".encode()
        title = f":{self.ports['redis']}".encode()
        return [
            pid
            for pid in _processes()
            if mark in _read(pid, "environ") or _read(pid, "cmdline").strip(b"\0 ").endswith(title)
        ]

    def command_lines(self) -> list[str]:
        """Returns the command lines of the run's processes, which each user of the machine sees."""
        lines = (Path(f"/proc/{pid}/cmdline") for pid in self.processes())
        return [line.read_bytes().decode() for line in lines if line.exists()]

    def listening(self) -> list[str]:
        """Returns the parts on whose port a process listens."""
        return [part for part, port in self.ports.items() if _listens(port)]

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def login_url(self, part: str) -> str:
        """Returns the URL of Prometheus or Alertmanager, with its login."""
        return (Path(self.env["BYLINE_STATE_DIR"]) / part / "url").read_text().strip()

    @property
    def model(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.api}/v1/models").json())

    def attribute(self, text: str) -> dict[str, Any]:
        url = f"{self.api}/v1/attributions?wait=20"  # a busy machine may need more than the default
        response = httpx.post(url, json={"text": text}, timeout=30)
        if response.status_code == 202:  # under load, all threads that may wait can be taken
            location = self.api + response.headers["Location"]
            found = wait_for(lambda: _unless_pending(location), 30, "the promised answer")
            response = found or response
        assert response.status_code == 200, response.text
        return dict(response.json())

    def serves(self, text: str, seconds: float = 60, **headers: str) -> dict[str, Any]:
        """Asks for the attribution of a text again and again, and returns it when it comes."""

        def answer() -> dict[str, Any] | None:
            try:
                response = httpx.post(url, json={"text": text}, headers=headers, timeout=20)
            except httpx.TransportError:
                return None
            return dict(response.json()) if response.status_code == 200 else None

        url = f"{self.api}/v1/attributions"
        return wait_for(answer, seconds, "an attribution") or {}

    def close(self) -> None:
        """Ends all processes of the run that are left, also after a failed test."""
        if self.part.alive:
            self.interrupt()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run with the default model, shared by tests that do not change the run."""
    run = Run(tmp_path_factory.mktemp("running"), BYLINE_MODEL="")
    try:
        yield run.wait_until_up()
    finally:
        run.close()


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    """A list to which a test appends its runs. They are closed after the test."""
    started: list[Run] = []
    yield started
    for run in started:
        run.close()


def _unless_pending(location: str) -> httpx.Response | None:
    """Returns the response with the answer at ``location``; None if there is no answer yet."""
    response = httpx.get(location, timeout=10)
    return None if response.status_code == 202 else response


def _processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _read(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:  # it has ended, or is of another user
        return b""


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0

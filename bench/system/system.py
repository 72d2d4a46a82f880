"""The Byline under test: an instance that the test starts, or one that already runs."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

from bench.load.http_client import Target
from bench.system.direct import DIRECT, request
from bench.system.processes import listens
from bench.system.usage import tree

ROOT = Path(__file__).parents[2]
#: The path of Python in celery-exporter's environment.
EXPORTER = ROOT / ".venv-exporter" / "bin" / "python"
PATH = "/v1/attributions"
#: The text that `make run` prints once every part is ready.
UP = "Ctrl-C stops everything"
#: The line that `make run` prints if a part ended and was restarted, with its new process id.
AGAIN = r"^byline: ([\w-]+) ended: .*; started again, (\d+)$"
#: Settings of the user's environment that the started system keeps.
KEPT = {"BYLINE_ACCELERATOR", "BYLINE_CREDITS"}
#: The ports of the parts, named as in their settings.
PORTS = ("API", "REDIS", "FLOWER", "EXPORTER", "METRICS", "API_METRICS", "MONITOR")
#: Number of the last ports that stay reserved. A system needs at most ten, and soon listens there.
RESERVED = 200
#: Sockets that reserve ports, the oldest first.
_holders: deque[socket.socket] = deque()
#: Seconds that the system may take to start.
UP_S = 120.0
#: Seconds that the system may take to stop.
DOWN_S = 30.0


class NotRunning(RuntimeError):
    """The system under test does not run. The error's text says why."""


class Running:
    """An instance of Byline that already runs. The load test can't start, stop or inspect it."""

    def __init__(self, url: str, key: str = "") -> None:
        parts = urlsplit(url)
        self.target = Target(parts.hostname or "", parts.port or 80, PATH, key)
        self.redis = os.environ.get("BYLINE_REDIS_URL", "")
        self.log: Path | None = None

    def __enter__(self) -> Running:
        self.model()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def parts(self) -> Mapping[str, list[int]]:
        """Returns an empty mapping: the processes of this Byline are unknown."""
        return {}

    def model(self) -> dict[str, Any]:
        """Returns the api's description of its model.

        Raises:
            NotRunning: the api does not answer, or has no model.
        """
        return _get(request(self.target, "/v1/models"))

    def batches(self) -> dict[float, int] | None:
        """Returns None: the addresses of the workers' metrics are unknown."""
        return None


class Started(Running):
    """An instance of Byline, with all parts, that runs during a ``with`` block.

    The instance listens on ports that no other program uses. Its cache is empty at the first start.
    """

    #: The names of the ports. All ports are chosen at once: a second choice could repeat a port.
    port_names: tuple[str, ...] = PORTS

    def __init__(self, folder: Path, settings: Mapping[str, str], key: str = "") -> None:
        self._ports = dict(zip(self.port_names, free_ports(len(self.port_names)), strict=True))
        super().__init__(f"http://127.0.0.1:{self._ports['API']}", key)
        self.redis = f"redis://127.0.0.1:{self._ports['REDIS']}/0"
        self.folder = folder
        self.log = folder / "byline.log"
        self._env = {
            # Without the settings of the user's own Byline, such as its cache. Only the setting of
            # the accelerator is kept, because the folder api/accelerator may be missing.
            **{k: v for k, v in os.environ.items() if not k.startswith("BYLINE_") or k in KEPT},
            # An installed Prometheus is not started, so that it does not change the figures.
            "BYLINE_PROMETHEUS_PORT": "0",
            **{f"BYLINE_{part}_PORT": str(port) for part, port in self._ports.items()},
            "BYLINE_STATE_DIR": str(folder / "state"),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._pids: dict[str, int] = {}

    def __enter__(self) -> Started:
        try:
            self.launch()
            self._pids = self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def launch(self) -> None:
        """Starts the runner, the process of `make run`. Returns before the parts are ready."""
        command = [sys.executable, "-X", "utf8", "-m", "compose.native", "--exporter", EXPORTER]
        assert self.log is not None
        with self.log.open("wb") as output, interrupts_held():
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the load test only, which stops the runner
            )

    def kill(self) -> None:
        """Kills all processes of this Byline at once with SIGKILL, as a power cut does."""
        assert self._process is not None
        for pid in tree(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(DOWN_S)

    def start_again(self) -> None:
        """Starts Byline again on the data of its last run, and waits until all parts are ready."""
        self.launch()
        self._pids = self._wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(DOWN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def parts(self) -> Mapping[str, list[int]]:
        """Returns the process ids of each part, child processes included."""
        assert self.log is not None
        again = re.findall(AGAIN, self.log.read_text(errors="replace"), re.MULTILINE)
        # supervisord is not a part. It is the parent process of all parts.
        self._pids.update((name, int(pid)) for name, pid in again if name != "supervisord")
        return {name: tree(pid) for name, pid in self._pids.items()}

    def batches(self) -> dict[float, int] | None:
        """Returns how many batches the first worker has computed, by batch size.

        Batch sizes are counted in ranges, as in a histogram. A key is the upper bound of a range.
        """
        text = _read(f"http://127.0.0.1:{self._ports['METRICS']}/metrics")
        return histogram(text, "byline_batch_messages")

    def model_pids(self) -> list[int]:
        """Returns the ids of the workers' main processes."""
        return [pids[0] for name, pids in self.parts().items() if name.startswith("worker")]

    def _wait(self) -> dict[str, int]:
        assert self._process is not None
        assert self.log is not None
        until = time.monotonic() + UP_S
        while UP not in (output := self.log.read_text(errors="replace")):
            if self._process.poll() is not None:
                raise NotRunning(f"Byline did not start:\n{output}")
            if time.monotonic() > until:
                raise NotRunning(f"Byline is not up after {UP_S:g} s:\n{output}")
            time.sleep(0.1)  # between two checks, until the deadline
        table = re.findall(r"^  ([\w-]+) +(\d+)  ", output, re.MULTILINE)
        return {part: int(pid) for part, pid in table}


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Delays the effect of Ctrl-C until the end of a ``with`` block.

    Without this delay, Ctrl-C could interrupt a block that has just started a process, before the
    caller knows the process. The caller could then not stop it.
    """
    came: list[object] = []
    before = signal.signal(signal.SIGINT, lambda *given: came.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def status(name: str, main: Callable[[], int]) -> int:
    """Calls ``main``, and returns the exit status for the program ``name``.

    The status is 2 if the system under test does not run, and 130 on Ctrl-C. Otherwise the status
    is the result of ``main``.
    """
    try:
        return main()
    except NotRunning as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # the system is stopped by now
        print("byline: stopped", file=sys.stderr)
        return 130


def histogram(text: str, name: str) -> dict[float, int]:
    """Returns how many values each bucket of a histogram has, by the bucket's upper bound.

    ``text`` is a page of Prometheus metrics, and ``name`` is the histogram's name. The counts are
    not cumulative, unlike the counts on the page.
    """
    found = re.findall(rf'^{name}_bucket{{le="([^"]+)"}} (\S+)$', text, re.MULTILINE)
    counts: dict[float, int] = {}
    below = 0
    for bound, total in found:
        counts[float(bound)] = int(float(total)) - below
        below = int(float(total))
    return counts


def free_ports(count: int) -> list[int]:
    """Reserves ``count`` free ports of the loopback address, and returns them.

    The ports are at least 10 apart. While a port is reserved, this function does not return it
    again, in any process. A port stays reserved until the process that called the function ends, or
    has reserved ``RESERVED`` more ports.
    """
    ports: list[int] = []
    # The range is outside of the ports that the operating system gives to clients. The step is 10,
    # because several workers have their metrics on consecutive ports.
    for port in random.sample(range(15_000, 30_000, 10), 20 * count):
        if len(ports) < count and not listens(port) and _reserve(port + 9):
            ports.append(port)
    return ports


def _reserve(port: int) -> bool:
    """Tries to reserve the ten ports that end with ``port``. Returns whether this succeeded."""
    # While this socket is open, no process can reserve the same ten ports. So the ports are
    # reserved even before a server listens on them.
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return False
    _holders.append(holder)
    if len(_holders) > RESERVED:
        _holders.popleft().close()
    return True


def _get(asked: Request) -> dict[str, Any]:
    try:
        return dict(json.loads(_read(asked)))
    except (OSError, ValueError) as error:
        raise NotRunning(f"{asked.full_url} did not answer: {error}") from None


def _read(asked: Request | str) -> str:
    with DIRECT.open(asked, timeout=10) as response:
        return str(response.read().decode())

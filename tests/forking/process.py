"""Processes that a server forks. Tests use such a process like a ``subprocess.Popen``."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from model.serving import numpy_cpu_features
from tests.forking.server import REQUEST_BYTES

#: The modules whose processes are forked, and the libraries that they import. No library is here
#: that reads a setting of Byline while it is imported, such as prometheus-client.
LIBRARIES = {
    "celery_app.worker": (
        *("numpy", "torch", "celery.bin.worker", "celery.apps.worker"),
        *("celery.worker.consumer", "celery.concurrency.thread", "celery.events.state"),
        *("celery.backends.redis", "kombu.transport.redis", "redis.asyncio", "hiredis"),
        *("msgspec", "psutil", "pythonjsonlogger", "wsgiref.simple_server"),
    ),
    "api": (
        *("celery", "celery.backends.redis", "kombu.transport.redis", "redis.asyncio", "hiredis"),
        *("flask", "flask_swagger_ui", "uvicorn", "uvloop", "httptools", "gunicorn.app.base"),
        *("msgspec", "psutil", "pythonjsonlogger"),
    ),
}
#: The beginnings of the environment variables that no library reads while it is imported.
OWN = ("BYLINE_", "TEST_", "PYTEST_")


class ForkedProcess:
    """A process that a server has forked, with the methods of ``subprocess.Popen``."""

    def __init__(self, arguments: Sequence[str], pid: int, status: int) -> None:
        """``status`` is the pipe in which the server writes the exit status."""
        self.args = arguments
        self.pid = pid
        self.returncode: int | None = None
        self._status = status
        weakref.finalize(self, os.close, status)
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Returns the exit status, or None as long as the process runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Waits until the process has ended, and returns its exit status.

        Raises:
            subprocess.TimeoutExpired: the process still runs after ``timeout`` seconds.
        """
        if (status := self._wait(timeout)) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, sign: int) -> None:
        """Sends a signal to the process, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, sign)

    def kill(self) -> None:
        """Sends SIGKILL to the process."""
        self.send_signal(signal.SIGKILL)

    def _wait(self, seconds: float | None) -> int | None:
        poller = select.poll()  # unlike select(), it takes descriptors above 1,023
        poller.register(self._status, select.POLLIN)
        wait_ms = None if seconds is None else max(0, 1000 * seconds)
        if self.returncode is None and poller.poll(wait_ms):
            with self._lock:
                self._read()
        return self.returncode

    def _read(self) -> None:
        """Reads the exit status. Another thread may have read it already."""
        if self.returncode is not None:
            return
        written = os.read(self._status, 16)
        if not written:
            raise RuntimeError(f"the fork server of process {self.pid} has ended")
        self.returncode = int(written)


class ForkServer:
    """The client of a server that forks processes."""

    def __init__(self, folder: Path, libraries: Sequence[str]) -> None:
        self._environ = _read_by_libraries(os.environ)
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REQUEST_BYTES)
        with theirs:
            number = theirs.fileno()
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.forking.server", str(number), *libraries],
                cwd=folder,
                env={
                    **os.environ,
                    **numpy_cpu_features.environment(),
                },  # as workers do
                stdout=subprocess.DEVNULL,  # no terminal
                pass_fds=[number],
                start_new_session=True,  # so that Ctrl-C ends pytest, and pytest ends the server
            )
        atexit.register(self.close)

    def serves(self, env: Mapping[str, str]) -> bool:
        """Returns whether the libraries would be the same if imported with the environment."""
        return self._environ == _read_by_libraries(env)

    def start(
        self, arguments: Sequence[str], folder: Path, env: Mapping[str, str], output: int
    ) -> ForkedProcess:
        """Starts a process. ``output`` is a file descriptor for what the process prints.

        ``arguments`` are those of Python: ``-m``, the module, and the module's arguments.
        """
        _, module, *rest = arguments
        request = {"module": module, "arguments": rest, "folder": str(folder), "env": dict(env)}
        status, theirs = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._channel, [json.dumps(request).encode()], [output, theirs])
                pid = int(self._channel.recv(16))
        finally:
            os.close(theirs)
        return ForkedProcess(arguments, pid, status)

    def close(self) -> None:
        """Ends the server. Processes that it has forked go on."""
        self._channel.close()
        self._server.wait(10)


_servers: dict[tuple[Path, str], ForkServer] = {}


def start(
    arguments: Sequence[str], folder: Path, env: Mapping[str, str], output: int
) -> ForkedProcess | None:
    """Starts a process from a fork server. Returns None if the process can't be forked.

    ``arguments`` is the whole command, ``folder`` the working directory and ``output`` the file
    descriptor for the output. A process can't be forked if its module is not in ``LIBRARIES``, if
    an environment variable differs that a library may read, or if the system is not Linux: macOS
    has libraries that don't survive a fork.
    """
    if sys.platform != "linux" or list(arguments[:2]) != [sys.executable, "-m"]:
        return None
    module = arguments[2]
    if module not in LIBRARIES:
        return None
    if (folder, module) not in _servers:
        _servers[folder, module] = ForkServer(folder, LIBRARIES[module])
    server = _servers[folder, module]
    return server.start(arguments[1:], folder, env, output) if server.serves(env) else None


def _read_by_libraries(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if not name.startswith(OWN)}

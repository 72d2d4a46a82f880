"""Imports libraries once, and forks processes: ``python -m tests.forking.server SOCKET NAME…``.

Two thirds of the CPU time of a worker's start are imports of torch and Celery. A forked process
has imported them already. Each message on the socket asks for one process, which then runs a module
as ``python -m`` does. The server imports nothing of Byline, and starts no thread.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import socket
import sys
from collections.abc import Sequence
from importlib import import_module

#: Maximum length of a request, in bytes. The environment takes most of it.
REQUEST_BYTES = 2**20
#: File descriptors of a request: the output of the process, and the pipe for its exit status.
DESCRIPTORS = 2


def main(arguments: Sequence[str]) -> None:
    """Imports libraries, then forks a process for each request until the client is gone.

    ``arguments`` are the file descriptor of a socket and the names of the libraries.
    """
    channel = socket.socket(fileno=int(arguments[0]))
    for name in arguments[1:]:
        import_module(name)
    gc.freeze()  # so that the garbage collector of a forked process leaves shared memory alone
    if (module := _serve(channel)) is not None:
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _serve(channel: socket.socket) -> str | None:
    """Forks a process for each request, and reports each process's end.

    Returns the module to run in a forked process, and None in the server if the client is gone.
    """
    children: dict[int, tuple[int, int]] = {}
    while True:
        for ready in select.select([channel.fileno(), *children], [], [])[0]:
            if ready in children:
                _report(ready, *children.pop(ready))
                continue
            request, descriptors, _, _ = socket.recv_fds(channel, REQUEST_BYTES, DESCRIPTORS)
            if not request:
                return None
            output, status = descriptors
            pid = os.fork()
            if not pid:
                channel.detach()  # closed with all other file descriptors
                return _become(json.loads(request), output)
            os.close(output)
            children[os.pidfd_open(pid)] = pid, status
            channel.send(str(pid).encode())


def _become(request: dict, output: int) -> str:
    """Gives a forked process what a started process would have. Returns the module to run."""
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    # While Python looks for the module, this is the first argument of `python -m`, too.
    sys.argv = ["-m", *request["arguments"]]
    return str(request["module"])


def _report(descriptor: int, pid: int, status: int) -> None:
    """Writes the exit status of an ended child process into the pipe ``status``."""
    os.close(descriptor)
    _, ended = os.waitpid(pid, 0)
    os.write(status, str(os.waitstatus_to_exitcode(ended)).encode())
    os.close(status)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Starts supervisord, which runs the parts of ``make run``, and asks it for the parts' state.

A part is a process such as a worker. supervisord ends with the process that has started it, and the
parts end with supervisord (:mod:`compose.die_with_parent`). If supervisord ends too early, this
module starts supervisord again. Calls use supervisord's documented XML-RPC interface over a Unix
socket.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError
from xmlrpc.client import Error as XMLRPCError
from xmlrpc.client import ServerProxy, Transport

import psutil

from compose.native.configuration import DAEMON, DIE_WITH_PARENT, configure
from compose.native.logs import last_lines, size
from compose.native.run_dir import make_run_dir, remove_run_dir
from compose.native.terminal import StopSignal, say
from compose.parts.part import Part
from compose.parts.processes import end_session

#: Seconds within which supervisord must answer a call.
ANSWER_S = 2.0
#: Seconds within which supervisord has to stop all parts and end. The sum of the parts' own time
#: limits is smaller.
STOP_S = 9.0
#: Seconds within which processes that outlived supervisord have to end.
ORPHANS_S = 2.0
#: Seconds after which a part that supervisord has given up is started again.
AGAIN_S = 10.0
#: supervisord's text for the end of a part whose settings are wrong. After two such ends in a row,
#: a restart does not help.
MISTAKEN = "exit status 2"

#: Errors of a call to supervisord, after which the run continues. ExpatError: supervisord was
#: killed while it answered.
_NO_ANSWER = (OSError, HTTPException, XMLRPCError, ExpatError)


class Control:
    """A context manager that runs the parts of ``make run`` until the ``with`` block ends."""

    def __init__(
        self,
        parts: Sequence[Part],
        environ: Mapping[str, str],
        folder: Path,
        lock: int,
        stop: StopSignal,
    ) -> None:
        """Makes the run folder, which holds supervisord's files. Starts no process yet.

        ``folder`` is the state folder, which holds the logs and the data. ``lock`` is the
        descriptor of the state folder's lock file. ``environ`` is the parts' environment.
        """
        self.logs = folder / "logs"
        #: Process ids of the running parts, by name.
        self.pids: dict[str, int] = {}
        #: For each part that supervisord has given up, by name: the monotonic time of its next
        #: start.
        self.given_up: dict[str, float] = {}
        self._parts = {part.name: part for part in parts}
        self._environ, self._lock, self._stop_signal = environ, lock, stop
        #: Names of the parts that have run.
        self._started: set[str] = set()
        #: Sizes of the logs when this run began, in bytes, by name.
        self._begin = {name: size(self.log(name)) for name in (DAEMON, *self._parts)}
        #: For each part: the time of its last end, the size of its log at that time, and for how
        #: many ends in a row the log gave a reason for advice.
        self._advised = {name: ("", size(self.log(name)), 0) for name in self._parts}
        #: Number of times in a row that supervisord ended with status 2 before its first answer.
        self._refusals = 0
        self._answered = False
        self._run_dir = make_run_dir(folder)
        self._rpc: Any = ServerProxy(
            "http://localhost", transport=_Socket(self._run_dir / "socket")
        ).supervisor

    def __enter__(self) -> Control:
        self._configuration = configure(list(self._parts.values()), self._run_dir)
        self._launch()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops all parts in order. A signal that arrives meanwhile does not interrupt the stop."""
        with self._stop_signal.held():
            with suppress(ProcessLookupError):
                self._daemon.terminate()
                self._daemon.send_signal(signal.SIGCONT)  # supervisord may be frozen
            try:
                self._daemon.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
            end_session(self._daemon.pid, ORPHANS_S)
            remove_run_dir(self.logs.parent)

    def check(self) -> None:
        """Prints which parts have ended, and starts the parts that supervisord has given up.

        supervisord restarts a part that has ended, but gives up after several failed starts. Also
        restarts supervisord if it has ended. The caller has to call this method repeatedly.
        """
        self._stop_signal.check()
        with suppress(*_NO_ANSWER):
            if (status := self._daemon.poll()) is not None:
                self._launch_again(status)
            found = self._rpc.getAllProcessInfo()
            self._answered = True
            for info in found:
                self._follow(info["name"], info["pid"])
                if info["statename"] in ("FATAL", "UNKNOWN"):
                    self._start_again(info["name"], f"{info['group']}:{info['name']}")
                elif info["statename"] == "RUNNING":
                    self.given_up.pop(info["name"], None)

    def log(self, name: str) -> Path:
        """Returns the path of the log of the part ``name``, such as ``worker-1``."""
        return self.logs / f"{name}.log"

    def _describe_end(self, part: Part) -> str:
        """Returns a text on why a part ended, with the last lines of its log, and advice if any."""
        log = self.log(part.name)
        lines = last_lines(log, begin=self._begin[part.name])
        shown = "".join(f"\n    {line}" for line in lines) or " nothing"
        words = f"{part.name} ended: {self._reason(part.name)}. The end of its log, {log}:{shown}"
        advice = part.advice(lines)
        return f"{words}\n  {advice}" if advice else words

    def start_failure(self) -> str:
        """Returns a text on why the run can't start; empty if it can start.

        The run can't start if supervisord or a vital part can't start. A vital part is one that
        Byline can't work without. For such a part, the text has the last lines of the part's log.
        """
        if self._refusals > 1:
            return f"{DAEMON} does not start; its own message is printed above"
        for part in self._parts.values():
            mistaken = [reason for _, reason in self._ends(part.name)[-2:]] == [MISTAKEN] * 2
            if part.vital and (mistaken or self._advised_twice(part)):
                return self._describe_end(part)
        return ""

    def _advised_twice(self, part: Part) -> bool:
        """Returns whether the part ended twice in a row with an error that the user has to repair.

        The last lines of the part's log show such an error: ``part.advice`` returns advice for
        them.
        """
        before, begin, times = self._advised[part.name]
        end = (self._ends(part.name) or [("", "")])[-1][0]
        if end != before:
            log = self.log(part.name)
            times = times + 1 if part.advice(last_lines(log, begin=begin)) else 0
            self._advised[part.name] = end, size(log), times
        return times > 1

    def _follow(self, name: str, pid: int) -> None:
        """Records the process id of a part. Prints a line if the part was restarted.

        ``pid`` is the part's present process id; 0 if the part does not run. If the part's earlier
        process has ended, kills the child processes that it left behind.
        """
        before = self.pids.get(name, 0)
        if pid == before:
            return
        if before:
            # Children that outlived the part keep its port. The id of their process group is the
            # part's old process id. If a new process has that id, no children are left.
            if not psutil.pid_exists(before):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(before, signal.SIGKILL)
            del self.pids[name]
        if pid:
            self.pids[name] = pid
            if name in self._started:
                say(f"byline: {name} ended: {self._reason(name)}; started again, {pid}")
            self._started.add(name)

    def _start_again(self, name: str, full_name: str) -> None:
        """Reports a part that supervisord no longer restarts, and later starts the part again.

        The first call reports the part. Later calls start the part, at most every ``AGAIN_S``
        seconds. ``full_name`` is supervisord's name of the part, such as ``rank2:worker``.
        """
        now = time.monotonic()
        if name not in self.given_up:
            words = self._describe_end(self._parts[name])
            say(f"byline: {words}\n  It is tried again every {AGAIN_S:g} s.")
            self.given_up[name] = now + AGAIN_S
        elif now > self.given_up[name]:
            # The reason for the part's end may be temporary, such as a bad message or a full disk.
            self.given_up[name] = now + AGAIN_S
            self._rpc.startProcess(full_name, False)

    def _ends(self, name: str) -> list[tuple[str, str]]:
        """Returns the time and the reason of each end of a part, read from supervisord's log."""
        lines = last_lines(self.log(DAEMON), 500, self._begin[DAEMON])
        end = rf"(\S+ \S+) \w+ (?:exited|stopped): {name} \(([^;)]*)"
        return re.findall(end, "\n".join(lines))

    def _reason(self, name: str) -> str:
        return (self._ends(name) or [("", f"{DAEMON} did")])[-1][1]

    def _launch(self) -> None:
        command = (sys.executable, "-m", "supervisor.supervisord", "-c", self._configuration)
        with self._stop_signal.held():
            self._daemon = subprocess.Popen(
                [*DIE_WITH_PARENT, str(os.getpid()), *command],
                # Temporary files of a killed part are removed with the run folder.
                env={**self._environ, "TMPDIR": str(self._run_dir)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Ctrl-C at the terminal reaches this process only, which stops the parts in order.
                start_new_session=True,
                # The state folder stays locked as long as supervisord runs.
                pass_fds=[self._lock],
            )

    def _launch_again(self, status: int) -> None:
        end_session(self._daemon.pid, ORPHANS_S)
        # Otherwise supervisord logs that it found an old socket.
        (self._run_dir / "socket").unlink(missing_ok=True)
        self._begin[DAEMON] = size(self.log(DAEMON))
        self._refusals = self._refusals + 1 if status == 2 and not self._answered else 0
        reason = f"exit status {status}" if status >= 0 else f"signal {-status}"
        time.sleep(1 if status > 0 else 0)  # after a failed start: the disk may be full
        self._launch()
        say(f"byline: {DAEMON} ended: {reason}; started again, {self._daemon.pid}")


class _Socket(Transport):
    """The transport of XML-RPC over a Unix socket, with a timeout."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, _: Any) -> HTTPConnection:
        connection = HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(ANSWER_S)
        connection.sock.connect(str(self._path))
        return connection

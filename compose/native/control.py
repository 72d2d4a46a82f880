"""supervisord, which starts, restarts, logs and stops the parts; here it is started, and asked.

It is a child, and dies with this process (see :mod:`compose.die_with_parent`) as its own
children do with it; if it dies alone, it is started again. It is spoken to over a socket of its
own, with its documented XML-RPC. That it does not answer ends nothing.
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
from compose.native.terminal import Stop, say
from compose.parts.part import Part
from compose.parts.processes import end_session

#: Seconds supervisord has to answer.
ANSWER_S = 2.0
#: Seconds everything has to end. The parts' own allowances add up to less.
STOP_S = 9.0
#: Seconds what outlived supervisord has to end.
ORPHANS_S = 2.0
#: Seconds after which a part that supervisord has given up is started again.
AGAIN_S = 10.0
#: How a part ends whose settings are wrong. Twice in a row, and it won't do better.
MISTAKEN = "exit status 2"

#: How a request to supervisord fails. ExpatError: it was killed in the middle of its answer.
_NO_ANSWER = (OSError, HTTPException, XMLRPCError, ExpatError)


class Control:
    """A context in which parts run. When it is left, none is."""

    def __init__(
        self, parts: Sequence[Part], environ: Mapping[str, str], folder: Path, lock: int, stop: Stop
    ) -> None:
        """``folder`` is the state folder; ``lock`` a file that is to be open while parts run."""
        self.logs = folder / "logs"
        #: Process ids of what runs, by part.
        self.pids: dict[str, int] = {}
        #: Those that supervisord has given up, and when each is started again.
        self.given_up: dict[str, float] = {}
        self._parts = {part.name: part for part in parts}
        self._environ, self._lock, self._stop_signal = environ, lock, stop
        #: Those that have run.
        self._started: set[str] = set()
        self._begin = {name: size(self.log(name)) for name in (DAEMON, *self._parts)}
        #: By part: when it ended last, its log's size then, and ends in a row with advice.
        self._advised = {name: ("", size(self.log(name)), 0) for name in self._parts}
        #: Times in a row that supervisord ended with status 2 and had never answered.
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
        """Ends everything, in order, whatever signal comes meanwhile."""
        with self._stop_signal.held():
            with suppress(ProcessLookupError):
                self._daemon.terminate()
                self._daemon.send_signal(signal.SIGCONT)  # it may have been stopped
            try:
                self._daemon.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
            end_session(self._daemon.pid, ORPHANS_S)
            remove_run_dir(self.logs.parent)

    def look(self) -> None:
        """See to what has ended, and say so. To be called all the time."""
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
        """Where a part's output is kept."""
        return self.logs / f"{name}.log"

    def last_words(self, part: Part) -> str:
        """Returns why a part ended, with the end of its log, and what to do about it."""
        log = self.log(part.name)
        lines = last_lines(log, begin=self._begin[part.name])
        shown = "".join(f"\n    {line}" for line in lines) or " nothing"
        words = f"{part.name} ended: {self._reason(part.name)}. The end of its log, {log}:{shown}"
        advice = part.advice(lines)
        return f"{words}\n  {advice}" if advice else words

    def hopeless(self) -> str:
        """Returns the last words of a vital part that won't ever start; empty: there is none."""
        if self._refusals > 1:
            return f"{DAEMON} does not start; its own words on why are printed above"
        for part in self._parts.values():
            mistaken = [reason for _, reason in self._ends(part.name)[-2:]] == [MISTAKEN] * 2
            if part.vital and (mistaken or self._advised_twice(part)):
                return self.last_words(part)
        return ""

    def _advised_twice(self, part: Part) -> bool:
        """Returns whether a person has to act, by what the log says of each of two ends in a row."""
        before, begin, times = self._advised[part.name]
        end = (self._ends(part.name) or [("", "")])[-1][0]
        if end != before:
            log = self.log(part.name)
            times = times + 1 if part.advice(last_lines(log, begin=begin)) else 0
            self._advised[part.name] = end, size(log), times
        return times > 1

    def _follow(self, name: str, pid: int) -> None:
        before = self.pids.get(name, 0)
        if pid == before:
            return
        if before:
            # Children that outlived the part keep its port. They keep its number in use as well:
            # where a new process has the number, there are none.
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
        """Starts a part that was given up: a message may be what it dies of, or a full disk."""
        now = time.monotonic()
        if name not in self.given_up:
            words = self.last_words(self._parts[name])
            say(f"byline: {words}\n  It is tried again every {AGAIN_S:g} s.")
            self.given_up[name] = now + AGAIN_S
        elif now > self.given_up[name]:
            self.given_up[name] = now + AGAIN_S
            self._rpc.startProcess(full_name, False)

    def _ends(self, name: str) -> list[tuple[str, str]]:
        """Returns when and why a part ended, each time: only supervisord's log has the reasons."""
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
                # What a killed part leaves behind goes with the folder.
                env={**self._environ, "TMPDIR": str(self._run_dir)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Ctrl-C at the terminal is for this process; what follows has its order.
                start_new_session=True,
                pass_fds=[self._lock],
            )

    def _launch_again(self, status: int) -> None:
        end_session(self._daemon.pid, ORPHANS_S)
        # supervisord would log that it found the old socket.
        (self._run_dir / "socket").unlink(missing_ok=True)
        self._begin[DAEMON] = size(self.log(DAEMON))
        self._refusals = self._refusals + 1 if status == 2 and not self._answered else 0
        reason = f"exit status {status}" if status >= 0 else f"signal {-status}"
        time.sleep(1 if status > 0 else 0)  # it could not start: there may be no room
        self._launch()
        say(f"byline: {DAEMON} ended: {reason}; started again, {self._daemon.pid}")


class _Socket(Transport):
    """XML-RPC over a Unix socket, with a timeout."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, _: Any) -> HTTPConnection:
        connection = HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(ANSWER_S)
        connection.sock.connect(str(self._path))
        return connection

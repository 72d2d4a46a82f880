"""The processes. supervisord starts, logs and stops them; here it is told to, and asked.

supervisord is started as a child, and dies with this process (see :mod:`compose.native.tether`) as
its own children do with it. It is spoken to over a socket of its own, with its documented XML-RPC.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any
from xmlrpc.client import Error as XMLRPCError
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from compose.native import health
from compose.native.errors import CannotRun, NotStarted, PartDied
from compose.native.logs import last_lines, size
from compose.native.parts import Part

#: Seconds supervisord has to come up; it takes a quarter of one.
START_S = 10.0
#: Seconds everything has to end. The parts' own allowances add up to less.
STOP_S = 9.0
#: Seconds what outlived supervisord has to end.
ORPHANS_S = 4.0
#: Times that a part is started again within so many seconds. One that ends more often has to wait:
#: to start takes CPU, of which the others may have need.
REVIVALS, REVIVALS_S = 5, 60.0
#: How a worker ends that has grown too large, and is to be replaced: that is no failure.
REPLACED = f"exit status {os.EX_TEMPFAIL}"
#: The signals that mean: stop everything.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_TETHERED = (sys.executable, "-I", "-S", Path(__file__).with_name("tether.py"))
GROUP = "rank"
#: Name of its log.
DAEMON = "supervisord"
#: The states of a part that has ended by itself.
_DIED = ("EXITED", "BACKOFF", "FATAL", "UNKNOWN")


class Control:
    """A context in which parts run. When it is left, none is."""

    def __init__(self, parts: Iterable[Part], environ: Mapping[str, str], folder: Path) -> None:
        """``folder`` is the state folder; the logs are kept in its ``logs``."""
        self.logs = folder / "logs"
        #: Process ids of what has been started, by part.
        self.pids: dict[str, int] = {}
        self._parts = list(parts)
        #: When a part was started again, in monotonic seconds.
        self._revived: dict[str, list[float]] = {}
        #: Those that were to be started.
        self._meant: set[str] = set()
        #: Those that ended too often of late.
        self._waiting: set[str] = set()
        self._environ = environ
        names = [DAEMON, *(part.name for part in self._parts)]
        self._begin = {name: size(self.log(name)) for name in names}

    def __enter__(self) -> Control:
        # The path of a socket may have no more than about a hundred characters.
        self._run_dir = Path(tempfile.mkdtemp(prefix="byline-"))
        socket, config = self._run_dir / "socket", self._run_dir / "supervisord.conf"
        # supervisord can't be told of a path with a % in it, neither escaped nor not.
        logs = self._run_dir / "logs"
        logs.symlink_to(self.logs)
        config.write_text(_config(self._parts, socket, logs))
        self._daemon = subprocess.Popen(
            [*_TETHERED, sys.executable, "-m", "supervisor.supervisord", "--configuration", config],
            env=dict(self._environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Ctrl-C at the terminal is for this process; what follows has its order.
            start_new_session=True,
        )
        self._transport = SupervisorTransport(serverurl=f"unix://{socket}")
        self._rpc: Any = ServerProxy("http://localhost", transport=self._transport).supervisor
        try:
            if not health.wait(self._answers, START_S, self._check_daemon):
                raise CannotRun(f"supervisord does not answer; see {self.log(DAEMON)}")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def start(self, part: Part) -> None:
        """Start one of the parts.

        Raises:
            NotStarted: there may be no room for another process.
        """
        name = f"{_group(part)}:{part.name}"
        self._meant.add(part.name)
        self.pids.pop(part.name, None)
        self._ask("startProcess", name, False)
        if pid := self._ask("getProcessInfo", name)["pid"]:  # 0: it has ended already
            self.pids[part.name] = pid

    def check(self) -> None:
        """See that all that was started, and is vital, still runs.

        Raises:
            PartDied: one does not. Says why, with the last lines of its log.
        """
        self._check_daemon()
        for info in self._ask("getAllProcessInfo"):
            if self._part(info).vital and self._died(info):
                raise PartDied(self._last_words(info))

    def lost(self, part: Part) -> str:
        """Return the last words of a part that has ended; empty: it runs."""
        for info in self._ask("getAllProcessInfo"):
            if info["name"] == part.name and self._died(info):
                return self._last_words(info)
        return ""

    def revive(self) -> list[str]:
        """Start again what has ended by itself. Return what to say about it.

        However often a part ends, nothing is given up: a message may be what it dies of, and
        whoever sent that must not end the rest.
        """
        self._check_daemon()
        said = []
        for info in self._ask("getAllProcessInfo"):
            if not self._died(info):
                self._waiting.discard(info["name"])
                continue
            part, reason = self._part(info), self._reason(info["name"]) or info["spawnerr"]
            if self._has_to_wait(part, reason):
                if part.name not in self._waiting:
                    self._waiting.add(part.name)
                    often = f"{REVIVALS + 1} times in {REVIVALS_S:g} s, and has to wait"
                    said.append(f"{self._last_words(info)}\n  It ended {often}.")
                continue
            said += self._start_again(part, reason)
        return said

    def _start_again(self, part: Part, reason: str) -> list[str]:
        if pid := self.pids.pop(part.name, None):
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # children that outlived it
        try:
            self.start(part)
        except NotStarted as error:
            return [f"{part.name} ended: {reason}; {error}"]
        return [
            f"{part.name} ended: {reason}; started again, {self.pids.get(part.name, 'in vain')}"
        ]

    def _has_to_wait(self, part: Part, reason: str) -> bool:
        """Return whether a part has ended too often of late; if not, this end counts."""
        now = time.monotonic()
        recent = [t for t in self._revived.get(part.name, ()) if t > now - REVIVALS_S]
        if reason != REPLACED and len(recent) < REVIVALS:
            self._revived[part.name] = [*recent, now]
        return reason != REPLACED and len(recent) >= REVIVALS

    def _part(self, info: Mapping[str, Any]) -> Part:
        return next(part for part in self._parts if part.name == info["name"])

    def _died(self, info: Mapping[str, Any]) -> bool:
        return info["name"] in self._meant and info["statename"] in _DIED

    def wait(self, seconds: float) -> None:
        """Let time pass; less of it if supervisord dies."""
        with suppress(subprocess.TimeoutExpired):
            self._daemon.wait(seconds)

    def log(self, name: str) -> Path:
        """Where a part's output is kept."""
        return self.logs / f"{name}.log"

    def _ask(self, method: str, *arguments: object) -> Any:
        try:
            return getattr(self._rpc, method)(*arguments)
        except Fault as error:
            raise NotStarted(f"supervisord can't do {method}: {error.faultString}") from error
        except (OSError, HTTPException, XMLRPCError) as error:
            raise PartDied(f"{self._no_daemon}: {error!r}") from error

    def _answers(self) -> bool:
        try:
            self._rpc.getState()
        except (OSError, HTTPException):
            self._transport.close()  # or it goes on with the connection that failed
            return False
        return True

    def _check_daemon(self) -> None:
        if self._daemon.poll() is not None:
            raise PartDied(self._no_daemon)

    @property
    def _no_daemon(self) -> str:
        return f"supervisord, which runs the parts, ended; see {self.log(DAEMON)}"

    def _last_words(self, info: Mapping[str, Any]) -> str:
        name = info["name"]
        reason = self._reason(name) or info["spawnerr"]
        log = self.log(name)
        lines = "".join(f"\n    {line}" for line in last_lines(log, since=self._begin[name]))
        return f"{name} ended: {reason}. The end of its log, {log}:{lines or ' nothing'}"

    def _reason(self, name: str) -> str:
        """Return why a part ended, in supervisord's words: its log has them, its RPC has not."""
        begin = f"exited: {name} ("
        lines = last_lines(self.log(DAEMON), 100, since=self._begin[DAEMON])
        reasons = [line.partition(begin)[2].partition(";")[0] for line in lines if begin in line]
        return reasons[-1] if reasons else ""

    def _stop(self) -> None:
        """End everything, in order. A second Ctrl-C does not cut that short."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._daemon.terminate()
        try:
            self._daemon.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()
            self._end_orphans(0)
        else:
            self._end_orphans(ORPHANS_S)
        shutil.rmtree(self._run_dir)

    def _end_orphans(self, patience_s: float) -> None:
        """Where supervisord was killed, the kernel has told the parts to end; see that they do."""

        def gone() -> bool:
            return not any(map(_alive, self.pids.values()))

        if not health.wait(gone, patience_s, lambda: None):
            for pid in filter(_alive, self.pids.values()):
                os.killpg(pid, signal.SIGKILL)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _config(parts: Sequence[Part], socket: Path, logs: Path) -> str:
    """Return supervisord's configuration. It restarts nothing: :meth:`Control.revive` does."""
    sections: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": socket, "chmod": "0700"},
        "supervisord": {
            "nodaemon": "true",
            "logfile": logs / f"{DAEMON}.log",
            "pidfile": socket.with_name("pid"),
            "childlogdir": logs,
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    for part in parts:
        sections[f"program:{part.name}"] = {
            "command": shlex.join(map(str, (*_TETHERED, *part.command))),
            "autostart": "false",
            "autorestart": "false",
            "startsecs": 0,
            "startretries": 0,
            "stopwaitsecs": part.stop_s,
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": logs / f"{part.name}.log",
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": 1,
        }
    for group in {_group(part) for part in parts}:
        sections[f"group:{group}"] = {
            "programs": ",".join(part.name for part in parts if _group(part) == group),
            "priority": group.removeprefix(GROUP),
        }
    return "\n".join(
        line
        for title, options in sections.items()
        for line in (f"[{title}]", *(f"{key}={_escaped(value)}" for key, value in options.items()))
    )


def _group(part: Part) -> str:
    """Return the group that a part is stopped with: supervisord ends one group after another."""
    return f"{GROUP}{part.rank}"


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")

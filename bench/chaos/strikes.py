"""Runs the cases of ``make chaos``: sends a signal to a part, and checks how Byline recovers."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos.cells import BEFORE, DAEMON, RUNNER, STOPPING, VITAL, Cell
from bench.chaos.ledger import Ledger, light_load
from bench.chaos.trial import LOOK_S, STOPS_S, Trial
from bench.faults.fault_injection import LASTS_S
from bench.system.system import NotRunning

#: Seconds from the signal within which the system has to serve again, or has to end.
WITHIN_S = 10.0
#: Seconds after which the test stops waiting. A case that takes longer than ``WITHIN_S`` fails, but
#: its time is still measured up to this limit.
GIVE_UP_S = 120.0
#: Seconds of load before the signal.
LOADED_S = 1.0
#: Number of messages in the queue when a case starts a system. Their answers are promised (status
#: 202), and do not exist yet.
BACKLOG = 64


@dataclass(slots=True)
class Result:
    """The result of one case: seconds until recovery or end, lost messages, and failed checks."""

    cell: Cell
    #: Seconds from the signal until the system served again, or until it ended if it had to end.
    served_s: float | None = None
    #: Seconds from the signal until every part ran again, also the parts for monitoring.
    whole_s: float | None = None
    #: Messages that the system accepted.
    accepted: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    #: A text for each failed check.
    complaints: list[str] = field(default_factory=list)


class Strikes:
    """Runs the cases of ``make chaos``. Starts a new Byline for each case that needs one."""

    def __init__(self, folder: Path, within_s: float = WITHIN_S) -> None:
        self._folder = folder
        self._within_s = within_s
        self._trials = 0
        self._trial: Trial | None = None
        #: The state folder of the first system. Each case before ``running`` starts with a copy of
        #: this folder's data.
        self._kept: Path | None = None
        self._promised = Ledger()
        self._parts: list[str] = []

    def prepare(self) -> list[str]:
        """Starts and stops Byline once, and returns the names of Byline's parts.

        Before Byline stops, it accepts ``BACKLOG`` messages, and leaves them in its queue without
        an answer. A case whose signal comes before Byline serves clients begins with a copy of this
        queue.
        """
        trial = self._running()
        trial.wait_until_up()
        pids = trial.pids()
        self._parts = [part for part in pids if part not in (RUNNER, DAEMON)]
        os.kill(pids["worker"], signal.SIGSTOP)
        for _ in range(BACKLOG):
            self._promised.send(trial.target, wait_s=0)
        if self._promised.failed or len(self._promised.accepted) != BACKLOG:
            raise NotRunning(f"a backlog was refused: {dict(self._promised.failed)}")
        self.close()
        self._kept = trial.state
        return self._parts

    def strike(self, cell: Cell, logs: Path) -> Result:
        """Runs one case, and returns its result. Copies the logs of a failed case to ``logs``."""
        result = Result(cell)
        try:
            if cell.phase in BEFORE:
                self._run_before_serving(cell, result)
            else:
                self._run_while_serving(cell, result)
        except NotRunning as error:
            result.complaints.append(str(error))
        if result.complaints:
            self._discard(logs)
        return result

    def close(self) -> None:
        """Stops the running system, if there is one."""
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.__exit__(None, None, None)
            trial.kill()

    def _discard(self, logs: Path) -> None:
        """Kills the running system, and copies its logs to ``logs``.

        The next case gets a new system.
        """
        trial, self._trial = self._trial, None
        assert trial is not None
        trial.kill()
        shutil.rmtree(logs, ignore_errors=True)
        if (trial.state / "logs").exists():  # otherwise the system ended before it wrote a log
            shutil.copytree(trial.state / "logs", logs)
        logs.mkdir(parents=True, exist_ok=True)
        (logs / "make-run.log").write_text(trial.output)

    def _run_before_serving(self, cell: Cell, result: Result) -> None:
        """Runs a case whose signal comes before Byline serves clients.

        Byline starts with the queue that an earlier run of Byline left behind. The earlier run had
        promised to answer the messages in this queue.
        """
        self.close()
        trial = self._trial = self._new()
        assert self._kept is not None
        trial.take_state(self._kept)
        trial.launch()
        self._strike_and_time(cell, trial, result)
        self._check_answers(cell, trial, result, self._promised)
        self._end(trial, result)

    def _run_while_serving(self, cell: Cell, result: Result) -> None:
        """Runs a case whose signal comes while Byline serves a light load or while Byline stops."""
        trial = self._trial = self._running()
        trial.wait_until_up()
        ledger = Ledger()
        with light_load(trial.target, ledger):
            time.sleep(LOADED_S)  # some load before the signal
            self._strike_and_time(cell, trial, result)
        self._check_answers(cell, trial, result, ledger)
        if cell.started_by_hand:  # the second start has to remove the files of the first
            self._end(trial, result)

    def _end(self, trial: Trial, result: Result) -> None:
        trial.wait_until_up()
        trial.interrupt()
        self._time_end(trial, 0, time.monotonic(), result)

    def _running(self) -> Trial:
        if self._trial is not None and self._trial.status is None:
            return self._trial
        trial = self._trial = self._new()
        trial.launch()
        return trial

    def _new(self) -> Trial:
        self._trials += 1
        return Trial(self._folder / str(self._trials))

    def _strike_and_time(self, cell: Cell, trial: Trial, result: Result) -> None:
        """Waits for the case's phase, sends the signal, and times Byline's recovery or end."""
        pid = trial.wait_for_phase(cell.phase, cell.part)
        if cell.phase == STOPPING:
            trial.interrupt()
            time.sleep(STOPS_S)  # by then, the stop is under way
        before = trial.pids()
        hit(pid, cell.signal)
        since = time.monotonic()
        if cell.ends:
            result.served_s = self._time_end(trial, cell.exit_status, since, result)
            return
        if cell.started_by_hand:
            trial.launch()
        self._time_recovery(cell, trial, before, since, result)

    def _check_answers(self, cell: Cell, trial: Trial, result: Result, ledger: Ledger) -> None:
        """Checks that Byline answers every accepted message of ``ledger``.

        If Byline has ended, this method first starts it again, because Byline is allowed to answer
        these messages after a restart. The method also checks that each refusal had an allowed
        reason, and that ``make run`` printed no traceback.
        """
        if trial.status is not None:
            trial.launch()
            trial.wait_until_up()
        result.accepted = len(ledger.accepted)
        result.lost = ledger.missing(trial.target)
        if result.lost:
            result.complaints.append(f"accepted, and never answered: {dict(result.lost)}")
        for reason, count in ledger.failed.items():
            if reason not in cell.allowed_reasons:
                result.complaints.append(f"{count} {reason}: not an allowed reason")
        # The runner's own traceback begins at the start of a line. A line of a part begins with the
        # part's name.
        if "\nTraceback" in trial.output:
            result.complaints.append("the runner printed a traceback")

    def _time_recovery(
        self, cell: Cell, trial: Trial, before: Mapping[str, int], since: float, result: Result
    ) -> None:
        """Stores in ``result`` the seconds until Byline serves again, and until all parts run.

        ``since`` is the monotonic time of the signal. ``before`` has the process ids before the
        signal.

        Raises:
            NotRunning: ``make run`` has ended, or Byline does not recover.
        """
        missing = ["an answer"]
        while time.monotonic() < since + GIVE_UP_S:
            if trial.status is not None:
                raise NotRunning(f"{trial.end} before it served again")
            now = trial.pids()
            old = [part for part in cell.replaced if now.get(part) in (None, before.get(part))]
            if result.served_s is None:
                if not VITAL.intersection(old) and trial.serves():
                    result.served_s = time.monotonic() - since
                    if result.served_s > self._within_s:
                        words = f"served again after {result.served_s:.1f} s"
                        result.complaints.append(f"{words}, not within {self._within_s:g} s")
            elif not (missing := [*old, *(set(self._parts) - set(now)), *trial.not_listening()]):
                result.whole_s = time.monotonic() - since
                return
            time.sleep(LOOK_S)  # between two checks, until the deadline
        raise NotRunning(f"after {GIVE_UP_S:g} s still missing: {', '.join(missing)}")

    def _time_end(
        self, trial: Trial, exit_status: int, since: float, result: Result
    ) -> float | None:
        """Waits until Byline has ended, and returns the seconds since the monotonic time ``since``.

        Adds a complaint to ``result`` for a late end or a wrong exit status. If ``exit_status`` is
        0, remaining processes and files are a complaint, too.
        """
        while time.monotonic() < since + GIVE_UP_S:
            if trial.status is not None and not trial.processes():
                break
            time.sleep(LOOK_S)  # between two checks, until the deadline
        took = time.monotonic() - since
        if took > self._within_s:
            words = f"ended after {took:.1f} s, not within {self._within_s:g} s"
            result.complaints.append(words)
        if trial.status != exit_status:
            result.complaints.append(f"exit status {trial.status}, and not {exit_status}")
        # A killed runner can't remove its files: the next start removes them.
        if exit_status == 0 and (left := trial.left_behind()):
            result.complaints.append(f"left behind: {'; '.join(left)}")
        return took


def hit(pid: int, name: str) -> None:
    """Sends the signal ``name``, such as ``KILL``, to a process.

    After SIGSTOP, waits for ``LASTS_S`` seconds, and sends SIGCONT.
    """
    with suppress(ProcessLookupError):  # the process ended by itself while the system stopped
        os.kill(pid, signal.Signals[f"SIG{name}"])
    if name == "STOP":
        time.sleep(LASTS_S)  # the process is frozen
        with suppress(ProcessLookupError):  # the process was killed meanwhile
            os.kill(pid, signal.SIGCONT)
